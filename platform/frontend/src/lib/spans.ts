// Stretches of a text that are to be judged one by one: the current one is shown in its text, a key names it.
import { h } from "./dom";
import { t } from "./i18n";

/** [start, end) in characters as Python counts them: code points, not the halves of them that strings have here. */
export type Span = [number, number];

export interface SpanJudge {
  readonly element: HTMLElement;
  /** What was said of each span so far. */
  readonly labels: (string | null)[];
  /** Names the current span and goes on to the next one without a name; null takes its name away. */
  name(label: string | null): void;
  /** Takes the labels of somebody else, such as a suggestion. */
  set(labels: string[]): void;
  /** Whether the key moved to another span. */
  key(event: KeyboardEvent): boolean;
  focus(): void;
}

const COLOURS = 8;

/** A judge for the `spans` of `text`; labels are told apart by colour and by their name beside the span. */
export function spanJudge(text: string, spans: Span[], given: string[], choices: () => string[]): SpanJudge {
  const characters = [...text];
  const cut = (start: number, end: number): string => characters.slice(start, end).join("");
  const labels: (string | null)[] = spans.map((_, place) => given[place] ?? null);
  let current = Math.max(0, labels.indexOf(null));
  const shown = h("p", { class: "annotate-text wrap" });
  const items = spans.map(([start, end], place) =>
    h("li", { class: "span-item", role: "option", onclick: () => go(place) }, h("span", { class: "tag-word" }, cut(start, end)), h("span", { class: "span-label" })),
  );
  const list = h("ul", { class: "span-list plain-list", role: "listbox", "aria-label": t("Spans"), tabindex: "0" }, ...items);
  const element = h("div", {}, shown, list);

  function colour(label: string | null): string {
    return label === null ? "" : String((Math.max(0, choices().indexOf(label)) % COLOURS) + 1);
  }

  function draw(): void {
    const [start, end] = spans[current] ?? [0, 0];
    const marked = h("mark", { class: "span-mark" }, cut(start, end));
    marked.dataset["colour"] = colour(labels[current] ?? null);
    shown.replaceChildren(cut(0, start), marked, cut(end, characters.length));
    for (const [place, item] of items.entries()) {
      const label = labels[place] ?? null;
      item.setAttribute("aria-selected", String(place === current));
      item.dataset["colour"] = colour(label);
      const word = item.querySelector<HTMLElement>(".tag-word");
      if (word) word.dataset["part"] = label === null ? "O" : "B";
      const said = item.querySelector(".span-label");
      if (said) said.textContent = label ?? "—";
    }
  }

  function go(place: number): void {
    current = Math.min(Math.max(0, place), spans.length - 1);
    draw();
    items[current]?.scrollIntoView({ block: "nearest" });
  }

  draw();
  return {
    element,
    labels,
    name(label) {
      labels[current] = label;
      if (label === null) return draw();
      const next = [...labels.keys()].find((place) => place > current && labels[place] === null) ?? labels.indexOf(null);
      go(next < 0 ? current : next);
    },
    set(other) {
      for (const place of labels.keys()) labels[place] = other[place] ?? null;
      draw();
    },
    key(event) {
      const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
      const step = steps[event.key];
      if (step === undefined) return false;
      go(current + step);
      return true;
    },
    focus: () => list.focus(),
  };
}
