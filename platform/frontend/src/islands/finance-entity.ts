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

/** A day's documents, how they spoke on the whole (−1 to 1), and what the listing closed at. */
interface PriceDay {
  day: string;
  documents: number;
  mean: number | null;
  close: number | null;
}

interface Prices {
  listing: string;
  currency: string;
  days: PriceDay[];
}

const { points, label, prices } = pageData<{ points: Point[]; label: string; prices: Prices | null }>("entity-data")!;
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

if (prices && document.getElementById("price-chart")) drawPrices(prices);

function drawPrices({ listing, currency, days }: Prices): void {
  const unit = currency ? `${listing}, ${currency}` : listing;
  chartFrame("price-chart").set({
    columns: [t("Day"), t("Close ({listing})", { listing: unit }), t("Mean sentiment"), t("Documents")],
    rows: days.map((day) => [day.day, day.close, day.mean, day.documents]),
    says: saysPrices(listing, days),
    option: (c) => ({
      legend: { bottom: 0 },
      // The number of documents stands below, so that no bar hides a line; a day is at the same place in both.
      grid: [
        { left: 60, right: 44, top: 28, height: "58%" },
        { left: 60, right: 44, bottom: 52, height: "16%" },
      ],
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      xAxis: [
        { type: "category", data: days.map((day) => day.day), axisLabel: { show: false } },
        { type: "category", data: days.map((day) => day.day), gridIndex: 1 },
      ],
      yAxis: [
        { type: "value", scale: true, name: unit, nameTextStyle: { align: "left" } },
        { type: "value", min: -1, max: 1, interval: 0.5, name: t("Mean sentiment"), nameTextStyle: { align: "right" }, splitLine: { show: false } },
        { type: "value", gridIndex: 1, minInterval: 1, splitNumber: 2 },
      ],
      series: [
        // A market rests at the weekend: its line goes on over the days without a price.
        { name: t("Close"), type: "line", color: c.text, connectNulls: true, data: days.map((day) => day.close) },
        {
          name: t("Mean sentiment"),
          type: "line",
          yAxisIndex: 1,
          color: c.accent,
          lineStyle: { width: 1.75, type: "dashed" },
          showSymbol: true,
          connectNulls: true,
          data: days.map((day) => day.mean),
          markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: c.line, type: "solid" }, data: [{ yAxis: 0 }] },
        },
        { name: t("Documents"), type: "bar", xAxisIndex: 1, yAxisIndex: 2, color: c.neutral, data: days.map((day) => day.documents) },
      ],
    }),
  });
}

function saysPrices(listing: string, days: PriceDay[]): string {
  const closed = days.filter((day) => day.close !== null);
  const [first, last] = [closed[0], closed[closed.length - 1]];
  const scored = days.filter((day) => day.mean !== null);
  const weight = scored.reduce((sum, day) => sum + day.documents, 0);
  const mean = weight ? scored.reduce((sum, day) => sum + day.mean! * day.documents, 0) / weight : null;
  const parts: string[] = [];
  if (!first || !last) parts.push(t("No price of {listing} is kept for these days.", { listing }));
  else
    parts.push(
      t("{listing} closed at {last} on {day}, {change} since {first}.", {
        listing,
        last: formatNumber(last.close!, 2),
        day: last.day,
        change: `${last.close! >= first.close! ? "+" : "−"}${formatPercent(Math.abs(last.close! / first.close! - 1), 1)}`,
        first: first.day,
      }),
    );
  parts.push(
    mean === null
      ? t("No document spoke of it in this time.")
      : t("Mean sentiment {mean}, from −1 to 1.", { mean: `${mean >= 0 ? "+" : "−"}${formatNumber(Math.abs(mean), 2)}` }),
  );
  return parts.join(" ");
}
