// The editor of a rule: what it would have done with the stored history, anew with every change.
import { ApiError, api } from "../lib/api";
import { chartFrame, fade } from "../lib/charts";
import { pageData } from "../lib/config";
import { h } from "../lib/dom";
import { formatMoment, formatNumber } from "../lib/format";
import { t, tn } from "../lib/i18n";

interface Subject {
  kind: string;
  key: string;
  label: string;
}

interface Preview {
  since: string;
  until: string;
  learning_until: string | null;
  total: number;
  alerts: { subject: Subject; opened_at: string; closed_at: string | null; peak: number; expected: number }[];
  subjects: (Subject & { alerts: number })[];
  left_out: number;
  shown: Subject | null;
  series: { start: string; observed: number; expected: number; total: number; open: boolean }[];
}

type Values = Record<string, unknown>;

const { defaults } = pageData<{ defaults: Record<string, Record<string, number>> }>("rule-data")!;
const form = document.querySelector<HTMLFormElement>("#rule-form")!;
const days = document.querySelector<HTMLSelectElement>("#rule-range select")!;
const says = document.getElementById("rule-says")!;
const table = document.getElementById("rule-alerts")!;
const frame = chartFrame("rule-chart");
const WORDS = new Set(["scope", "key", "measure", "detector"]);
let asking: AbortController | null = null;
let waiting = 0;

const field = (name: string): HTMLInputElement | HTMLSelectElement => form.querySelector(`[name="${name}"]`)!;

/** A portfolio is chosen from a list, any other subject is written. */
function choose(): void {
  const isPortfolio = field("scope").value === "portfolio";
  for (const [name, isShown] of [["portfolio", isPortfolio], ["key", !isPortfolio]] as const) {
    (field(name).closest(".field") ?? field(name).parentElement!).toggleAttribute("hidden", !isShown);
  }
}

/** The form as the API wants it; what is left empty has its default there. */
function values(): Values {
  const found: Values = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== "string" || ["csrfmiddlewaretoken", "name", "enabled", "season", "portfolio"].includes(name)) continue;
    if (WORDS.has(name)) found[name] = value;
    else if (value !== "") found[name] = Number(value);
  }
  if (found.scope === "portfolio") found.key = field("portfolio").value;
  found.parameters = { season: form.querySelector<HTMLInputElement>("[name=season]")!.checked };
  const until = new Date();
  found.until = until.toISOString();
  found.since = new Date(until.getTime() - Number(days.value) * 86_400_000).toISOString();
  return found;
}

async function preview(): Promise<void> {
  asking?.abort();
  asking = new AbortController();
  try {
    show(await api<Preview>("/api/v1/finance/rules/preview", { method: "POST", body: values(), signal: asking.signal }));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const problem = error instanceof ApiError ? error.problem : null;
    const faults = problem?.errors?.map((fault) => `${fault.pointer.slice(1)}: ${fault.detail}`) ?? [];
    says.textContent = faults.length > 0 ? faults.join(" ") : String((error as Error).message);
  }
}

function show(found: Preview): void {
  const sentences = [tn("It would have opened one alert.", "It would have opened {count} alerts.", found.total)];
  if (found.series.length === 0) sentences.push(t("There are no stories of it in this range."));
  if (found.learning_until) sentences.push(t("Until {time} too little was known to judge.", { time: formatMoment(new Date(found.learning_until)) }));
  if (found.left_out > 0) sentences.push(tn("One quiet subject was left out.", "{count} quieter subjects were left out.", found.left_out));
  says.textContent = sentences.join(" ");
  table.replaceChildren(
    ...found.alerts.map((alert) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, alert.subject.label),
        h("td", {}, formatMoment(new Date(alert.opened_at))),
        h("td", {}, alert.closed_at ? formatMoment(new Date(alert.closed_at)) : t("still open")),
        h("td", { class: "num" }, String(alert.peak)),
        h("td", { class: "num" }, formatNumber(alert.expected)),
      ),
    ),
  );
  draw(found);
}

function draw(found: Preview): void {
  const own = found.alerts.filter((alert) => alert.subject.kind === found.shown?.kind && alert.subject.key === found.shown?.key);
  frame.set({
    columns: [t("Time"), t("Stories that count"), t("Expected"), t("All stories")],
    rows: found.series.map((point) => [new Date(point.start), point.observed, point.expected, point.total]),
    says: found.shown
      ? tn("{subject}: one alert in this range.", "{subject}: {count} alerts in this range.", own.length, { subject: found.shown.label })
      : t("There is nothing to show."),
    option: (c) => ({
      xAxis: { type: "time" },
      yAxis: { type: "value", minInterval: 1 },
      legend: { bottom: 0 },
      grid: { left: 8, right: 8, top: 16, bottom: 32, containLabel: true },
      series: [
        {
          name: t("Stories that count"),
          type: "line",
          step: "end",
          data: found.series.map((point) => [Date.parse(point.start), point.observed]),
          color: c.negative,
          areaStyle: { color: fade(c.negative, 0.12) },
          markArea: {
            silent: true,
            itemStyle: { color: fade(c.accent, 0.18) },
            data: own.map((alert) => [{ xAxis: Date.parse(alert.opened_at) }, { xAxis: Date.parse(alert.closed_at ?? found.until) }]),
          },
        },
        {
          name: t("Expected"),
          type: "line",
          data: found.series.map((point) => [Date.parse(point.start), point.expected]),
          color: c.faint,
          lineStyle: { type: "dashed" },
        },
      ],
    }),
  });
}

function later(): void {
  clearTimeout(waiting);
  waiting = window.setTimeout(() => void preview(), 400);
}

form.addEventListener("input", later);
form.addEventListener("input", choose);
choose();
days.addEventListener("change", later);
document.getElementById("rule-range")!.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("rule-defaults")?.addEventListener("click", () => {
  const figures = defaults[`${field("detector").value}:${field("bucket_seconds").value}:${field("measure").value}`] ?? {};
  for (const [name, value] of Object.entries(figures)) field(name).value = String(value);
  later();
});
void preview();
