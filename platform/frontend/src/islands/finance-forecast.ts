// A forecast with its band, after the history and what was forecast for it one step before.
import { chartFrame, fade } from "../lib/charts";
import { pageData } from "../lib/config";
import { formatMoment, formatNumber } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  start: string;
  middle: number | null;
  low: number | null;
  high: number | null;
}

interface ForecastData {
  label: string;
  history: (Point & { value: number })[];
  ahead: Point[];
}

const { label, history, ahead } = pageData<ForecastData>("forecast-data")!;
const all: (Point & { value?: number })[] = [...history, ...ahead];
const line = (name: "middle" | "low" | "high"): [number, number | null][] => all.map((point) => [Date.parse(point.start), point[name]]);
const first = ahead[0]!;

chartFrame("forecast-chart").set({
  columns: [t("Time"), label, t("Forecast"), t("Low"), t("High")],
  rows: all.map((point) => [new Date(point.start), point.value ?? null, point.middle, point.low, point.high]),
  says: t("Next, {time}: {middle}, and with four chances in five between {low} and {high}.", {
    time: formatMoment(new Date(first.start)),
    middle: formatNumber(first.middle, 2),
    low: formatNumber(first.low, 2),
    high: formatNumber(first.high, 2),
  }),
  option: (c) => ({
    xAxis: { type: "time" },
    yAxis: { type: "value" },
    legend: { bottom: 24, data: [label, t("Forecast"), t("Interval")] },
    grid: { left: 8, right: 8, top: 16, bottom: 64, containLabel: true },
    dataZoom: [{ type: "slider", height: 16, bottom: 0, start: 60, end: 100 }],
    series: [
      { name: label, type: "line", data: history.map((point) => [Date.parse(point.start), point.value]), color: c.data[0] },
      { name: t("Forecast"), type: "line", data: line("middle"), color: c.accent, lineStyle: { type: "dashed" } },
      { name: "low", type: "line", stack: "band", data: line("low"), lineStyle: { opacity: 0 }, tooltip: { show: false }, color: c.accent },
      {
        name: t("Interval"),
        type: "line",
        stack: "band",
        data: all.map((point) => [Date.parse(point.start), point.high === null || point.low === null ? null : point.high - point.low]),
        lineStyle: { opacity: 0 },
        areaStyle: { color: fade(c.accent, 0.2) },
        tooltip: { show: false },
        color: c.accent,
      },
    ],
  }),
});
