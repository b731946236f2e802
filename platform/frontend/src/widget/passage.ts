// The panel that a citation opens: the passage, with what stands around it, and the way to the document.
import type { Context } from "./context";
import { h, trapFocus } from "./dom";
import { safeUrl } from "./markdown";
import { sign } from "./signs";
import type { Citation, Passage } from "./wire";
import { fill } from "./words";

export class PassagePanel {
  readonly element = h("section", { class: "passage", role: "dialog", "aria-modal": true, "aria-labelledby": "passage-title", hidden: true });
  private from: HTMLElement | null = null;

  constructor(private readonly context: Context) {
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        this.close();
      } else trapFocus(event, this.element);
    });
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  /** Shows what the citation itself says at once, and the surroundings when they have come. */
  async open(citation: Citation, load: () => Promise<Passage>): Promise<void> {
    this.from = document.activeElement as HTMLElement | null;
    this.draw(citation, { title: citation.title, quote: citation.quote }, true);
    this.element.hidden = false;
    this.element.querySelector("button")?.focus();
    try {
      const passage = await load();
      if (this.isOpen) this.draw(citation, passage, false);
    } catch {
      if (this.isOpen) this.draw(citation, { title: citation.title, quote: citation.quote }, false);
    }
  }

  close(): void {
    this.element.hidden = true;
    this.from?.focus();
  }

  private draw(citation: Citation, passage: Passage, loading: boolean): void {
    const { words } = this.context;
    const page = passage.page ?? citation.page;
    const heading = passage.heading ?? citation.heading;
    const url = safeUrl(passage.url ?? citation.url);
    const where = [heading, page ? fill(words.page, { n: page }) : ""].filter(Boolean).join(" · ");
    const back: HTMLElement = h("button", { type: "button", class: "back", onclick: () => this.close() }, sign("back"), words.back);
    const focused = this.element.contains(document.activeElement);
    const text = h("div", { class: "passage-text", tabindex: 0 });
    if (passage.before) text.append(h("p", { class: "around" }, passage.before));
    text.append(...marked(passage.text ?? passage.quote ?? "", passage.quote ?? citation.quote ?? ""));
    if (passage.after) text.append(h("p", { class: "around" }, passage.after));
    if (loading) text.append(h("p", { class: "faint" }, words.loading));
    const parts = [back, h("h2", { id: "passage-title" }, passage.title || citation.title)];
    if (where) parts.push(h("p", { class: "faint" }, where));
    parts.push(text);
    if (url) parts.push(h("a", { class: "primary", href: url, target: "_blank", rel: "noopener noreferrer" }, words.openSource));
    this.element.replaceChildren(...parts);
    if (focused) back.focus();
  }
}

/** Paragraphs of a passage, with the cited words marked. */
function marked(text: string, quote: string): HTMLElement[] {
  const at = quote ? text.indexOf(quote) : -1;
  const parts: (string | HTMLElement)[] =
    at < 0 ? [text] : [text.slice(0, at), h("mark", {}, quote), text.slice(at + quote.length)];
  return [h("p", { class: "plain" }, ...parts)];
}
