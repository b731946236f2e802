// The stream of one conversation, over the same client as the dashboard's events; the token goes first, and frames that
// are of the moment only ("is writing") are taken out before the client sees them.
import { type ConnectionState, EventClient, type Socket } from "../lib/events";

/** The server's close code for a place from which it takes no sockets: asking again would not help. */
const NOT_ALLOWED = 4403;

export interface StreamHandlers {
  event(type: string, data: unknown, id: number): void;
  reset(): void;
  typing(name: string): void;
  state(state: ConnectionState | "refused"): void;
}

export class VisitorStream {
  private client: EventClient | null = null;
  private leave: (() => void) | null = null;
  private raw: WebSocket | null = null;

  constructor(
    private readonly url: string,
    private readonly handlers: StreamHandlers,
  ) {
    addEventListener("online", () => this.client?.wake());
    addEventListener("offline", () => this.client?.sleep());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.client?.wake();
    });
  }

  /** Listens to a conversation from an event on; what was listened to before is left. */
  listen(token: string, conversation: string, lastEventId: number): void {
    this.stop();
    const client = new EventClient({
      connect: () => this.connect(token),
      random: Math.random,
      now: () => performance.now(),
      setTimeout: (callback, delay) => setTimeout(callback, delay),
      clearTimeout: (timer) => clearTimeout(timer as number),
      online: () => navigator.onLine,
    });
    this.client = client;
    const stream = `service.c.${conversation.replaceAll("-", "")}`;
    this.leave = client.subscribe(
      stream,
      lastEventId,
      ({ event, data, id }) => this.handlers.event(event, data, id),
      () => this.handlers.reset(),
    );
    client.watch((state) => {
      if (client === this.client) this.handlers.state(state);
    });
  }

  stop(): void {
    const leave = this.leave;
    this.client = this.leave = null;
    leave?.();
  }

  /** Tells the other side that something is being written; lost when there is no line. */
  typing(conversation: string): void {
    if (this.raw?.readyState === WebSocket.OPEN) this.raw.send(JSON.stringify({ action: "typing", conversation }));
  }

  private connect(token: string): Socket {
    const raw = new WebSocket(this.url);
    this.raw = raw;
    const socket: Socket = {
      get readyState() {
        return raw.readyState;
      },
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => raw.send(text),
      close: () => raw.close(),
    };
    raw.onopen = () => {
      raw.send(JSON.stringify({ action: "authenticate", token }));
      socket.onopen?.();
    };
    raw.onmessage = (message) => {
      const frame = JSON.parse(String(message.data)) as { type: string; name?: string };
      if (frame.type === "typing") this.handlers.typing(frame.name ?? "");
      else if (frame.type !== "authenticated") socket.onmessage?.(message);
    };
    raw.onclose = (event) => {
      if (event.code !== NOT_ALLOWED || raw !== this.raw) return socket.onclose?.(event);
      this.stop();
      this.handlers.state("refused");
    };
    return socket;
  }
}
