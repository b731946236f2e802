// One shared, self-reconnecting WebSocket for numbered events (docs/architecture.md, "Realtime").
// Whatever happens to the connection, a listener is given each event of its stream once and in order.

/** An event of a stream. */
export interface StreamEvent<T = unknown> {
  id: number;
  event: string;
  data: T;
  at: string;
}

export type ConnectionState = "idle" | "connecting" | "open" | "reconnecting" | "offline" | "signed-out";

type OnEvent = (event: StreamEvent) => void;
/** The events after the asked one are no longer kept: load the page's data again; `lastEventId` is where the stream goes on. */
type OnReset = (lastEventId: number) => void;

interface Listener {
  last: number | null;
  onEvent: OnEvent;
  onReset: OnReset;
}

interface Stream {
  listeners: Set<Listener>;
  /** Subscriptions asked for and not yet confirmed: what comes before the confirmation will come again after it. */
  unconfirmed: number;
  /** The id after which a gap was already asked for again, so that a server that insists is believed. */
  askedAfter: number | null;
}

/** The part of WebSocket that is used; tests give their own. */
export interface Socket {
  readyState: number;
  onopen: (() => void) | null;
  onmessage: ((message: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export interface Environment {
  connect(): Socket;
  /** A number in [0, 1). */
  random(): number;
  now(): number;
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
  online(): boolean;
}

const OPEN = 1;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;
const PING_AFTER = 8_000;
const SILENT_AFTER = 18_000;
/** The server's close code for a session that has ended: coming back would not help. */
const NOT_SIGNED_IN = 4401;

type Frame =
  | { type: "subscribed" | "reset"; stream: string; last_event_id: number }
  | { type: "unsubscribed"; stream: string }
  | ({ type: "event"; stream: string } & StreamEvent)
  | { type: "pong" }
  | { type: "error"; code: string; detail: string };

export class EventClient {
  private socket: Socket | null = null;
  private state: ConnectionState = "idle";
  private failures = 0;
  private heard = 0;
  private retry: unknown = null;
  private pulse: unknown = null;
  private readonly streams = new Map<string, Stream>();
  private readonly watchers = new Set<(state: ConnectionState) => void>();

  constructor(private readonly environment: Environment) {}

  /**
   * Calls `onEvent` for each event after `lastEventId` (null: from now on), in order, each once.
   * Returns the function that ends it.
   */
  subscribe(stream: string, lastEventId: number | null, onEvent: OnEvent, onReset: OnReset): () => void {
    const listener: Listener = { last: lastEventId, onEvent, onReset };
    const entry = this.streams.get(stream) ?? { listeners: new Set<Listener>(), unconfirmed: 0, askedAfter: null };
    this.streams.set(stream, entry);
    entry.listeners.add(listener);
    if (this.socket?.readyState === OPEN) this.ask(stream, entry);
    else this.open();
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size > 0 || this.streams.get(stream) !== entry) return;
      this.streams.delete(stream);
      if (this.streams.size === 0) this.drop("idle");
      else this.send({ action: "unsubscribe", stream });
    };
  }

  /** Tells how the connection is, now and at each change. */
  watch(watcher: (state: ConnectionState) => void): () => void {
    this.watchers.add(watcher);
    watcher(this.state);
    return () => this.watchers.delete(watcher);
  }

  /** The network is back or the page is looked at again: do not wait for the next try. */
  wake(): void {
    if (this.streams.size === 0 || this.state === "signed-out") return;
    if (this.socket?.readyState === OPEN) {
      // A laptop that slept has an open socket that nobody answers: ask, and give it little time.
      this.send({ action: "ping" });
      this.heard = Math.min(this.heard, this.environment.now() - SILENT_AFTER + 4_000);
      this.watchSilence();
      return;
    }
    this.failures = 0;
    this.clear("retry");
    this.drop("connecting");
    this.open();
  }

  /** The network is gone: waiting for a time-out would only tell the person later. */
  sleep(): void {
    if (this.streams.size > 0 && this.state !== "signed-out") this.drop("offline");
  }

  private open(): void {
    if (this.socket || this.retry !== null || this.streams.size === 0 || this.state === "signed-out") return;
    if (!this.environment.online()) {
      this.report("offline");
      return;
    }
    this.report(this.failures > 0 ? "reconnecting" : "connecting");
    let socket: Socket;
    try {
      socket = this.environment.connect();
    } catch {
      this.later();
      return;
    }
    this.socket = socket;
    this.heard = this.environment.now();
    socket.onopen = () => {
      if (socket !== this.socket) return;
      this.heard = this.environment.now();
      for (const [stream, entry] of this.streams) {
        entry.unconfirmed = 0;
        this.ask(stream, entry);
      }
      this.report("open");
    };
    socket.onmessage = (message) => {
      if (socket === this.socket) this.receive(String(message.data));
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.socket) return;
      if (code === NOT_SIGNED_IN) this.drop("signed-out");
      else this.later();
    };
    socket.onerror = null;
    this.watchSilence();
  }

  private later(): void {
    this.drop("reconnecting");
    if (this.streams.size === 0) return;
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures);
    this.failures += 1;
    // Jitter: after a restart of the server not every browser comes back at the same moment.
    const delay = longest * (0.5 + this.environment.random() / 2);
    this.retry = this.environment.setTimeout(() => {
      this.retry = null;
      this.open();
    }, delay);
  }

  private drop(state: ConnectionState): void {
    const socket = this.socket;
    this.socket = null;
    this.clear("pulse");
    if (state !== "reconnecting") this.clear("retry");
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.report(state);
  }

  private watchSilence(): void {
    this.clear("pulse");
    this.pulse = this.environment.setTimeout(() => {
      const silent = this.environment.now() - this.heard;
      if (silent >= SILENT_AFTER) {
        this.later();
        return;
      }
      if (silent >= PING_AFTER) this.send({ action: "ping" });
      this.watchSilence();
    }, 2_000);
  }

  private clear(timer: "retry" | "pulse"): void {
    if (this[timer] !== null) this.environment.clearTimeout(this[timer]);
    this[timer] = null;
  }

  private ask(stream: string, entry: Stream): void {
    let from: number | null = null;
    for (const { last } of entry.listeners) {
      if (last !== null && (from === null || last < from)) from = last;
    }
    entry.unconfirmed += 1;
    this.send({ action: "subscribe", stream, last_event_id: from });
  }

  private send(frame: object): void {
    if (this.socket?.readyState === OPEN) this.socket.send(JSON.stringify(frame));
  }

  private receive(text: string): void {
    this.heard = this.environment.now();
    const frame = JSON.parse(text) as Frame;
    this.failures = 0;
    if (frame.type === "pong" || frame.type === "unsubscribed") return;
    if (frame.type === "error") {
      console.warn(`events: ${frame.code}: ${frame.detail}`);
      return;
    }
    const entry = this.streams.get(frame.stream);
    if (!entry) return;
    if (frame.type === "event") {
      if (entry.unconfirmed === 0) this.deliver(frame, entry);
    } else if (frame.type === "subscribed") {
      entry.unconfirmed = Math.max(0, entry.unconfirmed - 1);
      for (const listener of entry.listeners) listener.last ??= frame.last_event_id;
    } else {
      entry.askedAfter = null;
      for (const listener of [...entry.listeners]) {
        listener.last = frame.last_event_id;
        guarded(() => listener.onReset(frame.last_event_id));
      }
    }
  }

  private deliver(frame: StreamEvent & { stream: string }, entry: Stream): void {
    // Ids have no gaps. If one is missing, something was lost on the way: ask again from the last one.
    for (const { last } of entry.listeners) {
      if (last !== null && frame.id > last + 1 && entry.askedAfter !== last) {
        entry.askedAfter = last;
        this.ask(frame.stream, entry);
        return;
      }
    }
    const { id, event, data, at } = frame;
    for (const listener of [...entry.listeners]) {
      if (listener.last !== null && id <= listener.last) continue;
      listener.last = id;
      guarded(() => listener.onEvent({ id, event, data, at }));
    }
  }

  private report(state: ConnectionState): void {
    if (state === this.state) return;
    this.state = state;
    for (const watcher of this.watchers) watcher(state);
  }
}

/** A page's mistake with one event must not stop the stream of the others. */
function guarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
  }
}

let shared: EventClient | null = null;

function client(): EventClient {
  if (shared) return shared;
  const made = new EventClient({
    connect: () => new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/events/`) as unknown as Socket,
    random: Math.random,
    now: () => performance.now(),
    setTimeout: (callback, delay) => setTimeout(callback, delay),
    clearTimeout: (timer) => clearTimeout(timer as number),
    online: () => navigator.onLine,
  });
  addEventListener("online", () => made.wake());
  addEventListener("offline", () => made.sleep());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") made.wake();
  });
  shared = made;
  return made;
}

/** Events of a stream over the page's one connection; see EventClient.subscribe. */
export function subscribe(
  stream: string,
  lastEventId: number | null,
  onEvent: OnEvent,
  onReset: OnReset = () => location.reload(),
): () => void {
  return client().subscribe(stream, lastEventId, onEvent, onReset);
}

/** Tells how the page's connection is, now and at each change. */
export function watchConnection(watcher: (state: ConnectionState) => void): () => void {
  return client().watch(watcher);
}
