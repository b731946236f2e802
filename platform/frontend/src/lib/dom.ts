// Small helpers to make elements: text never becomes HTML, styles never become attributes.
import { config } from "./config";

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>;

/** An element with attributes (`on…` functions become listeners) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child)));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A Lucide icon; decoration only, so give its button an `aria-label`. */
export function icon(name: string, extra = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${config?.sprite ?? "/static/dist/icons.svg"}#${name}`);
  svg.append(use);
  return svg;
}

/** Says something to screen readers without moving the focus. */
export function announce(text: string): void {
  const region = document.getElementById("announce");
  if (!region) return;
  region.textContent = "";
  // A region that is emptied and filled in the same turn is not read out again.
  setTimeout(() => (region.textContent = text), 50);
}

/** Whether the person asked for less motion. */
export function calm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Whether a key press belongs to a field and not to the page. */
export function typing(event: Event): boolean {
  const target = event.target as HTMLElement | null;
  const field = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable='true']";
  return Boolean(target?.closest?.(field));
}
