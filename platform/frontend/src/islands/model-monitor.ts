// One deployment over time: answers, confidence, time, labels, languages, late labels and drift, by version and role.
import { type Cell, chartFrame, type Colours } from "../lib/charts";
import { pageData } from "../lib/config";
import { announce } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatNumber, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";

interface Point {
  at: string;
  answered: number;
  failed: number;
  confidence: number | null;
  latency_p50: number | null;
  latency_p95: number | null;
  compared: number;
  agreement: number | null;
  labels: Record<string, number>;
  languages: Record<string, number>;
  confidences: number[];
}

interface Line {
  version: string;
  label: string;
  role: "live" | "canary" | "shadow";
  points: Point[];
}

interface Signal {
  signal: string;
  p_value: number;
  effect: number;
  drifted: boolean;
}

interface MonitorData {
  lastEventId: number;
  deployment: string;
  width_seconds: number;
  lines: Line[];
  labelled: { version: string; label: string; points: { at: string; known: number; right: number }[] }[];
  drift: { at: string; drifted: boolean; rows: number; signals: Signal[] }[];
}

const GRID = { grid: { left: 8, right: 16, top: 8, bottom: 28, containLabel: true }, legend: { bottom: 0, type: "scroll" } };
const DASHES = { live: "solid", canary: "dashed", shadow: "dotted" } as const;
const ORDER = ["live", "canary", "shadow"];
// Lines of more labels than this cannot be told apart.
const MOST_LABELS = 7;

const data = pageData<MonitorData>("monitor-data")!;
const roles = { live: "", canary: t("canary"), shadow: t("shadow") };
// "v3, canary": the name of the deployment's own series goes without saying.
const short = (label: string): string => label.replace(`${data.deployment} `, "");
const nameOf = (line: Line): string => [short(line.label), roles[line.role]].filter(Boolean).join(", ");
const ms = (at: string): number => Date.parse(at);
const share = (value: number): string => formatPercent(value);
data.lines.sort((a, b) => ORDER.indexOf(a.role) - ORDER.indexOf(b.role));
const answering = data.lines.filter((line) => line.role !== "shadow");

/** Lines of one figure, a colour for each version and a dash for each role. */
function lines(id: string, title: string, value: (point: Point) => number | null, says: string, asShare: boolean): void {
  chartFrame(id).set({
    columns: [t("Time"), t("Version"), title],
    rows: data.lines.flatMap((line) => line.points.map((point): Cell[] => [new Date(point.at), nameOf(line), value(point)])),
    says,
    option: (c) => ({
      ...GRID,
      xAxis: { type: "time" },
      yAxis: asShare ? { type: "value", scale: true, max: 1, axisLabel: { formatter: share } } : { type: "value", min: 0 },
      tooltip: { trigger: "axis", valueFormatter: asShare ? share : (value: number) => formatNumber(value, 0) },
      series: data.lines.map((line, place) => ({
        name: nameOf(line),
        type: "line",
        color: c.data[place % c.data.length],
        lineStyle: { type: DASHES[line.role] },
        showSymbol: line.points.length < 3,
        data: line.points.map((point) => [ms(point.at), value(point)]),
      })),
    }),
  });
}

function mean(values: [number | null, number][]): number | null {
  const known = values.filter((pair): pair is [number, number] => pair[0] !== null);
  const weight = known.reduce((sum, [, count]) => sum + count, 0);
  return weight > 0 ? known.reduce((sum, [value, count]) => sum + value * count, 0) / weight : null;
}

function answers(): void {
  const failed = answering.reduce((sum, line) => sum + line.points.reduce((all, point) => all + point.failed, 0), 0);
  const total = answering.reduce((sum, line) => sum + line.points.reduce((all, point) => all + point.answered, 0), 0);
  // Stacks want a value of every series at every moment.
  const moments = [...new Set(answering.flatMap((line) => line.points.map((point) => ms(point.at))))].sort((a, b) => a - b);
  const sums = (of: Line[], count: (point: Point) => number): number[][] => {
    const found = new Map<number, number>();
    for (const point of of.flatMap((line) => line.points)) found.set(ms(point.at), (found.get(ms(point.at)) ?? 0) + count(point));
    return moments.map((at) => [at, found.get(at) ?? 0]);
  };
  chartFrame("monitor-answers").set({
    columns: [t("Time"), t("Version"), t("Answers"), t("No answer")],
    rows: answering.flatMap((line) => line.points.map((point): Cell[] => [new Date(point.at), nameOf(line), point.answered, point.failed])),
    says: t("{answered} answers; {failed} texts got none.", { answered: formatNumber(total, 0), failed: formatNumber(failed, 0) }),
    option: (c) => ({
      ...GRID,
      xAxis: { type: "time" },
      yAxis: { type: "value", minInterval: 1 },
      series: [
        ...answering.map((line, place) => ({
          name: nameOf(line),
          type: "bar",
          stack: "all",
          color: c.data[place % c.data.length],
          data: sums([line], (point) => point.answered),
        })),
        {
          name: t("No answer"),
          type: "bar",
          stack: "all",
          color: c.negative,
          itemStyle: { decal: { symbol: "rect", rotation: Math.PI / 4, dashArrayX: [1, 0], dashArrayY: [2, 4], color: "rgba(255,255,255,0.5)" } },
          data: sums(answering, (point) => point.failed),
        },
      ],
    }),
  });
}

/** Shares of classes over time, of everything that applications were answered. */
function mix(id: string, kind: "labels" | "languages", says: (top: string, part: string) => string): void {
  const times = new Map<number, Map<string, number>>();
  const totals = new Map<string, number>();
  for (const line of answering) {
    for (const point of line.points) {
      const here = times.get(ms(point.at)) ?? new Map<string, number>();
      times.set(ms(point.at), here);
      for (const [name, count] of Object.entries(point[kind])) {
        here.set(name, (here.get(name) ?? 0) + count);
        totals.set(name, (totals.get(name) ?? 0) + count);
      }
    }
  }
  const order = [...totals].sort((a, b) => b[1] - a[1]);
  const all = order.reduce((sum, [, count]) => sum + count, 0);
  const shown = order.slice(0, MOST_LABELS).map(([name]) => name);
  const moments = [...times.keys()].sort((a, b) => a - b);
  const part = (at: number, name: string): number => {
    const here = times.get(at)!;
    const whole = [...here.values()].reduce((sum, count) => sum + count, 0);
    return whole > 0 ? (here.get(name) ?? 0) / whole : 0;
  };
  chartFrame(id).set({
    columns: [t("Time"), ...shown],
    rows: moments.map((at): Cell[] => [new Date(at), ...shown.map((name) => part(at, name))]),
    says: order[0] ? says(order[0][0], formatPercent(order[0][1] / all)) : t("Nothing is known of them in this time."),
    option: (c) => ({
      ...GRID,
      xAxis: { type: "time" },
      yAxis: { type: "value", min: 0, max: 1, axisLabel: { formatter: share } },
      tooltip: { trigger: "axis", valueFormatter: share },
      series: shown.map((name, place) => ({
        name,
        type: "line",
        stack: "all",
        color: c.data[place % c.data.length],
        areaStyle: { opacity: 0.35 },
        lineStyle: { width: 1 },
        data: moments.map((at) => [at, part(at, name)]),
      })),
    }),
  });
}

function histogram(): void {
  const counts = data.lines.map((line) =>
    Array.from({ length: 20 }, (_, place) => line.points.reduce((sum, point) => sum + (point.confidences[place] ?? 0), 0)),
  );
  const bins = Array.from({ length: 20 }, (_, place) => `${place * 5}–${place * 5 + 5} %`);
  const parts = counts.map((each) => {
    const whole = each.reduce((sum, count) => sum + count, 0);
    return each.map((count) => (whole > 0 ? count / whole : 0));
  });
  const all = bins.map((_, place) => counts.reduce((sum, each) => sum + (each[place] ?? 0), 0));
  const whole = all.reduce((sum, count) => sum + count, 0);
  const unsure = all.slice(0, 12).reduce((sum, count) => sum + count, 0);
  chartFrame("monitor-histogram").set({
    columns: [t("Confidence"), ...data.lines.map(nameOf)],
    rows: bins.map((bin, place): Cell[] => [bin, ...counts.map((each) => each[place] ?? 0)]),
    says: t("{part} of the answers are less than 60 % sure.", { part: formatPercent(whole > 0 ? unsure / whole : 0, 1) }),
    option: (c: Colours) => ({
      ...GRID,
      xAxis: { type: "category", data: bins },
      yAxis: { type: "value", axisLabel: { formatter: share } },
      tooltip: { trigger: "axis", valueFormatter: share },
      series: data.lines.map((line, place) => ({ name: nameOf(line), type: "bar", color: c.data[place % c.data.length], data: parts[place] })),
    }),
  });
}

function agreement(): void {
  const shadows = data.lines.filter((line) => line.role === "shadow");
  const series = [
    ...data.labelled.map((line) => ({
      name: t("{version}: right", { version: short(line.label) }),
      points: line.points.map((point): [number, number] => [ms(point.at), point.right / point.known]),
    })),
    ...shadows.map((line) => ({
      name: t("{version}: same as answered", { version: short(line.label) }),
      points: line.points.filter((point) => point.agreement !== null).map((point): [number, number] => [ms(point.at), point.agreement ?? 0]),
    })),
  ];
  const known = data.labelled.reduce((sum, line) => sum + line.points.reduce((all, point) => all + point.known, 0), 0);
  const right = data.labelled.reduce((sum, line) => sum + line.points.reduce((all, point) => all + point.right, 0), 0);
  chartFrame("monitor-agreement").set({
    columns: [t("Time"), t("Line"), t("Share")],
    rows: series.flatMap((line) => line.points.map(([at, value]): Cell[] => [new Date(at), line.name, value])),
    says:
      known > 0
        ? t("{part} of {known} answers agree with the labels that came later.", { part: formatPercent(right / known, 1), known: formatNumber(known, 0) })
        : t("No label has come for an answer of this time yet."),
    option: (c) => ({
      ...GRID,
      xAxis: { type: "time" },
      yAxis: { type: "value", min: 0, max: 1, axisLabel: { formatter: share } },
      tooltip: { trigger: "axis", valueFormatter: share },
      series: series.map((line, place) => ({
        name: line.name, type: "line", showSymbol: true, color: c.data[place % c.data.length], data: line.points,
      })),
    }),
  });
}

function drift(): void {
  const names: Record<string, string> = {
    text: t("topics and wording"), length: t("length"), language: t("languages"), label: t("labels given"), confidence: t("confidence"),
  };
  const signals = [...new Set(data.drift.flatMap((window) => window.signals.map((signal) => signal.signal)))];
  const drifted = data.drift.filter((window) => window.drifted).length;
  // Evidence grows to the top: 3 is a chance of one in a thousand.
  const evidence = (value: number): number => Math.round(-100 * Math.log10(value)) / 100;
  chartFrame("monitor-drift").set({
    columns: [t("Time"), t("Signal"), t("p-value"), t("Drifted")],
    rows: data.drift.flatMap((window) =>
      window.signals.map((signal): Cell[] => [new Date(window.at), names[signal.signal] ?? signal.signal, signal.p_value, signal.drifted ? t("yes") : t("no")]),
    ),
    says:
      data.drift.length > 0
        ? t("{drifted} of {count} windows have drifted.", { drifted, count: data.drift.length })
        : t("No window of texts was judged in this time."),
    option: (c) => ({
      ...GRID,
      xAxis: { type: "time" },
      yAxis: { type: "value", min: 0, name: "−log₁₀ p" },
      series: signals.map((name, place) => ({
        name: names[name] ?? name,
        type: "line",
        showSymbol: true,
        color: c.data[place % c.data.length],
        data: data.drift.map((window) => {
          const signal = window.signals.find((each) => each.signal === name);
          return { value: [ms(window.at), signal ? evidence(signal.p_value) : null], symbol: signal?.drifted ? "diamond" : "circle", symbolSize: signal?.drifted ? 11 : 5 };
        }),
      })),
    }),
  });
}

function draw(): void {
  answers();
  const sure = mean(answering.flatMap((line) => line.points.map((point): [number | null, number] => [point.confidence, point.answered])));
  lines("monitor-confidence", t("Confidence"), (point) => point.confidence, t("The mean probability of the answers is {mean}.", { mean: formatPercent(sure, 1) }), true);
  lines("monitor-latency", t("Milliseconds"), (point) => point.latency_p95, t("The time within which 95 of 100 texts had an answer, in milliseconds."), false);
  mix("monitor-labels", "labels", (top, part) => t("Most often {label}, {part} of the answers.", { label: top, part }));
  mix("monitor-languages", "languages", (top, part) => t("Most often {language}, {part} of the texts.", { language: top, part }));
  histogram();
  agreement();
  drift();
}

if (data.lines.length > 0) draw();
subscribe("models", data.lastEventId, (event) => {
  const about = event.data as { deployment?: string; name?: string };
  const ours = about.deployment === data.deployment || about.name === data.deployment;
  if (ours && /^(alarm|deployment)\./.test(event.event)) {
    announce(t("Something happened to this deployment; the page is loaded again."));
    location.reload();
  }
});
