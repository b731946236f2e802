// The charts of an evaluation report: F1 by label, reliability, slices with intervals. A report without one has no frame.
import { type Cell, chartFrame } from "../lib/charts";
import { pageData } from "../lib/config";
import { formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Report {
  labels: { label: string; f1: number; support: number }[];
  reliability: { low: number; high: number; count: number; confidence: number; accuracy: number }[];
  slices: { name: string; score: number; interval: [number, number] | null; count: number }[];
}

// More bars cannot be read; the table view has all.
const MOST_BARS = 24;
const percentAxis = { type: "value", min: 0, max: 1, axisLabel: { formatter: (value: number) => formatPercent(value) } };

function drawLabels(labels: Report["labels"]): void {
  const sorted = [...labels].sort((a, b) => a.f1 - b.f1);
  const shown = sorted.slice(0, MOST_BARS).reverse();
  const worst = sorted[0];
  chartFrame("report-labels").set({
    columns: [t("Label"), "F1", t("Examples")],
    rows: sorted.map(({ label, f1, support }): Cell[] => [label, f1, support]),
    says: worst ? t("{label} is the hardest label: F1 {value}.", { label: worst.label, value: formatPercent(worst.f1, 1) }) : "",
    option: (c) => ({
      xAxis: percentAxis,
      yAxis: { type: "category", data: shown.map(({ label }) => label) },
      series: [{ type: "bar", name: "F1", data: shown.map(({ f1 }) => f1), color: c.accent }],
    }),
  });
}

function drawReliability(bins: Report["reliability"]): void {
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  const gap = bins.reduce((sum, bin) => sum + (bin.count / total) * (bin.confidence - bin.accuracy), 0);
  const points = Math.abs(gap * 100).toFixed(1);
  const says =
    gap > 0.005
      ? t("It is surer than it is right, by {points} points on average.", { points })
      : gap < -0.005
        ? t("It is more often right than it is sure, by {points} points on average.", { points })
        : t("On average it is as sure as it is right.");
  chartFrame("report-reliability").set({
    columns: [t("Sure to"), t("Right"), t("Examples")],
    rows: bins.map(({ confidence, accuracy, count }): Cell[] => [confidence, accuracy, count]),
    says,
    option: (c) => ({
      grid: { left: 8, right: 16, top: 28, bottom: 28, containLabel: true },
      legend: { top: 0, right: 0 },
      xAxis: { ...percentAxis, name: t("Sure to"), nameLocation: "middle", nameGap: 24 },
      yAxis: percentAxis,
      series: [
        { type: "line", name: t("Right"), data: bins.map((bin) => [bin.confidence, bin.accuracy]), color: c.accent, showSymbol: true },
        { type: "line", name: t("As sure as right"), data: [[0, 0], [1, 1]], color: c.faint, showSymbol: false, lineStyle: { type: "dashed" } },
      ],
    }),
  });
}

function drawSlices(slices: Report["slices"]): void {
  const shown = [...slices].sort((a, b) => a.score - b.score).slice(0, MOST_BARS).reverse();
  const worst = shown.at(-1);
  chartFrame("report-slices").set({
    columns: [t("Slice"), t("Value"), t("From"), t("To"), t("Examples")],
    rows: slices.map(({ name, score, interval, count }): Cell[] => [name, score, interval?.[0] ?? null, interval?.[1] ?? null, count]),
    says: worst ? t("It is worst on {name}: {value}.", { name: worst.name, value: formatPercent(worst.score, 1) }) : "",
    option: (c) => ({
      xAxis: percentAxis,
      yAxis: { type: "category", data: shown.map(({ name }) => name) },
      series: [
        // The interval is a see-through bar from its low end on, with the value as a point in it.
        { type: "bar", stack: "interval", silent: true, data: shown.map(({ interval, score }) => interval?.[0] ?? score), itemStyle: { color: "transparent" } },
        {
          type: "bar", stack: "interval", name: t("95 % interval"), barMaxWidth: 6, color: c.line,
          data: shown.map(({ interval }) => (interval ? interval[1] - interval[0] : 0)),
        },
        { type: "scatter", name: t("Value"), data: shown.map(({ name, score }) => [score, name]), color: c.accent, symbolSize: 8 },
      ],
      tooltip: { trigger: "item" },
    }),
  });
}

const data = pageData<Report>("report-data");
if (data) {
  if (data.labels.length > 0 && document.getElementById("report-labels")) drawLabels(data.labels);
  if (data.reliability.length > 0 && document.getElementById("report-reliability")) drawReliability(data.reliability);
  if (data.slices.length > 0 && document.getElementById("report-slices")) drawSlices(data.slices);
}
