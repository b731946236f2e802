// A conversation as this visitor knows it: what was loaded, brought up to date by the numbered events of its stream.
import type { Citation, Choice, Message, Talk } from "./wire";

/** A numbered piece of an answer that is being written. */
interface Chunk {
  message: string;
  attempt: number;
  index: number;
  text: string;
}

interface Writing {
  attempt: number;
  next: number;
  /** Characters of the text that its pieces up to `next` make; what was loaded may be ahead of them. */
  length: number;
}

/** What an event changed, so that no more than that is drawn again. */
export type Change = "message" | "text" | "status" | "read" | null;

export class Conversation {
  talk: Talk | null = null;
  private readonly byId = new Map<string, Message>();
  private readonly writing = new Map<string, Writing>();

  /** In the order in which the server took them. */
  get messages(): Message[] {
    return [...this.byId.values()].sort((a, b) => a.sequence - b.sequence);
  }

  /** What is shown: of several answers to one question the last. */
  get shown(): Message[] {
    const last = new Map(this.messages.filter((one) => one.in_reply_to).map((one) => [one.in_reply_to, one.id]));
    return this.messages.filter((one) => one.author !== "assistant" || !one.in_reply_to || last.get(one.in_reply_to) === one.id);
  }

  get lastIncoming(): number {
    return Math.max(0, ...this.messages.filter((one) => one.author !== "visitor").map((one) => one.sequence));
  }

  get unread(): number {
    const read = this.talk?.visitor_read ?? 0;
    return this.messages.filter((one) => one.author !== "visitor" && one.author !== "system" && one.sequence > read).length;
  }

  /** The message that is being written, if any. */
  get streaming(): Message | undefined {
    return this.messages.find((one) => one.state === "streaming");
  }

  message(id: string): Message | undefined {
    return this.byId.get(id);
  }

  /** Everything as the server has it now. */
  load(talk: Talk | null, messages: Message[]): void {
    if (talk?.id !== this.talk?.id) this.clear();
    this.talk = talk ? { ...talk } : null;
    for (const message of messages) this.put(message);
  }

  clear(): void {
    this.talk = null;
    this.byId.clear();
    this.writing.clear();
  }

  /** Takes one event of the stream. The same event twice, or one that is older than what is known, changes nothing. */
  apply(type: string, data: unknown): Change {
    if (!this.talk) return null;
    const given = data as Record<string, unknown>;
    if (type === "message") {
      this.put(data as Message);
      return "message";
    }
    if (type === "chunk") return this.chunk(data as Chunk);
    if (type === "read") {
      const side = given["side"] === "visitor" ? "visitor_read" : "people_read";
      const sequence = Number(given["sequence"] ?? 0);
      if (sequence <= this.talk[side]) return null;
      this.talk[side] = sequence;
      return "read";
    }
    if (type === "status") {
      this.talk.status = given["status"] as Talk["status"];
      this.talk.agent = (given["agent"] as string | null | undefined) ?? null;
      return "status";
    }
    if (type === "rated") {
      if (typeof given["csat"] === "number") this.talk.csat = given["csat"];
      const rated = this.byId.get(String(given["message"] ?? ""));
      if (rated && "thumb" in given) rated.thumb = given["thumb"] as number | null;
      return rated ? "message" : "status";
    }
    return null;
  }

  private put(message: Message): void {
    const known = this.byId.get(message.id);
    // A finished text never becomes an unfinished one again, except by "answer again", which begins it anew.
    const restarted = known !== undefined && known.state !== "streaming" && message.state === "streaming";
    if (known?.state === "streaming" && message.state === "streaming" && known.body.length > message.body.length) {
      message = { ...message, body: known.body };
    }
    if (message.state !== "streaming" || restarted) this.writing.delete(message.id);
    this.byId.set(message.id, message);
    if (this.talk) this.talk.last_sequence = Math.max(this.talk.last_sequence, message.sequence);
  }

  private chunk(chunk: Chunk): Change {
    const message = this.byId.get(chunk.message);
    if (!message || message.state !== "streaming") return null;
    const loaded = { attempt: chunk.attempt, next: chunk.index, length: message.body.length };
    const at = this.writing.get(chunk.message) ?? loaded;
    if (chunk.attempt < at.attempt) return null;
    if (chunk.attempt > at.attempt || chunk.index === 0) {
      // Another worker took over and began from the start.
      if (chunk.attempt > at.attempt) message.body = "";
      Object.assign(at, { attempt: chunk.attempt, next: 0, length: 0 });
    }
    if (chunk.index < at.next) return null;
    const before = at.length;
    at.length += chunk.text.length;
    at.next = chunk.index + 1;
    if (at.length > message.body.length) message.body = message.body.slice(0, before) + chunk.text;
    this.writing.set(chunk.message, at);
    return "text";
  }
}

/** Buttons that send something, without the marks that stand beside them. */
export function buttonsOf(choices: Choice[]): { label: string; value: string }[] {
  return choices
    .filter((choice): choice is Choice & { label: string } => Boolean(choice.label))
    .map((choice) => ({ label: choice.label, value: choice.value ?? choice.label }));
}

/** Whether a mark such as "hand-off" is among the choices. */
export function hasMark(choices: Choice[], kind: string): boolean {
  return choices.some((choice) => choice.kind === kind);
}

/** Each source once, in the order of its number. */
export function sourcesOf(citations: Citation[]): Citation[] {
  const once = new Map(citations.map((cited) => [cited.number, cited]));
  return [...once.values()].sort((a, b) => a.number - b.number);
}
