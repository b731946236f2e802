// Runs side by side: their curves in one plot each.
import { type Cell, chartFrame } from "../lib/charts";
import { pageData } from "../lib/config";
import { figureName, figureText, isShare } from "../lib/figures";
import { formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  step: number;
  epoch: number;
  loss: number | null;
  metrics: Record<string, number> | null;
}

interface Curve {
  key: string;
  label: string;
  headline: string;
  points: Point[];
}

const GRID = { grid: { left: 8, right: 16, top: 28, bottom: 28, containLabel: true }, legend: { top: 0, right: 0 } };

function start({ curves }: { curves: Curve[] }): void {
  const main = curves.find((curve) => curve.headline)?.headline ?? "macro_f1";
  const quality = curves.map((curve) => ({
    label: curve.label,
    data: curve.points.filter((point) => point.metrics?.[main] !== undefined).map((point): Cell[] => [point.epoch, point.metrics?.[main] ?? null]),
  }));
  const losses = curves.map((curve) => ({
    label: curve.label,
    data: curve.points.filter((point) => point.loss !== null).map((point): Cell[] => [point.epoch, point.loss]),
  }));
  const rows = (series: typeof quality): Cell[][] => series.flatMap(({ label, data }) => data.map((cells): Cell[] => [label, ...cells]));
  const bests = quality
    .map(({ label, data }) => ({ label, best: Math.max(...data.map(([, value]) => Number(value))) }))
    .filter(({ best }) => Number.isFinite(best))
    .sort((a, b) => b.best - a.best);
  const first = bests[0];
  chartFrame("compare-quality").set({
    columns: [t("Run"), t("Epoch"), figureName(main)],
    rows: rows(quality),
    says: first
      ? t("{label} comes highest: {figure} {value}.", { label: first.label, figure: figureName(main), value: figureText(main, first.best) })
      : t("None of them has been measured while it trained."),
    option: (c) => ({
      ...GRID,
      xAxis: { type: "value", name: t("Epoch"), nameLocation: "middle", nameGap: 24, min: 0 },
      yAxis: isShare(main)
        ? { type: "value", scale: true, max: 1, axisLabel: { formatter: (value: number) => formatPercent(value) } }
        : { type: "value", scale: true },
      series: quality.map(({ label, data }, place) => ({
        type: "line", name: label, data, color: c.data[place % c.data.length], showSymbol: true, symbol: SYMBOLS[place % SYMBOLS.length],
      })),
    }),
  });
  chartFrame("compare-loss").set({
    columns: [t("Run"), t("Epoch"), t("Training loss")],
    rows: rows(losses),
    says: t("The mean loss of the training rows, by epoch."),
    option: (c) => ({
      ...GRID,
      xAxis: { type: "value", name: t("Epoch"), nameLocation: "middle", nameGap: 24, min: 0 },
      yAxis: { type: "value", scale: true },
      series: losses.map(({ label, data }, place) => ({
        type: "line", name: label, data, color: c.data[place % c.data.length], lineStyle: { type: DASHES[place % DASHES.length] },
      })),
    }),
  });
}

// Colour is not the only sign.
const SYMBOLS = ["circle", "rect", "triangle", "diamond", "pin", "roundRect"];
const DASHES = ["solid", "dashed", "dotted"];

const data = pageData<{ curves: Curve[] }>("compare-data");
if (data) start(data);
