// The page of a training run: its curves grow, its bar moves, and it shows its end, all by events.
import { api } from "../lib/api";
import { type Cell, chartFrame } from "../lib/charts";
import { figureName, figureText, isShare } from "../lib/figures";
import { pageData } from "../lib/config";
import { announce } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatDuration, formatNumber, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  step: number;
  epoch: number;
  loss: number | null;
  metrics: Record<string, number> | null;
}

interface Run {
  id: string;
  state: string;
  phase: string;
  fraction: number;
  eta_seconds: number | null;
  attempts: number;
  /** The figure by which epochs are chosen; empty until the first evaluation. */
  headline?: string;
  job?: string | null;
  search?: boolean;
  trials?: number;
}

interface RunData {
  lastEventId: number;
  run: Run;
  curve: Point[];
  /** The phases in the words of the page's language. */
  phases: Record<string, string>;
}

type RunEvent = Run & { points?: Point[] };

const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const LOG_EVERY = 3_000;
// A curve that grows every second is easier to read when its axes do not move; the name of the axis needs room.
const GROWING = { animation: false, grid: { left: 8, right: 16, top: 28, bottom: 28, containLabel: true } };

const data = pageData<RunData>("run-data");

function start({ lastEventId, run, curve, phases }: RunData): void {
  const loss = run.search ? null : chartFrame("run-loss");
  const quality = run.search ? null : chartFrame("run-quality");
  const trials = run.trials ?? 0;
  let points = curve;
  let current = run;
  let logAt = 0;

  const drawLoss = (): void => {
    const rows = points.filter((point) => point.loss !== null).map((point): [number, number] => [point.step, point.loss ?? 0]);
    const first = rows[0];
    const last = rows.at(-1);
    const says =
      first && last
        ? t("Loss went from {first} to {last} in {steps} steps.", {
            first: formatNumber(first[1], 3), last: formatNumber(last[1], 3), steps: formatNumber(last[0], 0),
          })
        : t("No step has been made yet.");
    loss?.set({
      columns: [t("Step"), t("Training loss")],
      rows,
      says,
      option: (c) => ({
        ...GROWING,
        xAxis: { type: "value", name: t("Step"), nameLocation: "middle", nameGap: 24, minInterval: 1, max: "dataMax" },
        yAxis: { type: "value", scale: true },
        series: [{ type: "line", name: t("Training loss"), data: rows, color: c.accent, showSymbol: rows.length < 2 }],
      }),
    });
  };

  const drawQuality = (): void => {
    const evaluations = points.filter((point) => point.metrics !== null);
    // Whatever the task reports; the figure that counts comes first, the loss has another scale.
    const found = [...new Set(evaluations.flatMap((point) => Object.keys(point.metrics ?? {})))].filter((name) => name !== "loss");
    const main = current.headline || run.headline || found[0] || "macro_f1";
    const names = [main, ...found.filter((name) => name !== main).sort()];
    const series = (name: string): Cell[][] => evaluations.map((point) => [Number(point.epoch.toFixed(2)), point.metrics?.[name] ?? null]);
    const values = evaluations.map((point) => point.metrics?.[main] ?? -Infinity);
    const best = values.length > 0 ? Math.max(...values) : -Infinity;
    const says = Number.isFinite(best)
      ? t("Best {figure} {value} after epoch {epoch}.", {
          figure: figureName(main), value: figureText(main, best), epoch: formatNumber(evaluations[values.indexOf(best)]?.epoch ?? 0, 1),
        })
      : t("It is measured after each epoch.");
    const shares = names.every(isShare);
    quality?.set({
      columns: [t("Epoch"), ...names.map(figureName), t("Validation loss")],
      rows: evaluations.map((point) => [point.epoch, ...names.map((name) => point.metrics?.[name] ?? null), point.metrics?.["loss"] ?? null]),
      says,
      option: (c) => ({
        ...GROWING,
        legend: { top: 0, right: 0 },
        xAxis: { type: "value", name: t("Epoch"), nameLocation: "middle", nameGap: 24, minInterval: 1, min: 0 },
        yAxis: shares
          ? { type: "value", scale: true, max: 1, axisLabel: { formatter: (value: number) => formatPercent(value) } }
          : { type: "value", scale: true },
        series: names.map((name, place) => ({
          type: "line", name: figureName(name), data: series(name), color: place === 0 ? c.accent : c.data[place % c.data.length],
          showSymbol: true, lineStyle: { type: place === 0 ? "solid" : "dashed" },
        })),
      }),
    });
  };

  const drawState = (): void => {
    const bar = document.querySelector<HTMLProgressElement>("#run-bar");
    const phase = document.getElementById("run-phase");
    const eta = document.getElementById("run-eta");
    if (bar) {
      if (current.state === "queued") bar.removeAttribute("value");
      else bar.value = Math.round(current.fraction * 100);
    }
    const doing = ENDED.has(current.state) ? "" : (phases[current.phase] ?? "");
    const words = current.state === "queued" ? t("Waiting for a free worker") : doing;
    // A live region: only a new phase is worth reading out.
    if (phase && phase.textContent !== words) phase.textContent = words;
    if (eta && !ENDED.has(current.state)) {
      const left = current.eta_seconds === null ? "" : t("about {time} left", { time: formatDuration(current.eta_seconds) });
      eta.textContent = [current.state === "running" ? formatPercent(current.fraction) : "", left].filter(Boolean).join(" · ");
    }
  };

  const loadLog = async (): Promise<void> => {
    const place = document.getElementById("run-log");
    if (!place || Date.now() - logAt < LOG_EVERY) return;
    logAt = Date.now();
    const { log } = await api<{ log: string }>(`/api/v1/models/runs/${run.id}`);
    const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
    place.textContent = log || "—";
    if (atEnd) place.scrollTop = place.scrollHeight;
  };

  const take = (event: RunEvent): void => {
    // A worker died and another went on from a checkpoint, which may lie before the last step that was drawn.
    const first = event.points?.[0];
    if (first && points.some((point) => point.step > first.step)) points = points.filter((point) => point.step < first.step);
    points = [...points, ...(event.points ?? [])];
    const ended = ENDED.has(event.state) && !ENDED.has(current.state);
    const began = event.state === "running" && current.state === "queued";
    const tried = (event.trials ?? 0) > trials;
    current = event;
    drawState();
    if (event.points?.some((point) => point.loss !== null) || points.length === 0) drawLoss();
    if (event.points?.some((point) => point.metrics !== null) || points.length === 0) drawQuality();
    if (ended || began || tried) {
      // What the server draws changes: badge, buttons, result, figures, the models that were tried.
      announce(ended ? t("The training has ended.") : tried ? t("Another model has been tried.") : t("The training has begun."));
      location.reload();
      return;
    }
    // Without an answer the log stays as it is; the next event asks again.
    void loadLog().catch(() => undefined);
  };

  drawLoss();
  drawQuality();
  drawState();
  if (ENDED.has(run.state)) return;
  subscribe(
    "models",
    lastEventId,
    ({ event, data: payload }) => {
      const update = payload as RunEvent;
      if (update.id === run.id && (event === "run.progress" || event === "run.state")) take(update);
    },
    () => location.reload(),
  );
  // A job can end without a worker that tells the run: the job's own event says so.
  subscribe(
    "jobs",
    null,
    ({ data: payload }) => {
      const job = payload as { id: string; state: string };
      if (job.id === run.job && ENDED.has(job.state)) setTimeout(() => location.reload(), 1_500);
    },
    () => undefined,
  );
}

if (data) start(data);
