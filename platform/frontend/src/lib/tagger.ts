// Words of a sentence to be tagged: selected with the mouse or the arrow keys, named with a key. Tags are BIO.
import { h } from "./dom";
import { t } from "./i18n";

export interface Tagger {
  readonly element: HTMLElement;
  readonly tags: string[];
  /** Names the selected words; null clears them. */
  name(kind: string | null): void;
  /** Takes the tags of somebody else, such as a suggestion. */
  set(tags: string[]): void;
  /** Whether the key moved the selection. */
  key(event: KeyboardEvent): boolean;
  focus(): void;
}

const COLOURS = 8;

/** A tagger for `tokens`; kinds are told apart by colour and by their name under the words. */
export function tagger(tokens: string[], given: string[], kinds: () => string[], changed: () => void = () => undefined): Tagger {
  const tags = tokens.map((_, place) => given[place] ?? "O");
  let anchor = 0;
  let end = 0;
  let dragging = false;
  const words = tokens.map((token, place) => {
    const word = h("span", { class: "tag-word", role: "option", "data-place": place }, h("span", {}, token), h("small", {}));
    word.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.focus();
      if (!event.shiftKey) anchor = place;
      end = place;
      dragging = true;
      draw();
    });
    return word;
  });
  const element = h(
    "div",
    { class: "tag-text", role: "listbox", "aria-multiselectable": "true", "aria-label": t("Words"), tabindex: "0" },
    ...words,
  );
  // A finger that moves stays with the element that it touched first, so the word under it is looked up.
  element.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    const place = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>(".tag-word")?.dataset["place"];
    if (place === undefined) return;
    end = Number(place);
    draw();
  });
  for (const over of ["pointerup", "pointercancel"]) document.addEventListener(over, () => (dragging = false));

  const range = (): [number, number] => [Math.min(anchor, end), Math.max(anchor, end)];

  function draw(): void {
    const [from, to] = range();
    const order = kinds();
    for (const [place, word] of words.entries()) {
      const tag = tags[place] ?? "O";
      const kind = tag.slice(2);
      word.setAttribute("aria-selected", String(place >= from && place <= to));
      word.dataset["colour"] = kind ? String((Math.max(0, order.indexOf(kind)) % COLOURS) + 1) : "";
      word.dataset["part"] = tag[0] ?? "O";
      const label = word.querySelector("small");
      if (label) label.textContent = tag.startsWith("B-") ? kind : "";
    }
  }

  // What is left of an entity that was cut begins anew.
  function mend(): void {
    for (const [place, tag] of tags.entries()) {
      const before = tags[place - 1] ?? "O";
      if (tag.startsWith("I-") && before.slice(2) !== tag.slice(2)) tags[place] = `B-${tag.slice(2)}`;
    }
  }

  draw();
  return {
    element,
    tags,
    name(kind) {
      const [from, to] = range();
      for (let place = from; place <= to; place += 1) tags[place] = kind === null ? "O" : `${place === from ? "B" : "I"}-${kind}`;
      // The word behind belonged to what was named before.
      mend();
      anchor = end = Math.min(to + 1, tokens.length - 1);
      draw();
      changed();
    },
    set(other) {
      for (const place of tags.keys()) tags[place] = other[place] ?? "O";
      draw();
      changed();
    },
    key(event) {
      const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
      const step = steps[event.key];
      if (step === undefined) return false;
      end = Math.min(Math.max(0, end + step), tokens.length - 1);
      if (!event.shiftKey) anchor = end;
      draw();
      words[end]?.scrollIntoView({ block: "nearest" });
      return true;
    },
    focus: () => element.focus(),
  };
}

/** The keys of choices: 1–9, then letters that mean nothing else on the page. */
export const CHOICE_KEYS = [..."123456789", ..."abcdefghijklmnopqrtvwxyz"];
