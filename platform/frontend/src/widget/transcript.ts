// The list of what was said. Each message is one element that is drawn anew when the message changes.
import type { Context } from "./context";
import { fileSize, h } from "./dom";
import { parse, safeUrl } from "./markdown";
import { blocksView } from "./markdown-view";
import type { Outgoing } from "./outbox";
import { sign, signButton } from "./signs";
import { buttonsOf, type Conversation, sourcesOf } from "./talk";
import type { Message } from "./wire";
import { fill } from "./words";

const NEAR = 80;

export class Transcript {
  readonly element: HTMLElement;
  private readonly list = h("ol", { class: "messages" });
  private readonly foot = h("div", { class: "foot" });
  private readonly drawn = new Map<string, { made: string; element: HTMLElement }>();
  /** The message of which it is asked what was wrong, and those of which it was said. */
  private asking = "";
  private readonly told = new Set<string>();

  constructor(
    private readonly context: Context,
    private readonly opening: () => HTMLElement | null,
  ) {
    this.element = h("div", { class: "scroll", role: "region", "aria-label": context.title, tabindex: 0 }, this.list, this.foot);
  }

  /** Draws what has changed, and stays at the end if one was there. */
  draw(conversation: Conversation, outgoing: readonly Outgoing[], typing: string, online: boolean): void {
    const atEnd = this.atEnd();
    const shown = conversation.shown;
    const wanted: HTMLElement[] = [];
    const opening = this.opening();
    if (opening) wanted.push(opening);
    let day = this.context.words.today;
    let before: Message | null = null;
    const last = shown.at(-1);
    const taken = new Set(shown.map((one) => one.client_id));
    const waiting = outgoing.filter((one) => !taken.has(one.client_id));
    for (const message of shown) {
      const date = dayOf(message.created_at, this.context);
      if (date !== day) wanted.push(h("li", { class: "day" }, (day = date)));
      const isLast = message === last && waiting.length === 0;
      wanted.push(this.item(message, !sameSpeaker(before, message), isLast, conversation));
      before = message;
    }
    for (const one of waiting) wanted.push(this.waiting(one, online));
    if (typing) wanted.push(h("li", { class: "typing" }, dots(), h("span", {}, typing)));
    replaceChanged(this.list, wanted);
    const own = [...shown].reverse().find((one) => one.author === "visitor");
    const seen = own && own === last && (conversation.talk?.people_read ?? 0) >= own.sequence && conversation.talk?.status === "assigned";
    this.foot.textContent = seen ? this.context.words.seen : "";
    if (atEnd) this.toEnd();
  }

  toEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }

  private atEnd(): boolean {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** The element of a message, made anew only when what it shows is another. */
  private item(message: Message, begins: boolean, isLast: boolean, conversation: Conversation): HTMLElement {
    const status = conversation.talk?.status;
    const made = JSON.stringify([message, begins, isLast, isLast && status, this.asking === message.id, this.told.has(message.id)]);
    const known = this.drawn.get(message.id);
    if (known?.made === made) return known.element;
    const element = this.view(message, begins, isLast, status === "assistant");
    this.drawn.set(message.id, { made, element });
    return element;
  }

  private view(message: Message, begins: boolean, isLast: boolean, answerable: boolean): HTMLElement {
    const { words } = this.context;
    if (message.author === "system") return h("li", { class: "told", "data-id": message.id }, message.body);
    const own = message.author === "visitor";
    const who = own ? words.you : message.author === "agent" ? (message.agent ?? words.team) : words.assistant;
    const cited = new Map(message.citations.map((one) => [one.number, one]));
    const bubble = h("div", { class: "bubble" });
    if (own) bubble.append(h("p", { class: "plain" }, message.body));
    else {
      bubble.append(
        blocksView(parse(message.body, new Set(cited.keys())), (number) => {
          const citation = cited.get(number);
          const name = fill(words.source, { n: number, title: citation?.title ?? "" });
          const open = () => citation && this.context.cite(message, citation);
          return h("button", { type: "button", class: "cite", "aria-label": name, title: name, onclick: open }, String(number));
        }),
      );
      if (message.state === "streaming") bubble.append(message.body ? h("span", { class: "caret" }) : dots());
      else if (message.state === "stopped") bubble.append(h("p", { class: "faint" }, words.stopped));
      else if (message.state === "failed") bubble.append(h("p", { class: "faint" }, words.failed));
    }
    for (const file of message.attachments) bubble.append(fileView(file.name, file.size, file.type, file.url));
    if (!message.body && own && message.attachments.length > 0) bubble.firstElementChild?.remove();
    const item = h("li", { class: `message ${message.author}${begins ? " begins" : ""}`, "data-id": message.id });
    item.dataset["state"] = message.state;
    item.append(h("span", { class: begins && !own ? "who" : "hidden" }, who), bubble);
    if (message.state !== "streaming" && !own) {
      const sources = this.sources(message);
      if (sources) item.append(sources);
      if (isLast) item.append(...this.choices(message));
      if (message.author === "assistant" && message.kind !== "flow") item.append(...this.tools(message, isLast && answerable));
    }
    return item;
  }

  private sources(message: Message): HTMLElement | null {
    const sources = sourcesOf(message.citations);
    if (sources.length === 0) return null;
    const list = h("ul", { class: "sources", "aria-label": this.context.words.sources });
    for (const source of sources) {
      const label = source.page ? `${source.title}, ${fill(this.context.words.page, { n: source.page })}` : source.title;
      const open = () => this.context.cite(message, source);
      list.append(
        h("li", {}, h("button", { type: "button", class: "source", onclick: open }, h("b", {}, String(source.number)), h("span", {}, label))),
      );
    }
    return list;
  }

  private choices(message: Message): HTMLElement[] {
    const buttons = buttonsOf(message.choices);
    if (buttons.length === 0) return [];
    const row = h("div", { class: "choices" });
    for (const { label, value } of buttons) {
      row.append(h("button", { type: "button", class: "choice", onclick: () => this.context.send(label, { choice: value }) }, label));
    }
    return [row];
  }

  private tools(message: Message, mayRegenerate: boolean): HTMLElement[] {
    const { words } = this.context;
    const row = h("div", { class: "tools" });
    const thumb = (value: 1 | -1, name: "up" | "down", label: string) => {
      const button = signButton(name, label, () => {
        const given = message.thumb === value ? 0 : value;
        this.asking = given < 0 ? message.id : "";
        this.context.thumb(message, given, "");
        if (given < 0) this.element.querySelector<HTMLInputElement>(".tell input")?.focus();
      });
      button.setAttribute("aria-pressed", String(message.thumb === value));
      row.append(button);
    };
    thumb(1, "up", words.helpful);
    thumb(-1, "down", words.unhelpful);
    if (mayRegenerate) row.append(signButton("again", words.regenerate, () => this.context.regenerate(message)));
    if (message.thumb !== -1) return [row];
    if (this.told.has(message.id)) return [row, h("p", { class: "faint", role: "status" }, words.thanks)];
    if (this.asking !== message.id) return [row];
    const field = h("input", { type: "text", maxlength: 1000, placeholder: words.whatWrong, "aria-label": words.whatWrong });
    const submit = (event: Event) => {
      event.preventDefault();
      this.asking = "";
      this.told.add(message.id);
      this.context.thumb(message, -1, field.value.trim());
    };
    return [row, h("form", { class: "tell", onsubmit: submit }, field, h("button", { class: "small" }, words.tell))];
  }

  private waiting(one: Outgoing, online: boolean): HTMLElement {
    const { words } = this.context;
    const item = h("li", { class: "message visitor begins waiting", "data-client": one.client_id });
    item.append(h("span", { class: "hidden" }, words.you), h("div", { class: "bubble" }, h("p", { class: "plain" }, one.body || "…")));
    if (one.refused === undefined) item.append(h("p", { class: "note" }, online ? words.sending : words.waiting));
    else {
      item.append(
        h("p", { class: "note bad", role: "alert" }, fill(words.notSent, { why: one.refused })),
        h(
          "div",
          { class: "choices" },
          h("button", { type: "button", class: "choice", onclick: () => this.context.resend(one.client_id) }, words.again),
          h("button", { type: "button", class: "choice", onclick: () => this.context.discard(one.client_id) }, words.remove),
        ),
      );
    }
    return item;
  }
}

function fileView(name: string, size: number, type: string, url: string): HTMLElement {
  const safe = url.startsWith("/") && !url.startsWith("//") ? url : safeUrl(url);
  const label = h("span", { class: "file-name" }, name);
  const shape = { class: "file", href: safe, target: "_blank", rel: "noopener noreferrer" };
  const link = h("a", shape, sign("file"), label, h("small", {}, fileSize(size)));
  if (!type.startsWith("image/") || !safe) return link;
  link.classList.add("picture");
  link.prepend(h("img", { src: safe, alt: name, loading: "lazy" }));
  return link;
}

function dots(): HTMLElement {
  return h("span", { class: "dots", "aria-hidden": true }, h("i"), h("i"), h("i"));
}

function sameSpeaker(one: Message | null, other: Message): boolean {
  if (!one || one.author !== other.author || one.agent !== other.agent) return false;
  return Date.parse(other.created_at) - Date.parse(one.created_at) < 5 * 60_000;
}

function dayOf(iso: string, { words, language }: Context): string {
  const at = new Date(iso);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(iso).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return words.today;
  if (days === 1) return words.yesterday;
  return at.toLocaleDateString(language === "zh" ? "zh-CN" : "en", { month: "long", day: "numeric" });
}

/** Children as wanted, touching only those that differ: what has the focus or is being read stays where it is. */
function replaceChanged(list: HTMLElement, wanted: HTMLElement[]): void {
  const kept = new Set(wanted);
  for (const child of [...list.children]) if (!kept.has(child as HTMLElement)) child.remove();
  wanted.forEach((element, place) => {
    if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
  });
}
