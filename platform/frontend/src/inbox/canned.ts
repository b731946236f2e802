// "/" in the composer: canned replies by their short names.
import { h } from "../lib/dom";
import { t, tn } from "../lib/i18n";
import { announce } from "../lib/dom";
import { data } from "./model";

type Canned = (typeof data.lists.canned)[number];

/** The text of a canned reply in the customer's language, else in any that it has. */
function textOf(canned: Canned, language: string): string {
  return canned.bodies[language] ?? Object.values(canned.bodies)[0] ?? "";
}

/** The word before the cursor that begins with "/", and where it begins. */
export function slashWord(value: string, cursor: number): { word: string; start: number } | null {
  const found = /(?:^|\s)\/([\p{L}\p{N}_-]*)$/u.exec(value.slice(0, cursor));
  return found ? { word: (found[1] ?? "").toLowerCase(), start: cursor - (found[1] ?? "").length - 1 } : null;
}

export class CannedMenu {
  readonly element = h("div", { class: "inbox-canned", id: "inbox-canned", role: "listbox", "aria-label": t("Canned replies"), hidden: true });
  private found: Canned[] = [];
  private chosen = 0;

  constructor(
    private readonly field: HTMLTextAreaElement,
    private readonly language: () => string,
    private readonly names: () => { customer: string; agent: string },
  ) {
    field.setAttribute("aria-controls", "inbox-canned");
    field.addEventListener("input", () => this.look());
    field.addEventListener("blur", () => setTimeout(() => this.close(), 150));
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  /** Takes the keys of the menu while it is open; true when the key was one. */
  key(event: KeyboardEvent): boolean {
    if (!this.open || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.choose(this.chosen + step);
    else if (event.key === "Enter" || event.key === "Tab") this.take(this.chosen);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  private look(): void {
    const slash = slashWord(this.field.value, this.field.selectionStart);
    if (!slash || data.lists.canned.length === 0) {
      this.close();
      return;
    }
    const starts = data.lists.canned.filter((canned) => canned.short.startsWith(slash.word));
    const holds = data.lists.canned.filter((canned) => !starts.includes(canned) && canned.short.includes(slash.word));
    this.found = [...starts, ...holds].slice(0, 8);
    this.element.replaceChildren(
      ...this.found.map((canned, at) =>
        h(
          "div",
          { class: "menu-item", role: "option", id: `inbox-canned-${at}`, onmousedown: (event) => (event.preventDefault(), this.take(at)) },
          h("strong", {}, `/${canned.short}`),
          h("span", { class: "clip faint" }, textOf(canned, this.language())),
        ),
      ),
    );
    this.element.hidden = this.found.length === 0;
    if (this.open) announce(tn("{count} canned reply", "{count} canned replies", this.found.length));
    this.choose(0);
  }

  private choose(at: number): void {
    this.chosen = this.found.length ? (at + this.found.length) % this.found.length : 0;
    for (const [place, row] of [...this.element.children].entries()) row.setAttribute("aria-selected", String(place === this.chosen));
    if (this.open) this.field.setAttribute("aria-activedescendant", `inbox-canned-${this.chosen}`);
  }

  private take(at: number): void {
    const canned = this.found[at];
    const slash = slashWord(this.field.value, this.field.selectionStart);
    this.close();
    if (!canned || !slash) return;
    const names = this.names();
    const text = textOf(canned, this.language()).replaceAll("{customer}", names.customer).replaceAll("{agent}", names.agent);
    this.field.setRangeText(text, slash.start, this.field.selectionStart, "end");
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  private close(): void {
    this.element.hidden = true;
    this.field.removeAttribute("aria-activedescendant");
  }
}
