// The steps drawn: in layers by their distance from the first, every way with what leads along it.
import { t } from "../lib/i18n";
import { edgesOf, kindWord, summary, type Definition, type Fault, type Step } from "./model";

const WIDTH = 168;
const HEIGHT = 52;
const GAP_X = 28;
const GAP_Y = 56;
const SVG = "http://www.w3.org/2000/svg";

interface Place {
  x: number;
  y: number;
  layer: number;
}

function svg(tag: string, attributes: Record<string, string | number>, ...children: (Node | string)[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** The layer of each step: the longest way that leads to it without going back, so that most ways point down. */
export function layers(definition: Definition): Map<string, number> {
  const steps = new Map(definition.steps.map((step) => [step.id, step]));
  const layer = new Map<string, number>();
  const open = new Set<string>();
  const visit = (id: string, depth: number): void => {
    const step = steps.get(id);
    if (!step || open.has(id) || (layer.get(id) ?? -1) >= depth || depth > steps.size) return;
    layer.set(id, depth);
    open.add(id);
    for (const edge of edgesOf(step, "en")) visit(edge.to, depth + 1);
    open.delete(id);
  };
  visit(definition.start, 0);
  // What no way leads to stands below everything.
  const last = Math.max(0, ...layer.values()) + 1;
  for (const id of steps.keys()) if (!layer.has(id)) layer.set(id, last);
  return layer;
}

function places(definition: Definition): { at: Map<string, Place>; width: number; height: number } {
  const layer = layers(definition);
  const rows: Step[][] = [];
  for (const step of definition.steps) (rows[layer.get(step.id) ?? 0] ??= []).push(step);
  const widest = Math.max(1, ...rows.map((row) => row?.length ?? 0));
  const width = widest * (WIDTH + GAP_X) + GAP_X;
  const at = new Map<string, Place>();
  rows.forEach((row, depth) => {
    const free = width - row.length * (WIDTH + GAP_X) + GAP_X;
    row.forEach((step, index) => {
      at.set(step.id, { x: free / 2 + index * (WIDTH + GAP_X), y: 12 + depth * (HEIGHT + GAP_Y), layer: depth });
    });
  });
  return { at, width, height: rows.length * (HEIGHT + GAP_Y) };
}

function clip(text: string, most: number): string {
  // A Chinese character is as wide as two letters.
  let width = 0;
  for (const [index, letter] of [...text].entries()) {
    width += letter.charCodeAt(0) > 0x2e80 ? 2 : 1;
    if (width > most) return `${[...text].slice(0, index).join("")}…`;
  }
  return text;
}

export interface Drawing {
  faults: Fault[];
  // The step that the run in the simulator stands at, and those it has passed.
  current: string;
  passed: Set<string>;
  language: "en" | "zh";
  open: (id: string) => void;
}

/** The drawing; each step is a link that opens it. */
export function draw(definition: Definition, how: Drawing): SVGElement {
  const { at, width, height } = places(definition);
  const wrong = new Set(
    how.faults.map((fault) => definition.steps[Number(fault.pointer.split("/")[2])]?.id).filter(Boolean),
  );
  const title = t("{count} steps, beginning with {start}", { count: definition.steps.length, start: definition.start });
  const marker = svg(
    "marker",
    { id: "flow-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
    svg("path", { d: "M0 0 8 4 0 8z", class: "flow-arrow" }),
  );
  const ways = svg("g", { class: "flow-ways" });
  const labels = svg("g", { class: "flow-labels", "aria-hidden": "true" });
  const taken: { x: number; y: number }[] = [];
  for (const step of definition.steps) {
    const from = at.get(step.id);
    if (!from) continue;
    const edges = edgesOf(step, how.language);
    edges.forEach((edge, index) => {
      const to = at.get(edge.to);
      if (!to) return;
      const startX = from.x + (WIDTH * (index + 1)) / (edges.length + 1);
      const startY = from.y + HEIGHT;
      const endX = to.x + WIDTH / 2;
      const back = to.layer <= from.layer;
      const side = Math.max(from.x, to.x) + WIDTH + 14 + index * 6;
      const path = back
        ? `M${from.x + WIDTH} ${from.y + HEIGHT / 2} C${side} ${from.y + HEIGHT / 2} ${side} ${to.y + HEIGHT / 2} ${to.x + WIDTH} ${to.y + HEIGHT / 2}`
        : `M${startX} ${startY} C${startX} ${startY + GAP_Y * 0.6} ${endX} ${to.y - GAP_Y * 0.6} ${endX} ${to.y}`;
      const kind = edge.field.startsWith("on_") ? "flow-way flow-way-else" : "flow-way";
      ways.append(svg("path", { d: path, class: kind, "marker-end": "url(#flow-arrow)" }));
      if (!edge.label || back) return;
      const spot = { x: startX, y: startY + 15 };
      while (taken.some((one) => Math.abs(one.y - spot.y) < 11 && Math.abs(one.x - spot.x) < 84)) spot.y += 11;
      taken.push(spot);
      labels.append(svg("text", { x: spot.x, y: spot.y, class: "flow-label" }, clip(edge.label, 16)));
    });
  }
  const nodes = definition.steps.map((step) => {
    const place = at.get(step.id) ?? { x: 0, y: 0 };
    const state = [
      "flow-node",
      `flow-node-${step.kind}`,
      wrong.has(step.id) && "flow-node-wrong",
      how.passed.has(step.id) && "flow-node-passed",
      how.current === step.id && "flow-node-current",
    ];
    const link = svg(
      "a",
      {
        href: `#step-${step.id}`,
        class: state.filter(Boolean).join(" "),
        transform: `translate(${place.x} ${place.y})`,
        "aria-label": `${kindWord(step.kind)}: ${step.id}${wrong.has(step.id) ? `, ${t("has a fault")}` : ""}`,
      },
      svg("rect", { width: WIDTH, height: HEIGHT, rx: 6 }),
      svg("text", { x: 12, y: 21, class: "flow-node-kind" }, `${kindWord(step.kind)} · ${clip(step.id, 14)}`),
      svg("text", { x: 12, y: 39, class: "flow-node-text" }, clip(summary(step, how.language), 22)),
    );
    link.addEventListener("click", (event) => {
      event.preventDefault();
      how.open(step.id);
    });
    return link;
  });
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, class: "flow-drawing", role: "group", "aria-label": title },
    svg("defs", {}, marker),
    ways,
    labels,
    ...nodes,
  );
}
