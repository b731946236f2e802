// The live board: headlines, trend, movers, topics by time and open alerts, kept current by the numbered events of `finance.live`.
import { api, ApiError } from "../lib/api";
import { type Cell, chartFrame, fade, SENTIMENT_PATTERN } from "../lib/charts";
import { pageData } from "../lib/config";
import { announce, h, icon, typing } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatMoment, formatNumber, formatPercent } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { startRelabel } from "../lib/relabel";
import { toast } from "../lib/toast";
import { shortcut } from "../shell/keyboard";
import { command } from "../shell/palette";

interface Row {
  id: string;
  source: string;
  title: string;
  url: string;
  language: string;
  published_at: string;
  undated: boolean;
  status: "pending" | "scored" | "unscored" | "failed";
  reason: string;
  sentiment: { label: string; probability: number } | null;
  topics: string[];
  models: string[];
  story: string | null;
  story_count: number;
}

interface Alert {
  id: string;
  topic: string;
  subject: { kind: string; key: string; label: string };
  state: "open" | "acknowledged" | "resolved";
  opened_at: string;
  observed: number;
  expected: number;
  total: number;
  share: number;
  baseline_share: number;
  acknowledged_by: string;
  stories: { id: string; title: string }[];
}

interface Point {
  start: string;
  documents: number;
  negative: number;
  neutral: number;
  positive: number;
  unscored: number;
}

interface Mover {
  kind: "topic" | "entity" | "portfolio";
  key: string;
  label: string;
  stories: number;
  share: number;
  usual_stories: number | null;
  usual_share: number | null;
  /** In standard deviations. */
  movement: number;
  moved: "volume" | "share";
}

interface Heat {
  width: number;
  starts: string[];
  rows: { topic: string; label: string; stories: number[]; negative: number[] }[];
}

interface Board {
  usual: { stretches: number; seconds: number };
  movers: Mover[];
  heat: Heat;
}

interface LiveData {
  lastEventId: number;
  rows: Row[];
  alerts: Alert[];
  topics: Record<string, string>;
  reasons: Record<string, string>;
  filters: { topic: string; sentiment: string; source: string; language: string; q: string };
  trend: { topic: string; width: number; seconds: number; live: boolean; label: string; points: Point[] };
  board: Board;
  mayWrite: boolean;
  alertUrl: string;
}

const MAXIMUM_ROWS = 200;
const REFRESH_MILLISECONDS = 4_000;

const data = pageData<LiveData>("live-data")!;
const list = document.getElementById("headlines")!;
const waitingButton = document.getElementById("live-waiting") as HTMLButtonElement;
const pauseButton = document.getElementById("live-pause") as HTMLButtonElement;
const alertSection = document.getElementById("live-alerts")!;

/** Rows on the page by document, the newest first in the list. */
const shown = new Map<string, { row: Row; element: HTMLElement }>();
/** What came while the page was paused, by document. */
const held = new Map<string, Row>();
const alerts = new Map<string, Alert>();
let paused = false;

// --- headlines --------------------------------------------------------------------------------

const SENTIMENTS: Record<string, string> = {
  negative: t("Negative"),
  neutral: t("Neutral"),
  positive: t("Positive"),
};

function topicName(topic: string): string {
  return data.topics[topic] ?? topic.replaceAll("-", " ");
}

/** Topics are named in the reader's language; a company or a source has one name. */
function subjectName(alert: Alert): string {
  return alert.subject.kind === "topic" || alert.subject.kind === "all" ? topicName(alert.topic) : alert.subject.label;
}

function score(row: Row): HTMLElement {
  if (row.sentiment) {
    const { label, probability } = row.sentiment;
    return h(
      "div",
      { class: "headline-score", title: row.models.join(", ") },
      h("span", { class: `sentiment sentiment-${label}` }, SENTIMENTS[label] ?? label),
      " ",
      h("span", { class: "faint" }, formatPercent(probability)),
    );
  }
  const word = row.status === "pending" ? t("Waiting") : row.status === "failed" ? t("Failed") : t("Not scored");
  return h("div", { class: "headline-score" }, h("span", { class: "badge badge-quiet" }, word));
}

function element(row: Row): HTMLElement {
  const published = new Date(row.published_at);
  const today = Math.abs(Date.now() - published.getTime()) < 20 * 3_600_000;
  const time = formatMoment(published, today ? { timeStyle: "medium" } : { dateStyle: "short", timeStyle: "short" });
  const lang = row.language === "zh" ? "zh-Hans" : row.language || null;
  return h(
    "li",
    { class: "headline", tabindex: "-1", "data-id": row.id, "data-status": row.status },
    h("time", { class: "headline-time", datetime: row.published_at, title: formatMoment(published, { dateStyle: "full", timeStyle: "long" }) }, time),
    h("div", { class: "headline-title", lang }, row.url ? h("a", { href: row.url, rel: "noopener noreferrer", target: "_blank" }, row.title) : row.title),
    score(row),
    h(
      "div",
      { class: "headline-facts" },
      h("span", {}, row.source),
      row.undated && h("span", {}, t("undated")),
      ...row.topics.map((topic) => h("span", {}, topicName(topic))),
      h("a", { href: `/public-opinion/documents/${row.id}/` }, t("Who and why")),
      row.story_count > 1 && h("span", { "data-story": row.story }, storyCount(row.story_count)),
      data.reasons[row.reason] && h("span", {}, data.reasons[row.reason]),
    ),
  );
}

function storyCount(count: number): string {
  return tn("{count} document tells this story", "{count} documents tell this story", count);
}

function fits(row: Row): boolean {
  const f = data.filters;
  if (f.topic && !row.topics.includes(f.topic)) return false;
  if (f.sentiment && row.sentiment?.label !== f.sentiment) return false;
  if (f.source && row.source !== f.source) return false;
  if (f.language && row.language !== f.language) return false;
  return !f.q || row.title.toLowerCase().includes(f.q.toLowerCase());
}

function place(row: Row, fresh: boolean): void {
  const old = shown.get(row.id);
  const made = element(row);
  if (fresh && !old) made.classList.add("headline-new");
  if (old) {
    if (old.element === document.activeElement) queueMicrotask(() => made.focus());
    old.element.remove();
  }
  // Almost always the newest: look from the top for the first that is older.
  let before = list.firstElementChild;
  while (before) {
    const other = shown.get((before as HTMLElement).dataset.id ?? "");
    if (!other || other.row.published_at <= row.published_at) break;
    before = before.nextElementSibling;
  }
  shown.set(row.id, { row, element: made });
  list.insertBefore(made, before);
  while (list.childElementCount > MAXIMUM_ROWS) {
    const last = list.lastElementChild as HTMLElement;
    shown.delete(last.dataset.id ?? "");
    last.remove();
  }
}

function tellStory(row: Row): void {
  if (!row.story || row.story_count < 2) return;
  for (const other of shown.values()) {
    if (other.row.story !== row.story || other.row.story_count >= row.story_count) continue;
    other.row = { ...other.row, story_count: row.story_count };
    const remade = element(other.row);
    other.element.replaceWith(remade);
    other.element = remade;
  }
}

function arrived(row: Row): void {
  document.getElementById("live")!.hidden = false;
  document.querySelector<HTMLElement>(".empty")?.remove();
  if (!fits(row)) {
    // A new revision may have left the filter.
    shown.get(row.id)?.element.remove();
    shown.delete(row.id);
  } else if (paused && !shown.has(row.id)) {
    held.set(row.id, row);
  } else {
    place(row, true);
    tellStory(row);
  }
  showState();
  refreshSoon();
}

function showState(): void {
  waitingButton.hidden = held.size === 0;
  waitingButton.textContent = tn("Show {count} new headline", "Show {count} new headlines", held.size);
  document.getElementById("headlines-none")!.hidden = list.childElementCount > 0;
}

function setPaused(on: boolean): void {
  paused = on;
  pauseButton.setAttribute("aria-pressed", String(on));
  pauseButton.replaceChildren(on ? icon("play") : icon("pause"), h("span", {}, on ? t("Resume") : t("Pause")));
  if (!on) release();
}

function release(): void {
  for (const row of held.values()) {
    place(row, true);
    tellStory(row);
  }
  held.clear();
  showState();
}

// --- alerts -----------------------------------------------------------------------------------

function alertElement(alert: Alert): HTMLElement {
  const url = data.alertUrl.replace("00000000-0000-0000-0000-000000000000", alert.id);
  const numbers = t("{observed} negative stories, {expected} expected; {share} negative, {base} is usual", {
    observed: alert.observed,
    expected: Math.round(alert.expected * 10) / 10,
    share: formatPercent(alert.share),
    base: formatPercent(alert.baseline_share),
  });
  return h(
    "article",
    { class: "live-alert", "data-state": alert.state, "data-alert": alert.id },
    icon("siren"),
    h(
      "div",
      {},
      h("a", { href: url }, t("Surge of negative news: {topic}", { topic: subjectName(alert) })),
      h("p", {}, numbers),
      alert.stories[0] && h("p", {}, alert.stories[0].title),
    ),
    alert.state === "acknowledged"
      ? h("span", { class: "badge badge-info" }, t("Taken by {name}", { name: alert.acknowledged_by }))
      : data.mayWrite && h("button", { class: "button button-small", type: "button", onclick: () => void acknowledge(alert) }, t("Acknowledge")),
  );
}

async function acknowledge(alert: Alert): Promise<void> {
  try {
    const taken = await api<Alert>(`/api/v1/finance/alerts/${alert.id}/acknowledge`, { method: "POST", body: {} });
    takeAlert(taken);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, "bad");
  }
}

function takeAlert(alert: Alert): void {
  if (alert.state === "resolved") alerts.delete(alert.id);
  else alerts.set(alert.id, alert);
  drawAlerts();
}

function drawAlerts(): void {
  alertSection.replaceChildren(...[...alerts.values()].map(alertElement));
  document.getElementById("live-alerts-none")!.hidden = alerts.size > 0;
  if (alerts.size) document.getElementById("live")!.hidden = false;
}

function alertEvent(kind: string, alert: Alert): void {
  takeAlert(alert);
  const topic = subjectName(alert);
  if (kind === "alert.opened") announce(t("New alert: surge of negative news on {topic}", { topic }));
  if (kind === "alert.resolved") announce(t("The alert on {topic} is over", { topic }));
}

// --- trend and movers -------------------------------------------------------------------------

const chart = chartFrame("trend");

function share(points: Point[]): number | null {
  const all = points.reduce((sum, point) => sum + point.documents, 0);
  return all ? points.reduce((sum, point) => sum + point.negative, 0) / all : null;
}

function says(points: Point[]): string {
  const unscored = points.reduce((sum, point) => sum + point.unscored, 0);
  const half = Math.floor(points.length / 2);
  const [before, now] = [share(points.slice(0, half)), share(points.slice(half))];
  const parts = [t("{topic}, {range}.", { topic: topicName(data.trend.topic), range: data.trend.label })];
  if (now === null && before === null) parts.push(t("Nothing was scored in this time."));
  else parts.push(t("{now} negative in the second half, {before} in the first.", { now: formatPercent(now), before: formatPercent(before) }));
  if (unscored) parts.push(tn("{count} document is not scored.", "{count} documents are not scored.", unscored));
  return parts.join(" ");
}

function drawTrend(points: Point[]): void {
  const at = (point: Point): number => Date.parse(point.start);
  const kinds = ["negative", "neutral", "positive"] as const;
  chart.set({
    columns: [t("Time"), t("Documents"), ...kinds.map((kind) => SENTIMENTS[kind]!), t("Not scored")],
    rows: points.map((p) => [new Date(p.start), p.documents, p.negative, p.neutral, p.positive, p.unscored]),
    says: says(points),
    option: (c) => ({
      xAxis: { type: "time" },
      yAxis: { type: "value", minInterval: 1 },
      legend: { bottom: 0 },
      grid: { left: 8, right: 8, top: 16, bottom: 32, containLabel: true },
      aria: { decal: { show: false } },
      series: kinds.map((kind) => ({
        name: SENTIMENTS[kind],
        type: "bar",
        stack: "documents",
        data: points.map((point) => [at(point), point[kind]]),
        itemStyle: { color: c[kind], decal: SENTIMENT_PATTERN[kind], borderRadius: 0 },
        barMinWidth: 2,
      })),
    }),
  });
}

const MOVER_ICONS = { topic: () => icon("tags"), entity: () => icon("building-2"), portfolio: () => icon("briefcase") };

function moverUrl(mover: Mover): string {
  if (mover.kind === "entity") return `/public-opinion/entities/${mover.key}/`;
  if (mover.kind === "portfolio") return `/public-opinion/portfolios/${mover.key}/`;
  const address = new URL(location.href);
  address.searchParams.set("topic", mover.key);
  return address.pathname + address.search;
}

/** How far it went, and which way: times the usual number of stories, or points of the negative share. */
function moverChange(mover: Mover): HTMLElement | null {
  const { usual_stories: usual, usual_share: usualShare } = mover;
  // What anything may do by chance is no change to look at.
  if (usual === null || mover.movement < 1) return null;
  if (mover.moved === "share" && usualShare !== null) {
    const points = Math.round((mover.share - usualShare) * 100);
    const direction = points > 0 ? "up" : points < 0 ? "down" : "flat";
    return h("span", { class: "change", "data-direction": direction, "data-good": points > 0 ? "no" : points < 0 ? "yes" : null }, t("{n} points", { n: Math.abs(points) }));
  }
  const direction = mover.stories > usual ? "up" : mover.stories < usual ? "down" : "flat";
  const times = usual ? `×${formatNumber(mover.stories / usual, mover.stories < 10 * usual ? 1 : 0)}` : t("new");
  return h("span", { class: "change", "data-direction": direction }, times);
}

function moverElement(mover: Mover): HTMLElement {
  const usual = mover.usual_stories === null ? "" : t("({n} usual)", { n: formatNumber(mover.usual_stories, 1) });
  const usualShare = mover.usual_share === null ? "" : t("({n} usual)", { n: formatPercent(mover.usual_share) });
  return h(
    "li",
    {},
    MOVER_ICONS[mover.kind](),
    h("a", { href: moverUrl(mover) }, mover.label),
    moverChange(mover),
    h("p", {}, [tn("{count} story", "{count} stories", mover.stories), usual, "·", t("{share} negative", { share: formatPercent(mover.share) }), usualShare].filter(Boolean).join(" ")),
  );
}

const WEEK = 604_800;

function usualWords({ stretches, seconds }: Board["usual"]): string {
  if (!stretches) return t("no history to compare with");
  if (seconds === WEEK) return tn("against the same hours a week ago", "against the same hours of the last {count} weeks", stretches);
  return tn("against as much time just before", "against {count} times as much time just before", stretches);
}

function drawBoard({ usual, movers, heat }: Board): void {
  document.getElementById("movers-usual")!.textContent = usualWords(usual);
  document.getElementById("movers")!.replaceChildren(...movers.map(moverElement));
  document.getElementById("movers-none")!.hidden = movers.length > 0;
  drawHeat(heat);
}

const heatFrame = chartFrame("heat");
let heatShown: Heat | null = null;

function drawHeat(heat: Heat): void {
  heatShown = heat;
  const time = (start: string): string =>
    formatMoment(new Date(start), heat.width >= 86_400 ? { month: "numeric", day: "numeric" } : heat.width >= 3_600 && heat.starts.length * heat.width > 86_400 ? { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
  const cells = heat.rows.flatMap((row, y) => row.stories.map((stories, x) => ({ row, x, y, stories, negative: row.negative[x] ?? 0 })).filter((cell) => cell.stories > 0));
  const part = (cell: { stories: number; negative: number }): number => cell.negative / cell.stories;
  heatFrame.set({
    columns: [t("Topic"), t("Time"), t("Stories"), t("Negative"), t("Share")],
    rows: cells.map((cell): Cell[] => [cell.row.label, new Date(heat.starts[cell.x]!), cell.stories, cell.negative, part(cell)]),
    says: cells.length ? t("Colour: the negative share; numbers: negative stories. A click shows the headlines.") : t("Nothing was told in this time."),
    option: (c) => ({
      grid: { left: 8, right: 8, top: 4, bottom: 4, containLabel: true },
      aria: { decal: { show: false } },
      tooltip: {
        trigger: "item",
        formatter: ({ data: cell }: { data: { at: number } }) => {
          const { row, x, stories, negative } = cells[cell.at]!;
          const box = h("div", {}, h("strong", {}, row.label), h("br", {}), time(heat.starts[x]!), h("br", {}), t("{negative} of {stories} stories negative", { negative, stories }));
          return box;
        },
      },
      visualMap: { show: false, min: 0, max: 1, dimension: 2, inRange: { color: [fade(c.negative, 0.07), fade(c.negative, 0.9)] } },
      xAxis: { type: "category", data: heat.starts.map(time), splitArea: { show: false } },
      yAxis: { type: "category", data: heat.rows.map((row) => row.label), inverse: true, axisLine: { show: false }, axisLabel: { color: c.text, width: 120, overflow: "truncate", hideOverlap: false, interval: 0 } },
      series: [
        {
          type: "heatmap",
          data: cells.map((cell, at) => ({
            at,
            value: [cell.x, cell.y, part(cell), cell.negative],
            label: { show: cell.negative > 0, formatter: "{@[3]}", fontSize: 10, color: part(cell) > 0.6 ? c.surface : c.text },
          })),
          itemStyle: { borderColor: c.surface, borderWidth: 1 },
          emphasis: { itemStyle: { borderColor: c.text } },
        },
      ],
    }),
  });
}

/** The headlines behind a cell of the heat map. */
function followHeat(): void {
  heatFrame.instance.on("click", (event) => {
    const [x, y] = (event.data as { value?: number[] } | undefined)?.value ?? [];
    const [start, row] = [heatShown?.starts[x ?? -1], heatShown?.rows[y ?? -1]];
    if (!heatShown || !start || !row) return;
    const address = new URL(location.href);
    address.searchParams.delete("range");
    address.searchParams.set("topic", row.topic);
    address.searchParams.set("from", start);
    address.searchParams.set("to", new Date(Date.parse(start) + heatShown.width * 1000).toISOString());
    location.assign(address);
  });
}

let timer: ReturnType<typeof setTimeout> | null = null;
let changed = false;

/** Figures are counted by the server: ask for them again a little after something came. */
function refreshSoon(): void {
  changed = true;
  timer ??= setTimeout(() => {
    timer = null;
    if (changed && !document.hidden) void refresh();
  }, REFRESH_MILLISECONDS);
}

async function refresh(): Promise<void> {
  if (!data.trend.live) return;
  changed = false;
  const until = new Date();
  const since = new Date(until.getTime() - data.trend.seconds * 1000);
  const range = `since=${since.toISOString()}&until=${until.toISOString()}`;
  try {
    const [trend, board] = await Promise.all([
      api<{ points: Point[] }>(`/api/v1/finance/trend?topic=${encodeURIComponent(data.trend.topic)}&width=${data.trend.width}&${range}`),
      api<Board>(`/api/v1/finance/board?${range}`),
    ]);
    drawTrend(trend.points);
    drawBoard(board);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    changed = true; // the connection is shown in the bar; try again with the next headline
  }
}

// --- keyboard ---------------------------------------------------------------------------------

function move(step: 1 | -1): void {
  const current = document.activeElement?.closest(".headline");
  const next = current ? (step > 0 ? current.nextElementSibling : current.previousElementSibling) : list.firstElementChild;
  (next as HTMLElement | null)?.focus();
}

shortcut("j", () => move(1));
shortcut("k", () => move(-1));
startRelabel();
shortcut("/", () => document.getElementById("live-search")?.focus());
command(t("Pause or resume the headlines"), "pause", () => setPaused(!paused));
document.addEventListener("keydown", (event) => {
  // Space keeps its meaning on whatever can be pressed.
  const pressable = (event.target as HTMLElement).closest("button, a, summary, [role='menuitem'], dialog");
  if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || typing(event) || pressable) return;
  event.preventDefault();
  setPaused(!paused);
});
pauseButton.addEventListener("click", () => setPaused(!paused));
waitingButton.addEventListener("click", release);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && changed) void refresh();
});

// --- start ------------------------------------------------------------------------------------

for (const row of [...data.rows].reverse()) place(row, false);
for (const alert of data.alerts) alerts.set(alert.id, alert);
drawAlerts();
showState();
drawTrend(data.trend.points);
drawBoard(data.board);
followHeat();
// A change of theme makes the chart anew.
document.addEventListener("themechange", followHeat);
subscribe("finance.live", data.lastEventId, (event) => {
  if (event.event === "document.scored") arrived(event.data as Row);
  else if (event.event.startsWith("alert.")) alertEvent(event.event, event.data as Alert);
});
// Time moves on without headlines, too.
setInterval(() => {
  if (!document.hidden) void refresh();
}, 30_000);
