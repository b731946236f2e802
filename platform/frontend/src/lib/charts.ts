// Charts with their frame: `{% chart_frame "id" title %}` gives the place, chartFrame() fills it with the plot, the
// sentence that says what it shows, the table view and the CSV. Import it from islands only: it brings ECharts along.
import { BarChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent,
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  MarkPointComponent,
  TooltipComponent,
  VisualMapComponent,
} from "echarts/components";
import { type EChartsCoreOption, type ECharts, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { calm, h } from "./dom";
import { formatMoment } from "./format";
import { t } from "./i18n";

use([
  AriaComponent, BarChart, CanvasRenderer, DataZoomComponent, GridComponent, HeatmapChart, LegendComponent, LineChart,
  MarkAreaComponent, MarkLineComponent, MarkPointComponent, ScatterChart, TooltipComponent, VisualMapComponent,
]);

export type { EChartsCoreOption, ECharts };

export type Cell = string | number | Date | null;

/** What a chart shows, three ways: as a plot, as a table and as a sentence. */
export interface ChartContent {
  /** ECharts options without colours and fonts: the theme gives them. Called again when the theme changes. */
  option: (colours: Colours) => EChartsCoreOption;
  columns: string[];
  rows: Cell[][];
  /** "Negative share rose from 12 % to 31 % since 14:00." Say what is missing, too. */
  says: string;
}

/** The colours of the page as it looks now. */
export interface Colours {
  text: string;
  faint: string;
  line: string;
  surface: string;
  accent: string;
  positive: string;
  neutral: string;
  negative: string;
  up: string;
  down: string;
  data: string[];
}

/** Colours are light-dark() tokens; only a used property tells which of the two holds. */
function token(name: string): string {
  const probe = h("span", { hidden: true });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

export function colours(): Colours {
  return {
    text: token("text-2"),
    faint: token("text-3"),
    line: token("line"),
    surface: token("surface"),
    accent: token("accent"),
    positive: token("positive"),
    neutral: token("neutral"),
    negative: token("negative"),
    up: token("up"),
    down: token("down"),
    data: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => token(`data-${n}`)),
  };
}

/** The same colour, see-through: for areas and bands. */
export function fade(colour: string, alpha: number): string {
  const parts = colour.match(/[\d.]+/g)?.slice(0, 3) ?? ["128", "128", "128"];
  return `rgba(${parts.join(", ")}, ${alpha})`;
}

/** Patterns for areas of a sentiment, so that colour is not the only sign. */
export const SENTIMENT_PATTERN = {
  positive: { symbol: "none" },
  neutral: { symbol: "circle", symbolSize: 0.35, dashArrayX: [[3, 3]], dashArrayY: [3, 3], color: "rgba(255,255,255,0.35)" },
  negative: { symbol: "rect", symbolSize: 1, rotation: Math.PI / 4, dashArrayX: [1, 0], dashArrayY: [2, 4], color: "rgba(255,255,255,0.4)" },
} as const;

function theme(c: Colours): object {
  const font = getComputedStyle(document.body).fontFamily;
  const axis = {
    axisLine: { lineStyle: { color: c.line } },
    axisTick: { show: false },
    axisLabel: { color: c.faint, fontSize: 11, hideOverlap: true },
    splitLine: { lineStyle: { color: c.line, type: "dashed" } },
    nameTextStyle: { color: c.faint, fontSize: 11 },
  };
  return {
    color: c.data,
    textStyle: { fontFamily: font, color: c.text, fontSize: 12 },
    categoryAxis: { ...axis, splitLine: { show: false } },
    timeAxis: { ...axis, splitLine: { show: false } },
    valueAxis: { ...axis, axisLine: { show: false } },
    logAxis: axis,
    legend: { textStyle: { color: c.text }, itemWidth: 14, itemHeight: 8, icon: "roundRect" },
    tooltip: {
      backgroundColor: token("raised"),
      borderColor: c.line,
      borderWidth: 1,
      padding: [8, 12],
      textStyle: { color: token("text"), fontSize: 12 },
      axisPointer: { lineStyle: { color: c.faint }, crossStyle: { color: c.faint } },
      // The tooltip's own HTML has inline styles, which the page's policy forbids in markup but not from script.
      renderMode: "html",
    },
    line: { symbol: "circle", symbolSize: 5, showSymbol: false, lineStyle: { width: 1.75 } },
    bar: { itemStyle: { borderRadius: [2, 2, 0, 0] }, barMaxWidth: 28 },
  };
}

function cellText(cell: Cell): string {
  if (cell === null) return "";
  if (cell instanceof Date) return formatMoment(cell);
  return typeof cell === "number" ? String(Math.round(cell * 10_000) / 10_000) : cell;
}

/** Rows as CSV that spreadsheets read right: UTF-8 with a mark, ISO times, no formulas. */
export function csv(columns: string[], rows: Cell[][]): string {
  const field = (cell: Cell): string => {
    let text = cell instanceof Date ? cell.toISOString() : String(cell ?? "");
    if (typeof cell === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `\ufeff${[columns, ...rows].map((row) => row.map(field).join(",")).join("\r\n")}\r\n`;
}

export class ChartFrame {
  private readonly plot: HTMLElement;
  private readonly table: HTMLElement;
  private readonly says: HTMLElement;
  private chart: ECharts | null = null;
  private content: ChartContent | null = null;

  constructor(private readonly figure: HTMLElement) {
    const part = (selector: string): HTMLElement => {
      const element = figure.querySelector<HTMLElement>(selector);
      if (!element) throw new Error(`#${figure.id} is not a {% chart_frame %}: it has no ${selector}`);
      return element;
    };
    this.plot = part(".chart-plot");
    this.table = part(".chart-table");
    this.says = part(".chart-says");
    part('[data-chart="table"]').addEventListener("click", (event) => {
      const button = event.currentTarget as HTMLElement;
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      this.table.hidden = !on;
      this.plot.hidden = on;
      if (on) this.drawTable();
      else this.chart?.resize();
    });
    part('[data-chart="csv"]').addEventListener("click", () => this.download());
    new ResizeObserver(() => this.plot.clientWidth > 0 && this.chart?.resize()).observe(this.plot);
    document.addEventListener("themechange", () => {
      this.chart?.dispose();
      this.chart = null;
      if (this.content) this.draw();
    });
  }

  /** Shows new content; the parts that stay the same move to their new place. */
  set(content: ChartContent): void {
    this.content = content;
    this.draw();
  }

  /** The ECharts instance, for events such as `datazoom` and `click`. */
  get instance(): ECharts {
    this.chart ??= this.make();
    return this.chart;
  }

  private make(): ECharts {
    const chart = init(this.plot, theme(colours()), { renderer: "canvas" });
    this.plot.setAttribute("role", "img");
    return chart;
  }

  private draw(): void {
    const content = this.content;
    if (!content) return;
    this.says.textContent = content.says;
    this.plot.setAttribute("aria-label", content.says);
    if (!this.table.hidden) this.drawTable();
    this.instance.setOption(
      {
        animation: !calm(),
        animationDuration: 250,
        animationDurationUpdate: 250,
        grid: { left: 8, right: 16, top: 24, bottom: 8, containLabel: true },
        tooltip: { trigger: "axis" },
        ...content.option(colours()),
      },
      { replaceMerge: ["series"] },
    );
  }

  private drawTable(): void {
    const { columns, rows } = this.content ?? { columns: [], rows: [] };
    const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number"));
    const cls = (i: number): string | null => (numeric[i] ? "num" : null);
    this.table.replaceChildren(
      h(
        "table",
        { class: "table" },
        h("thead", {}, h("tr", {}, ...columns.map((name, i) => h("th", { scope: "col", class: cls(i) }, name)))),
        h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell, i) => h("td", { class: cls(i) }, cellText(cell)))))),
      ),
    );
    if (rows.length === 0) this.table.replaceChildren(h("p", { class: "tray-empty" }, t("There is no data in this range.")));
  }

  private download(): void {
    if (!this.content) return;
    const blob = new Blob([csv(this.content.columns, this.content.rows)], { type: "text/csv;charset=utf-8" });
    const link = h("a", { href: URL.createObjectURL(blob), download: `${this.figure.id}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
  }
}

/** The frame with this id: `chartFrame("sentiment").set({ … })`. */
export function chartFrame(id: string): ChartFrame {
  const figure = document.getElementById(id);
  if (!figure) throw new Error(`The page has no {% chart_frame "${id}" %}`);
  return new ChartFrame(figure);
}
