// The middle pane: what was said, by whom, live; notes and the log between it; the trace on demand.
import { h, icon } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatMoment, formatNumber } from "../lib/format";
import { t } from "../lib/i18n";
import { type Conversation, customerName, data, emotionIcon, type Entry, type Message, priorityName, traceUrl } from "./model";
import { rich, sources } from "./text";
import { why } from "./why";

interface Chunk {
  message: string;
  attempt: number;
  index: number;
  text: string;
}

let conversation: Conversation;
let scroll: HTMLElement;
let leave: (() => void) | null = null;
const shown = new Map<string, { key: string; element: HTMLElement }>();
/** Replies that are being written: which attempt, and how far. */
const writing = new Map<string, { attempt: number; text: string }>();

function author(message: Message): string {
  if (message.author === "visitor") return customerName(conversation.customer);
  if (message.author === "assistant") return t("Assistant");
  return message.agent ?? (message.author === "note" ? t("Note") : t("Agent"));
}

function files(message: Message): HTMLElement | null {
  if (message.attachments.length === 0) return null;
  const items = message.attachments.map((file) => {
    const size = t("{n} kB", { n: formatNumber(Math.ceil(file.size / 1024), 0) });
    const image = file.type.startsWith("image/");
    return h(
      "a",
      { class: "inbox-file", href: file.url, target: "_blank", rel: "noopener" },
      image ? h("img", { src: file.url, alt: file.name, loading: "lazy" }) : icon("file"),
      h("span", {}, file.name, " ", h("small", { class: "faint" }, size)),
    );
  });
  return h("div", { class: "inbox-files" }, ...items);
}

function marks(message: Message): (Node | null)[] {
  const found: (Node | null)[] = [];
  if (message.author === "note") found.push(h("span", { class: "badge badge-warn" }, icon("lock"), t("Only agents see this")));
  const mood = message.emotion && message.emotion !== "neutral" ? emotionIcon(message.emotion) : null;
  if (mood) found.push(h("span", { class: "inbox-mark", "data-emotion": message.emotion }, mood, data.emotions[message.emotion!] ?? ""));
  if (message.state === "stopped") found.push(h("span", { class: "badge badge-quiet" }, t("Stopped")));
  if (message.state === "failed") found.push(h("span", { class: "badge badge-bad" }, t("Failed")));
  if (message.thumb === 1) found.push(h("span", { class: "badge badge-ok" }, icon("thumbs-up"), t("Helped")));
  if (message.thumb === -1) found.push(h("span", { class: "badge badge-bad" }, icon("thumbs-down"), t("Did not help")));
  return found;
}

function messageElement(message: Message): HTMLElement {
  const at = new Date(message.created_at);
  const lang = conversation.language === "zh" ? "zh-Hans" : conversation.language || null;
  const streaming = message.state === "streaming";
  const trace =
    message.has_trace && (message.author === "assistant" || message.author === "visitor")
      ? why(traceUrl(conversation.id, message.id))
      : null;
  return h(
    "li",
    { class: "inbox-message", "data-author": message.author, "data-id": message.id, "data-sequence": message.sequence, "aria-busy": streaming ? "true" : null },
    h(
      "div",
      { class: "inbox-message-head" },
      h("strong", {}, author(message)),
      h("time", { datetime: message.created_at, title: formatMoment(at, { dateStyle: "full", timeStyle: "medium" }) }, formatMoment(at, { timeStyle: "short" })),
      ...marks(message),
    ),
    h("div", { class: "inbox-bubble", lang }, rich(message.body, message.citations), sources(message.body, message.citations), files(message)),
    message.thumb_comment ? h("p", { class: "inbox-message-foot" }, `“${message.thumb_comment}”`) : null,
    message.choices.length > 0 && h("p", { class: "inbox-message-foot" }, t("Offered:"), " ", message.choices.map((choice) => choice.label ?? "").filter(Boolean).join(" · ")),
    trace && h("div", { class: "inbox-message-foot" }, trace),
  );
}

function entryElement(entry: Entry): HTMLElement {
  const facts = [
    entry.label,
    entry.name && entry.name !== entry.actor ? entry.name : "",
    entry.reason,
    entry.labels ? entry.labels.join(", ") || t("none") : "",
    entry.priority !== null ? priorityName(entry.priority) : "",
    entry.csat !== null ? t("{n} of 5", { n: entry.csat }) : "",
  ].filter(Boolean);
  const by = entry.actor ? ` · ${entry.actor}` : "";
  return h("li", { class: "inbox-entry" }, facts.join(": "), by, " · ", h("time", { datetime: entry.at }, formatMoment(new Date(entry.at), { timeStyle: "short" })));
}

function dayElement(at: string): HTMLElement {
  return h("li", { class: "inbox-day" }, formatMoment(new Date(at), { dateStyle: "full" }));
}

type Line = { at: string; key: string; id: string; make: () => HTMLElement };

function lines(): Line[] {
  const found: Line[] = [
    ...conversation.messages.map((message) => ({ at: message.created_at, key: JSON.stringify(message), id: message.id, make: () => messageElement(message) })),
    ...conversation.entries.map((entry) => ({ at: entry.at, key: entry.id, id: entry.id, make: () => entryElement(entry) })),
  ];
  found.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  let day = "";
  return found.flatMap((line) => {
    const of = formatMoment(new Date(line.at), { dateStyle: "short" });
    if (of === day) return [line];
    day = of;
    return [{ at: line.at, key: of, id: `day-${of}`, make: () => dayElement(line.at) }, line];
  });
}

function draw(): void {
  const list = scroll.querySelector("ol")!;
  const below = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  const wanted = lines();
  const ids = new Set(wanted.map((line) => line.id));
  for (const [id, { element }] of shown) {
    if (ids.has(id)) continue;
    element.remove();
    shown.delete(id);
  }
  wanted.forEach((line, at) => {
    const old = shown.get(line.id);
    const element = old?.key === line.key ? old.element : line.make();
    if (old && old.element !== element) old.element.replaceWith(element);
    shown.set(line.id, { key: line.key, element });
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  receipt();
  if (below) toEnd();
}

function receipt(): void {
  for (const old of scroll.querySelectorAll(".inbox-receipt")) old.remove();
  const last = conversation.messages.filter((message) => message.author === "agent").at(-1);
  if (!last) return;
  const read = conversation.visitor_read >= last.sequence;
  const mark = h("span", { class: "inbox-receipt" }, read ? icon("check-check") : icon("check"), read ? t("Read") : t("Sent"));
  shown.get(last.id)?.element.append(mark);
}

export function toEnd(): void {
  scroll.scrollTop = scroll.scrollHeight;
}

// --- live ---------------------------------------------------------------------------------------

function take(message: Message): void {
  const at = conversation.messages.findIndex((known) => known.id === message.id);
  const before = conversation.messages[at];
  // What only agents see does not come with the visitor's stream: keep it until the conversation is read anew.
  const merged = before ? { ...before, ...message, agent: before.agent ?? message.agent } : message;
  if (message.state === "streaming") writing.set(message.id, { attempt: -1, text: message.body });
  else writing.delete(message.id);
  if (at < 0) conversation.messages.push(merged);
  else conversation.messages[at] = merged;
  draw();
}

function grow(chunk: Chunk): void {
  const message = conversation.messages.find((known) => known.id === chunk.message);
  if (!message || message.state !== "streaming") return;
  const now = writing.get(chunk.message) ?? { attempt: -1, text: "" };
  // A worker that took over writes anew from the first piece.
  if (chunk.attempt > now.attempt && chunk.index === 0) Object.assign(now, { attempt: chunk.attempt, text: "" });
  if (now.attempt === -1) now.attempt = chunk.attempt;
  if (chunk.attempt !== now.attempt) return;
  now.text += chunk.text;
  writing.set(chunk.message, now);
  message.body = now.text;
  draw();
}

/** Shows a conversation and keeps it current until the next one; `onReset` when its events are no longer kept. */
export function talkShow(next: Conversation, place: HTMLElement, onReset: () => void): void {
  leave?.();
  conversation = next;
  shown.clear();
  writing.clear();
  scroll = place;
  scroll.replaceChildren(h("ol", { class: "inbox-messages" }));
  draw();
  toEnd();
  leave = subscribe(
    next.stream,
    next.last_event_id,
    (event) => {
      if (event.event === "message") take(event.data as Message);
      else if (event.event === "chunk") grow(event.data as Chunk);
      else if (event.event === "read") {
        const { side, sequence } = event.data as { side: string; sequence: number };
        if (side === "visitor") conversation.visitor_read = Math.max(conversation.visitor_read, sequence);
        receipt();
      } else if (event.event === "rated") {
        const { message, thumb } = event.data as { message?: string; thumb?: number | null };
        const rated = conversation.messages.find((known) => known.id === message);
        if (rated) {
          rated.thumb = thumb ?? null;
          draw();
        }
      }
    },
    onReset,
  );
}

/** The same conversation as the server knows it now: with notes, the log, and who wrote what. */
export function talkUpdate(next: Conversation): void {
  // What the stream has brought since is newer than what was read: the longer text wins while it is written.
  for (const message of next.messages) {
    const now = writing.get(message.id);
    if (message.state === "streaming" && now && now.text.length > message.body.length) message.body = now.text;
  }
  const newest = next.messages.at(-1)?.sequence ?? 0;
  next.messages.push(...conversation.messages.filter((message) => message.sequence > newest));
  conversation = next;
  draw();
}

export function talkLeave(): void {
  leave?.();
  leave = null;
}
