// One entity: how documents speak of it over time.
import { chartFrame } from "../lib/charts";
import { pageData } from "../lib/config";
import { formatNumber, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  start: string;
  negative: number;
  neutral: number;
  positive: number;
}

const { points, label } = pageData<{ points: Point[]; label: string }>("entity-data")!;
const at = (point: Point): number => Date.parse(point.start);
const negative = points.reduce((all, point) => all + point.negative, 0);
const all = points.reduce((count, point) => count + point.negative + point.neutral + point.positive, 0);

chartFrame("entity-chart").set({
  columns: [t("Time"), t("Negative"), t("Neutral"), t("Positive")],
  rows: points.map((point) => [new Date(point.start), point.negative, point.neutral, point.positive]),
  says: all
    ? t("{all} documents spoke of it in the {range}, {share} of them badly.", {
        all: formatNumber(all, 0),
        range: label,
        share: formatPercent(negative / all),
      })
    : t("No document spoke of it in this time."),
  option: (c) => ({
    xAxis: { type: "time" },
    yAxis: { type: "value", minInterval: 1 },
    legend: { bottom: 0 },
    grid: { left: 8, right: 16, top: 12, bottom: 32, containLabel: true },
    series: [
      { name: t("Negative"), type: "bar", stack: "all", color: c.negative, data: points.map((point) => [at(point), point.negative]) },
      { name: t("Neutral"), type: "bar", stack: "all", color: c.neutral, data: points.map((point) => [at(point), point.neutral]) },
      { name: t("Positive"), type: "bar", stack: "all", color: c.positive, data: points.map((point) => [at(point), point.positive]) },
    ],
  }),
});
