// An island for the test of the charts: the gallery's trend, as a sentiment chart.
import { chartFrame, fade } from "../../../platform/frontend/src/lib/charts";
import { pageData } from "../../../platform/frontend/src/lib/config";

const rows = pageData<{ at: string; n: number; neg: number }[]>("trend-data") ?? [];
const frame = chartFrame("trend");
frame.set({
  columns: ["Time", "Headlines", "Negative", "Note"],
  rows: rows.map((row, i) => [new Date(row.at), row.n, row.neg, i === 0 ? '=1+1 "quoted", cell' : null]),
  says: "Negative headlines stayed between 4 and 12 each half hour; none is missing.",
  option: (c) => ({
    xAxis: { type: "time" },
    yAxis: { type: "value" },
    series: [
      { type: "bar", name: "Headlines", data: rows.map((row) => [row.at, row.n]), itemStyle: { color: fade(c.neutral, 0.3) } },
      {
        type: "line",
        name: "Negative",
        data: rows.map((row) => [row.at, row.neg]),
        color: c.negative,
        endLabel: { show: true, formatter: "{a}", color: c.negative },
        areaStyle: { color: fade(c.negative, 0.15) },
      },
    ],
  }),
});
