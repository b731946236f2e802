// Insights of the customer service: how many conversations, how many went to people, how customers felt.
import { chartFrame, type Colours } from "../lib/charts";
import { pageData } from "../lib/config";
import { subscribe } from "../lib/events";
import { formatNumber, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  at: string;
  conversations: number;
  handed_off: number;
  anger: number;
  sadness: number;
  neutral: number;
  joy: number;
}

interface InsightsData {
  trend: Point[];
  emotions: Record<string, string>;
  label: string;
  lastEventId: number;
}

const data = pageData<InsightsData>("insights-data")!;
const EMOTIONS = ["anger", "sadness", "neutral", "joy"] as const;
const FEW = 12;
const GRID = { grid: { left: 8, right: 16, top: 12, bottom: 32, containLabel: true }, legend: { bottom: 0 } };
const sum = (of: (point: Point) => number): number => data.trend.reduce((all, point) => all + of(point), 0);
const at = (point: Point): number => Date.parse(point.at);

const all = sum((point) => point.conversations);
const handed = sum((point) => point.handed_off);

chartFrame("volume").set({
  columns: [t("Time"), t("With the assistant alone"), t("Handed over to people")],
  rows: data.trend.map((p) => [new Date(p.at), p.conversations - p.handed_off, p.handed_off]),
  says: all
    ? t("{all} conversations began in the {range}; {handed} went to people ({share}).", {
        all: formatNumber(all, 0),
        range: data.label,
        handed: formatNumber(handed, 0),
        share: formatPercent(handed / all),
      })
    : t("No conversation began in this time."),
  option: (c) => ({
    ...GRID,
    xAxis: { type: "time" },
    yAxis: { type: "value", minInterval: 1 },
    series: [
      { name: t("With the assistant alone"), type: "bar", stack: "all", color: c.data[0], data: data.trend.map((p) => [at(p), p.conversations - p.handed_off]) },
      { name: t("Handed over to people"), type: "bar", stack: "all", color: c.data[1], data: data.trend.map((p) => [at(p), p.handed_off]) },
    ],
  }),
});

function felt(point: Point): number {
  return EMOTIONS.reduce((count, emotion) => count + point[emotion], 0);
}

function colour(c: Colours, emotion: (typeof EMOTIONS)[number]): string {
  // Anger is not simply "negative": charts of Chinese organisations swap red and green there.
  return { anger: c.data[3]!, sadness: c.data[5]!, neutral: c.neutral, joy: c.data[2]! }[emotion];
}

const known = sum(felt);
const angry = sum((point) => point.anger);
const half = Math.floor(data.trend.length / 2);
const share = (points: Point[]): number | null => {
  const total = points.reduce((count, point) => count + felt(point), 0);
  return total ? points.reduce((count, point) => count + point.anger, 0) / total : null;
};

chartFrame("emotions").set({
  columns: [t("Time"), ...EMOTIONS.map((emotion) => data.emotions[emotion] ?? emotion)],
  rows: data.trend.map((p) => [new Date(p.at), ...EMOTIONS.map((emotion) => p[emotion])]),
  says: known
    ? t("{share} of {all} customers whose mood is known were angry; {now} in the second half of the time, {before} in the first.", {
        share: formatPercent(angry / known),
        all: formatNumber(known, 0),
        now: formatPercent(share(data.trend.slice(half))),
        before: formatPercent(share(data.trend.slice(0, half))),
      })
    : t("No mood was recognised in this time. That needs a model of emotions."),
  option: (c) => ({
    ...GRID,
    xAxis: { type: "time" },
    yAxis: { type: "value", max: 1, axisLabel: { formatter: (value: number) => formatPercent(value) } },
    tooltip: { trigger: "axis", valueFormatter: (value: number) => formatPercent(value) },
    series: EMOTIONS.map((emotion) => ({
      name: data.emotions[emotion] ?? emotion,
      type: "line",
      // Where few wrote, a line alone would not be seen.
      showSymbol: data.trend.filter(felt).length <= FEW,
      connectNulls: true,
      color: colour(c, emotion),
      lineStyle: { type: emotion === "neutral" ? "dotted" : emotion === "sadness" ? "dashed" : "solid" },
      data: data.trend.map((p) => [at(p), felt(p) ? p[emotion] / felt(p) : null]),
    })),
  }),
});

// What goes on now is read anew when something changes, at most once a second.
let soon: ReturnType<typeof setTimeout> | null = null;
subscribe("service.inbox", data.lastEventId, () => {
  soon ??= setTimeout(() => {
    soon = null;
    document.getElementById("insights-now")?.dispatchEvent(new CustomEvent("look"));
  }, 1_000);
});
