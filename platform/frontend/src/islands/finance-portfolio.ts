// One portfolio: stories that name any of its entities, over time.
import { chartFrame, fade } from "../lib/charts";
import { pageData } from "../lib/config";
import { formatNumber, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  start: string;
  stories: number;
  negative: number;
}

const { points, label } = pageData<{ points: Point[]; label: string }>("portfolio-data")!;
const at = (point: Point): number => Date.parse(point.start);
const stories = points.reduce((all, point) => all + point.stories, 0);
const negative = points.reduce((all, point) => all + point.negative, 0);

chartFrame("portfolio-chart").set({
  columns: [t("Time"), t("Stories"), t("Negative stories")],
  rows: points.map((point) => [new Date(point.start), point.stories, point.negative]),
  says: stories
    ? t("{all} stories in the {range}, {share} of them negative.", {
        all: formatNumber(stories, 0),
        range: label,
        share: formatPercent(negative / stories),
      })
    : t("No story named any of them in this time."),
  option: (c) => ({
    xAxis: { type: "time" },
    yAxis: { type: "value", minInterval: 1 },
    legend: { bottom: 0 },
    grid: { left: 8, right: 16, top: 12, bottom: 32, containLabel: true },
    series: [
      {
        name: t("Stories"),
        type: "line",
        step: "end",
        symbol: "none",
        color: c.faint,
        data: points.map((point) => [at(point), point.stories]),
      },
      {
        name: t("Negative stories"),
        type: "line",
        step: "end",
        symbol: "none",
        color: c.negative,
        areaStyle: { color: fade(c.negative, 0.2) },
        data: points.map((point) => [at(point), point.negative]),
      },
    ],
  }),
});
