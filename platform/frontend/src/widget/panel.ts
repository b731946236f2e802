// What is seen of the widget's inside: heading, banner, list, forms, the field to write in. It shows what it is told.
import { Composer } from "./composer";
import type { Context } from "./context";
import { h } from "./dom";
import { preChatForm, ratingForm } from "./forms";
import { parse } from "./markdown";
import { blocksView } from "./markdown-view";
import type { Outgoing } from "./outbox";
import { PassagePanel } from "./passage";
import { inLanguage, type Language, type Look, type Texts } from "./protocol";
import { signButton } from "./signs";
import { type Conversation, hasMark } from "./talk";
import { Transcript } from "./transcript";
import type { Field, Hours, Session, Talk } from "./wire";
import { fill, type Words } from "./words";

export interface Channel extends Look {
  origins: string[];
  greeting: Texts;
  suggestions: Texts[];
}

/** How things are. */
export interface Facts {
  readonly conversation: Conversation;
  readonly session: Session | null;
  readonly outgoing: readonly Outgoing[];
  /** Why nobody may write here, or empty. */
  readonly refusal: string;
  readonly online: boolean;
  readonly isOpen: boolean;
  /** Who writes, in words; a blank when it is the assistant; empty when nobody does. */
  readonly writes: string;
  /** What is asked before a conversation, as long as it has not been answered. */
  readonly asked: Field[];
}

export class Panel {
  readonly element: HTMLElement;
  readonly transcript: Transcript;
  readonly composer: Composer;
  readonly passage: PassagePanel;
  private readonly status = h("p", { class: "status" });
  private readonly banner = h("p", { class: "banner", role: "status", hidden: true });
  private readonly after = h("div", { class: "after" });
  private readonly peopleButton: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    private readonly channel: Channel,
    private readonly facts: Facts,
    private readonly answered: (answers: Record<string, string>) => void,
  ) {
    const { words } = context;
    this.transcript = new Transcript(context, () => this.greeting());
    this.composer = new Composer(context);
    this.passage = new PassagePanel(context);
    this.peopleButton = signButton("person", words.people, () => context.people());
    const heading = h("div", { class: "heading-text" }, h("h1", { id: "title" }, context.title), this.status);
    const shut = signButton("close", words.close, () => context.close());
    this.element = h(
      "div",
      { class: "panel", role: "dialog", "aria-labelledby": "title" },
      h("header", {}, heading, this.peopleButton, shut),
      this.banner,
      this.transcript.element,
      this.after,
      this.composer.element,
      this.passage.element,
    );
  }

  get statusText(): string {
    const { words, language } = this.context;
    return statusOf(this.facts.conversation.talk, this.facts.session?.channel.hours, words, language);
  }

  draw(): void {
    const { words } = this.context;
    const { conversation, session, outgoing, refusal, online } = this.facts;
    const { talk, streaming } = conversation;
    const asks = this.facts.asked.length > 0;
    this.status.textContent = refusal ? "" : this.statusText;
    this.status.dataset["state"] = talk?.status ?? "assistant";
    this.banner.hidden = !refusal && (online || !this.facts.isOpen);
    this.banner.textContent = refusal || (outgoing.length > 0 ? words.lostQueued : words.lost);
    this.peopleButton.hidden = asks || talk?.status === "waiting" || talk?.status === "assigned";
    this.composer.enabled = !asks && !refusal;
    this.composer.element.hidden = asks;
    this.composer.attachments = session?.channel.attachments ?? true;
    this.composer.stop = streaming ? () => this.context.stop(streaming) : null;
    this.transcript.draw(conversation, outgoing, this.facts.writes, online);
    this.drawAfter();
  }

  /** Below the list: the form before it, or the question after it. Left alone while it is the same. */
  private drawAfter(): void {
    const { conversation, session, asked } = this.facts;
    const { talk } = conversation;
    const last = conversation.messages.at(-1);
    const ended = talk?.status === "resolved" || hasMark(last?.choices ?? [], "csat");
    const rates = ended && talk?.csat === null && (session?.channel.csat ?? true);
    const wanted = asked.length > 0 ? "form" : rates ? "rating" : "";
    const { dataset } = this.after;
    if (dataset["shows"] === wanted) return;
    if (wanted === "" && dataset["shows"] === "rating" && talk?.status === "resolved") return; // it says thanks
    dataset["shows"] = wanted;
    if (wanted === "form") this.after.replaceChildren(preChatForm(this.context, asked, this.answered));
    else if (wanted === "rating") this.after.replaceChildren(ratingForm(this.context));
    else this.after.replaceChildren();
    this.transcript.toEnd();
  }

  private greeting(): HTMLElement | null {
    const { words, language } = this.context;
    const text = inLanguage(this.channel.greeting, language);
    const suggestions = this.channel.suggestions.map((one) => inLanguage(one, language)).filter(Boolean);
    if (!text && suggestions.length === 0) return null;
    const item = h("li", { class: "message assistant begins greeting" });
    const bubble = h("div", { class: "bubble" }, blocksView(parse(text), () => document.createTextNode("")));
    item.append(h("span", { class: "who" }, words.assistant), bubble);
    const untouched = this.facts.conversation.messages.length === 0 && this.facts.outgoing.length === 0;
    if (untouched && !this.composer.element.hidden && suggestions.length > 0) {
      const ask = (one: string) => h("button", { type: "button", class: "choice", onclick: () => this.context.send(one) }, one);
      item.append(h("div", { class: "choices" }, ...suggestions.map(ask)));
    }
    return item;
  }
}

/** Who is there, and when people are. */
export function statusOf(talk: Talk | null, hours: Hours | undefined, words: Words, language: Language): string {
  const when = hours?.next ? moment(hours.next, language) : "";
  if (talk?.status === "assigned") return fill(words.withAgent, { name: talk.agent ?? words.team });
  if (talk?.status === "resolved") return words.resolved;
  if (talk?.status === "waiting") {
    if (hours?.open ?? true) return words.waitingStatus;
    return when ? fill(words.waitingOffline, { when }) : words.waitingAway;
  }
  if (hours?.open ?? true) return words.assistantStatus;
  return when ? fill(words.offlineStatus, { when }) : words.awayStatus;
}

function moment(iso: string, language: Language): string {
  return new Date(iso).toLocaleString(language === "zh" ? "zh-CN" : "en", { weekday: "long", hour: "2-digit", minute: "2-digit" });
}
