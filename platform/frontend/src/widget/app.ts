// Knows the server, the stream and the page around it, and tells the panel how things are.
import { type History, VisitorApi } from "./api";
import { readableOn, textOn } from "./colour";
import type { Context } from "./context";
import { h, trapFocus } from "./dom";
import { parse } from "./markdown";
import { blocksView } from "./markdown-view";
import { type Keeper, keeper, NotNow, Outbox, type Outgoing, Refused, told } from "./outbox";
import { type Channel, type Facts, Panel } from "./panel";
import { type EventName, inLanguage, type Kept, type Language, type Page, type ToHost } from "./protocol";
import { VisitorStream } from "./socket";
import { Conversation } from "./talk";
import type { Citation, Field, File as Stored, Message, Session, Talk } from "./wire";
import { fill, type Words, wordsOf } from "./words";

const TYPING_SHOWN = 6_000;
// While there is no socket: some networks let none through, and the conversation must go on there too.
const FIRST_POLL = 400;
const POLL = 4_000;
// After the socket has refused our token: not at once, in case it refuses every one.
const SIGN_IN_AGAIN = 2_000;
// How long after a question an answer is expected, and shown to be.
const ANSWER_EXPECTED = 60_000;
const GROUND = { light: "#ffffff", dark: "#191b1e" };

type Timer = ReturnType<typeof setTimeout> | null;

function stopped(timer: Timer): null {
  if (timer) clearTimeout(timer);
  return null;
}

export class App implements Context, Facts {
  readonly conversation = new Conversation();
  isOpen = false;
  online = true;
  refusal = "";
  private page: Page;
  private typist = "";
  private typistTimer: Timer = null;
  private retryTimer: Timer = null;
  private polling: Timer = null;
  private opening: Promise<Talk> | null = null;
  private said = 0;
  private readonly brief: Keeper;
  private readonly api: VisitorApi;
  private readonly outbox: Outbox;
  private readonly stream: VisitorStream;
  private readonly live = h("div", { class: "hidden", role: "status", "aria-live": "polite" });
  private panel: Panel;

  constructor(
    private readonly channel: Channel,
    private readonly tell: (message: ToHost) => void,
    private readonly isPreview: boolean,
    kept: Kept,
  ) {
    // The page's storage only where the frame has none: in private windows, and where third parties may not store.
    const inPage = told(kept, (name, value) => tell({ type: "keep", name, value }));
    this.brief = keeper(() => sessionStorage, inPage);
    this.page = { url: "", title: "", language: "en", scheme: "light" };
    this.api = new VisitorApi(channel.key, keeper(() => localStorage, inPage), () => this.page);
    this.outbox = new Outbox(`rootstock.outbox.${channel.key}`, {
      keeper: this.brief,
      // randomUUID is there in secure contexts only, which a page over http makes none.
      newId: () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
      now: () => new Date().toISOString(),
      setTimeout: (run, delay) => setTimeout(run, delay),
      clearTimeout: (timer) => clearTimeout(timer as number),
      send: (message) => this.deliver(message),
      changed: () => this.draw(),
    });
    this.stream = new VisitorStream(`${location.origin.replace(/^http/, "ws")}/ws/service/`, {
      event: (type, data) => this.happened(type, data),
      reset: () => void this.reload(),
      typing: (name) => this.showTypist(name),
      state: (state) => {
        if (state === "signed-out") this.rejoin(SIGN_IN_AGAIN);
        if (state === "open") this.line(true);
        if (state === "reconnecting" || state === "offline" || state === "refused") this.poll(FIRST_POLL);
        else this.polling = stopped(this.polling);
      },
    });
    addEventListener("online", () => void this.outbox.flush());
    addEventListener("offline", () => this.line(false));
    document.addEventListener("visibilitychange", () => this.read());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.close();
      else if (!this.panel.passage.isOpen) trapFocus(event, this.panel.element);
    });
    this.panel = this.newPanel();
  }

  // --- how things are -------------------------------------------------------------------------------

  get words(): Words {
    return wordsOf(this.page.language);
  }

  get language(): Language {
    return this.page.language;
  }

  get title(): string {
    return inLanguage(this.channel.title, this.language) || this.words.title;
  }

  get session(): Session | null {
    return this.api.session;
  }

  get outgoing(): readonly Outgoing[] {
    return this.outbox.messages;
  }

  get asked(): Field[] {
    const { session } = this;
    if (this.conversation.talk || this.answers || !session || session.visitor.verified) return [];
    return session.channel.pre_chat?.fields ?? [];
  }

  get writes(): string {
    return this.typist || (this.expectsAnswer ? " " : "");
  }

  /** The assistant has a question and has not begun to answer. */
  private get expectsAnswer(): boolean {
    const last = this.conversation.messages.at(-1);
    if (this.conversation.talk?.status !== "assistant" || last?.author !== "visitor") return false;
    return Math.abs(Date.now() - Date.parse(last.created_at)) < ANSWER_EXPECTED;
  }

  // --- what the page around us says ---------------------------------------------------------------

  /** The first word of the page: where we are, and whether somebody is looking. */
  start(page: Page, open: boolean, identity: string | null): void {
    this.page = page;
    this.api.identity = identity;
    this.build();
    if (this.isPreview) return;
    if (open) this.shown();
    else if (this.api.known || identity) void this.join();
  }

  around(page: Page): void {
    const same = page.language === this.page.language && page.scheme === this.page.scheme;
    this.page = page;
    if (!same) this.build();
  }

  shown(): void {
    this.isOpen = true;
    this.panel.composer.focus();
    this.panel.transcript.toEnd();
    if (this.api.session) this.read();
    else if (!this.isPreview) void this.join();
  }

  hidden(): void {
    this.isOpen = false;
  }

  identify(token: string): void {
    if (token === this.api.identity) return;
    this.api.identity = token;
    void this.join();
  }

  logout(): void {
    this.brief.removeItem(this.slot);
    this.stream.stop();
    this.outbox.clear();
    this.api.forget();
    this.conversation.clear();
    this.tell({ type: "known", known: false });
    this.tellUnread();
    this.draw();
    if (this.isOpen) void this.join();
  }

  // --- what the visitor does ------------------------------------------------------------------------

  send(body: string, options: { choice?: string; attachments?: string[] } = {}): void {
    if (this.isPreview) return;
    const { choice, attachments = [] } = options;
    this.outbox.add({ body, attachments, ...(choice === undefined ? {} : { choice }) });
    this.panel.transcript.toEnd();
  }

  resend(clientId: string): void {
    this.outbox.retry(clientId);
  }

  discard(clientId: string): void {
    this.outbox.drop(clientId);
  }

  stop(message: Message): void {
    this.act(`messages/${message.id}/stop`);
  }

  regenerate(message: Message): void {
    this.act(`messages/${message.id}/regenerate`);
  }

  thumb(message: Message, thumb: -1 | 0 | 1, comment: string): void {
    message.thumb = thumb || null;
    this.draw();
    this.act(`messages/${message.id}/thumb`, { thumb, comment });
  }

  rate(score: number, comment: string): void {
    this.act("csat", { score, comment });
  }

  people(): void {
    if (this.isPreview) return;
    this.talk()
      .then((talk) => this.api.act(talk.id, "people"))
      .catch((error: Error) => this.announce(error.message));
  }

  cite(message: Message, citation: Citation): void {
    void this.panel.passage.open(citation, () => this.api.citation(message.id, citation.number));
  }

  typing(): void {
    const talk = this.conversation.talk;
    if (talk && (talk.status === "assigned" || talk.status === "waiting")) this.stream.typing(talk.id);
  }

  async upload(file: File, progress: (share: number) => void): Promise<Stored> {
    const talk = await this.talk();
    try {
      return await this.api.upload(talk.id, file, progress);
    } catch (error) {
      if (error instanceof NotNow) throw new Error(this.words.noLine, { cause: error });
      throw error;
    }
  }

  close(): void {
    this.tell({ type: "close" });
  }

  // --- the server -----------------------------------------------------------------------------------

  /** Says who we are and takes up where we were; tries again until somebody answers. */
  private async join(): Promise<void> {
    this.retryTimer = stopped(this.retryTimer);
    try {
      const session = await this.api.begin();
      this.refusal = "";
      this.tell({ type: "known", known: true });
      await this.follow(session.conversation);
    } catch (error) {
      if (error instanceof Refused) {
        this.refusal = error.status === 401 ? this.words.refused : error.message;
        this.event("error", { message: error.message });
        console.error(`Rootstock: ${error.message}`);
      } else {
        this.line(false);
        this.rejoin((error instanceof NotNow && error.wait) || POLL);
      }
    }
    this.draw();
  }

  private rejoin(wait: number): void {
    stopped(this.retryTimer);
    this.retryTimer = setTimeout(() => void this.join(), wait);
  }

  private async follow(talk: Talk | null): Promise<void> {
    const session = this.api.session;
    if (!session) return;
    if (!talk) {
      this.conversation.clear();
      this.stream.stop();
    } else {
      const history = await this.load(talk.id);
      this.stream.listen(session.token, talk.id, history.last_event_id);
    }
    this.line(true);
    this.draw();
    this.read();
    void this.outbox.flush();
  }

  private async load(id: string): Promise<History> {
    const history = await this.api.history(id, 0);
    this.conversation.load(history.conversation, history.messages);
    for (const message of history.messages) if (message.client_id) this.outbox.confirm(message.client_id);
    this.said = this.conversation.lastIncoming;
    this.tellUnread();
    return history;
  }

  /** Asks for what is new until the socket is back; that tells as well whether there is a line at all. */
  private poll(wait: number): void {
    stopped(this.polling);
    this.polling = setTimeout(() => void this.ask(), wait);
  }

  private async ask(): Promise<void> {
    const talk = this.conversation.talk;
    if (!talk) return;
    try {
      const unfinished = this.conversation.streaming?.sequence ?? talk.last_sequence + 1;
      const history = await this.api.history(talk.id, unfinished - 1);
      for (const message of history.messages) this.happened("message", message);
      const { status, agent } = history.conversation;
      this.happened("status", { status, agent });
      this.line(true);
    } catch (error) {
      if (error instanceof NotNow) this.line(false);
    }
    if (this.polling) this.poll(POLL);
  }

  private async reload(): Promise<void> {
    const talk = this.conversation.talk;
    if (!talk) return;
    try {
      await this.follow(talk);
    } catch {
      await this.join();
    }
  }

  /** The conversation, begun when there is none. */
  private talk(): Promise<Talk> {
    const known = this.conversation.talk;
    if (known) return Promise.resolve(known);
    this.opening ??= this.begin().finally(() => (this.opening = null));
    return this.opening;
  }

  private async begin(): Promise<Talk> {
    const session = this.api.session ?? (await this.api.begin());
    if (session.conversation) {
      await this.follow(session.conversation);
      return session.conversation;
    }
    const talk = await this.api.conversationOpen(this.answers ?? {});
    this.conversation.load(talk, []);
    this.stream.listen(session.token, talk.id, talk.last_event_id);
    return talk;
  }

  /** What was asked before the conversation; kept over a reload, like the messages that wait. */
  private get answers(): Record<string, string> | null {
    return JSON.parse(this.brief.getItem(this.slot) ?? "null") as Record<string, string> | null;
  }

  private get slot(): string {
    return `rootstock.answers.${this.channel.key}`;
  }

  private async deliver(outgoing: Outgoing): Promise<void> {
    const { client_id, body, choice, attachments } = outgoing;
    try {
      const talk = await this.talk();
      const stored = await this.api.say(talk.id, { client_id, body, attachments, ...(choice === undefined ? {} : { choice }) });
      this.conversation.apply("message", stored);
      this.event("message", { author: "visitor", body: stored.body });
    } catch (error) {
      if (error instanceof NotNow && error.wait === null) this.line(false);
      throw error;
    }
    this.line(true);
  }

  private act(path: string, body: object = {}): void {
    const talk = this.conversation.talk;
    if (!talk) return;
    this.api.act(talk.id, path, body).catch((error: Error) => this.announce(error instanceof NotNow ? this.words.noLine : error.message));
  }

  private happened(type: string, data: unknown): void {
    const before = this.conversation.talk?.status;
    const change = this.conversation.apply(type, data);
    if (!change) return;
    if (type === "message") this.arrived(data as Message);
    const talk = this.conversation.talk;
    if (change === "status" && talk && talk.status !== before) {
      if (talk.status === "waiting" || talk.status === "assigned") this.event("handoff", { status: talk.status, agent: talk.agent ?? null });
      this.announce(this.panel.statusText);
    }
    this.draw();
    this.read();
    this.tellUnread();
  }

  private arrived(message: Message): void {
    if (message.client_id) this.outbox.confirm(message.client_id);
    if (message.author === "visitor" || message.state === "streaming" || message.sequence <= this.said) return;
    this.said = message.sequence;
    this.typist = "";
    const who = message.author === "agent" ? (message.agent ?? this.words.team) : this.words.assistant;
    const spoken = blocksView(parse(message.body, new Set(message.citations.map((one) => one.number))), () => h("i"));
    this.announce(fill(this.words.said, { who, text: [...spoken.children].map((part) => part.textContent).join(" ") }));
    this.event("message", { author: message.author, body: message.body });
  }

  /** Tells that everything up to the last message was seen, while it is. */
  private read(): void {
    const talk = this.conversation.talk;
    const last = this.conversation.lastIncoming;
    if (!talk || !this.isOpen || document.visibilityState !== "visible" || last <= talk.visitor_read) return;
    if (this.conversation.streaming) return;
    talk.visitor_read = last;
    this.act("read", { sequence: last });
    this.tellUnread();
  }

  private line(online: boolean): void {
    if (online === this.online) return;
    this.online = online;
    if (online) void this.outbox.flush();
    this.draw();
  }

  private showTypist(name: string): void {
    this.typist = fill(this.words.typing, { name: name || this.conversation.talk?.agent || this.words.team });
    stopped(this.typistTimer);
    this.typistTimer = setTimeout(() => {
      this.typist = "";
      this.draw();
    }, TYPING_SHOWN);
    this.draw();
  }

  private tellUnread(): void {
    this.tell({ type: "unread", count: this.isOpen ? 0 : this.conversation.unread });
  }

  private event(name: EventName, detail: unknown): void {
    this.tell({ type: "event", name, detail });
  }

  private announce(text: string): void {
    this.live.textContent = "";
    setTimeout(() => (this.live.textContent = text), 60);
  }

  // --- the panel ------------------------------------------------------------------------------------

  /** The whole panel, in the words and colours of the page; what was said and what is being written outlive it. */
  private build(): void {
    const root = document.documentElement;
    root.lang = this.language === "zh" ? "zh-Hans" : "en";
    root.dataset["scheme"] = this.page.scheme;
    root.style.setProperty("--fill", this.channel.colour);
    root.style.setProperty("--on-fill", textOn(this.channel.colour));
    root.style.setProperty("--accent", readableOn(this.channel.colour, GROUND[this.page.scheme]));
    document.title = this.title;
    const draft = this.panel.composer.draft;
    this.panel = this.newPanel();
    this.panel.composer.draft = draft;
    document.body.replaceChildren(this.panel.element, this.live);
    this.draw();
    this.panel.transcript.toEnd();
  }

  private newPanel(): Panel {
    return new Panel(this, this.channel, this, (answers) => {
      this.brief.setItem(this.slot, JSON.stringify(answers));
      this.draw();
      this.panel.composer.focus();
    });
  }

  private draw(): void {
    if (this.panel.element.isConnected) this.panel.draw();
  }
}
