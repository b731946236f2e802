// One alert: its numbers against the baseline, and what happens to it while the page is open.
import { chartFrame, fade } from "../lib/charts";
import { pageData } from "../lib/config";
import { announce } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatMoment } from "../lib/format";
import { t } from "../lib/i18n";

interface Verdict {
  start: string;
  observed: number;
  expected: number;
  total: number;
}

interface AlertData {
  lastEventId: number;
  alert: { id: string; state: string; opened_at: string; resolved_at: string | null; peak_negative: number };
  series: Verdict[];
}

const { alert, series, lastEventId } = pageData<AlertData>("alert-data")!;
const frame = chartFrame("alert-chart");

function draw(): void {
  const at = (verdict: Verdict): number => Date.parse(verdict.start);
  frame.set({
    columns: [t("Time"), t("Negative stories"), t("Expected"), t("All stories")],
    rows: series.map((verdict) => [new Date(verdict.start), verdict.observed, verdict.expected, verdict.total]),
    says: t("Up to {peak} negative stories in one window since {time}.", {
      peak: alert.peak_negative,
      time: formatMoment(new Date(alert.opened_at)),
    }),
    option: (c) => ({
      xAxis: { type: "time" },
      yAxis: { type: "value", minInterval: 1 },
      legend: { bottom: 0 },
      grid: { left: 8, right: 8, top: 16, bottom: 32, containLabel: true },
      series: [
        {
          name: t("Negative stories"),
          type: "line",
          step: "end",
          data: series.map((verdict) => [at(verdict), verdict.observed]),
          color: c.negative,
          areaStyle: { color: fade(c.negative, 0.15) },
          markArea: {
            silent: true,
            itemStyle: { color: fade(c.faint, 0.12) },
            data: [[{ xAxis: Date.parse(alert.opened_at) }, { xAxis: Date.parse(alert.resolved_at ?? series.at(-1)?.start ?? alert.opened_at) }]],
          },
        },
        {
          name: t("Expected"),
          type: "line",
          data: series.map((verdict) => [at(verdict), verdict.expected]),
          color: c.faint,
          lineStyle: { type: "dashed" },
        },
        {
          name: t("All stories"),
          type: "line",
          data: series.map((verdict) => [at(verdict), verdict.total]),
          color: c.data[0],
          lineStyle: { width: 1 },
        },
      ],
    }),
  });
}

// What happened to it beside its figures: the server renders the log and the messages anew.
const LOGGED = new Set(["alert.notified", "alert.told"]);

draw();
subscribe("finance.alerts", lastEventId, (event) => {
  const changed = event.data as AlertData["alert"] & { last_seen_at: string; observed: number; expected: number; total: number };
  if (changed.id !== alert.id) return;
  document.body.dispatchEvent(new CustomEvent("alert-told"));
  if (LOGGED.has(event.event)) return;
  if (changed.state !== alert.state) {
    announce(t("The state of this alert has changed."));
    location.reload();
    return;
  }
  Object.assign(alert, changed);
  series.push({ start: changed.last_seen_at, observed: changed.observed, expected: changed.expected, total: changed.total });
  draw();
});
