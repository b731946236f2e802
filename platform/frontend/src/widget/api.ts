// Calls of a visitor. No cookie goes along: who it is says the token, which lives in the frame's own storage.
import { type Keeper, NotNow, Refused } from "./outbox";
import type { Page } from "./protocol";
import type { File, Message, Passage, Session, Talk } from "./wire";

export interface History {
  messages: Message[];
  conversation: Talk;
  last_event_id: number;
}

const TIMEOUT = 20_000;

export class VisitorApi {
  session: Session | null = null;
  /** Signed by the company's server; goes along whenever a session begins, since it holds for that session only. */
  identity: string | null = null;
  private beginning: Promise<Session> | null = null;
  private readonly base: string;
  private readonly slot: string;

  constructor(
    key: string,
    private readonly keeper: Keeper,
    private readonly page: () => Page,
  ) {
    this.base = `/widget/api/${key}/`;
    this.slot = `rootstock.visitor.${key}`;
  }

  /** Whether this browser has been here before. */
  get known(): boolean {
    return this.keeper.getItem(this.slot) !== null;
  }

  /** A new token, for the visitor of the old one or of the identity. */
  begin(): Promise<Session> {
    this.beginning ??= this.start().finally(() => (this.beginning = null));
    return this.beginning;
  }

  forget(): void {
    this.keeper.removeItem(this.slot);
    this.session = this.identity = null;
  }

  /** Begins a conversation; one that is still empty is found again, so that asking twice makes no second one. */
  conversationOpen(preChat: Record<string, string>): Promise<Talk & { last_event_id: number }> {
    return this.call("POST", "conversations", { pre_chat: preChat, ...this.where() });
  }

  history(id: string, after: number): Promise<History> {
    return this.call("GET", `conversations/${id}/messages?after=${after}`);
  }

  say(id: string, message: { client_id: string; body: string; choice?: string; attachments: string[] }): Promise<Message> {
    return this.call("POST", `conversations/${id}/messages`, message);
  }

  act(id: string, path: string, body: object = {}): Promise<unknown> {
    return this.call("POST", `conversations/${id}/${path}`, body);
  }

  citation(message: string, number: number): Promise<Passage> {
    return this.call("GET", `citations/${message}/${number}`);
  }

  /** Sends a file; `progress` hears shares from 0 to 1. */
  upload(id: string, file: globalThis.File, progress: (share: number) => void): Promise<File> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("file", file, file.name);
      request.open("POST", `${this.base}conversations/${id}/attachments`);
      request.setRequestHeader("Authorization", `Bearer ${this.session?.token ?? ""}`);
      request.setRequestHeader("Accept-Language", this.page().language === "zh" ? "zh-hans" : "en");
      request.responseType = "json";
      request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      request.onerror = () => reject(new NotNow("offline"));
      request.onload = () => {
        if (request.status < 300) resolve(request.response as File);
        else reject(new Refused(detail(request.response, request.status)));
      };
      request.send(form);
    });
  }

  private async start(): Promise<Session> {
    const [identity, former] = [this.identity ?? "", this.keeper.getItem(this.slot) ?? ""];
    const session = await this.send<Session>("POST", "session", { ...this.where(), identity, visitor: former }, null);
    this.session = session;
    this.keeper.setItem(this.slot, session.token);
    return session;
  }

  private where(): { language: string; page: { url: string; title: string } } {
    const { language, url, title } = this.page();
    return { language, page: { url, title } };
  }

  private async call<T>(method: string, path: string, body?: object): Promise<T> {
    try {
      return await this.send<T>(method, path, body, this.session?.token ?? null);
    } catch (error) {
      if (!(error instanceof Expired)) throw error;
    }
    // The token has run out while the page was open: a new one for the same visitor, and once more.
    const { token } = await this.begin();
    return this.send<T>(method, path, body, token);
  }

  private async send<T>(method: string, path: string, body: object | undefined, token: string | null): Promise<T> {
    let answer: Response;
    try {
      answer = await fetch(this.base + path, {
        method,
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT),
        headers: {
          "Accept-Language": this.page().language === "zh" ? "zh-hans" : "en",
          ...(body ? { "Content-Type": "application/json" } : {}),
          ...(token ? { Authorization: `Bearer ${token}` } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    } catch {
      throw new NotNow("offline");
    }
    if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
    const problem: unknown = await answer.json().catch(() => null);
    if (answer.status === 401 && token !== null) throw new Expired(detail(problem, 401), 401);
    if (answer.status === 429 || answer.status >= 500) {
      const wait = Number(answer.headers.get("Retry-After"));
      throw new NotNow(detail(problem, answer.status), wait > 0 ? wait * 1000 : null);
    }
    throw new Refused(detail(problem, answer.status), answer.status);
  }
}

class Expired extends Refused {}

function detail(problem: unknown, status: number): string {
  const given = problem as { detail?: unknown; errors?: { detail?: unknown }[] } | null;
  return String(given?.errors?.[0]?.detail ?? given?.detail ?? `HTTP ${status}`);
}
