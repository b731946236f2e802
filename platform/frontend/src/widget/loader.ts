// The script of the tag: a button, a frame of our own origin, and window.Rootstock. It runs on pages of other
// people, under whatever policy they have: it writes no HTML and no style attribute, and keeps out of their styles.
import { textOn } from "./colour";
import { drawing } from "./glyphs";
import sheetText from "./loader.css";
import {
  EVENT_NAMES,
  type EventName,
  inLanguage,
  type Kept,
  keptNames,
  type Language,
  languageOf,
  type Look,
  type Page,
  post,
  received,
  type ToFrame,
  type ToHost,
} from "./protocol";

/** Written in front of this script by the server. */
declare const CHANNEL: Look & { origins: string[] };

type Listener = (detail: unknown) => void;
type Command = (name: string, ...values: unknown[]) => void;

declare global {
  interface Window {
    Rootstock?: Command & { queue?: unknown[][]; key?: string };
  }
}

const WORDS = {
  en: { open: "Open chat", close: "Close chat", unread: "unread", name: "Chat" },
  zh: { open: "打开聊天", close: "关闭聊天", unread: "条未读", name: "聊天" },
};

function complain(text: string): void {
  console.error(`Rootstock: ${text}`);
}

class Widget {
  private readonly root = document.createElement("div");
  private readonly box = document.createElement("div");
  private readonly button = document.createElement("button");
  private readonly badge = document.createElement("span");
  private readonly listeners = new Map<EventName, Set<Listener>>();
  private readonly hint = `rootstock.${CHANNEL.key}`;
  private readonly darkness = matchMedia("(prefers-color-scheme: dark)");
  private frame: HTMLIFrameElement | null = null;
  private loaded = false;
  private waiting: ToFrame[] = [];
  private identity: string | null = null;
  private isOpen = false;
  private unread = 0;
  private overflow = "";

  constructor(
    private readonly home: string,
    private readonly settings: DOMStringMap,
  ) {}

  /** Shows the button; the frame is loaded when somebody is about to need it. */
  start(): void {
    const shadow = this.root.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(sheetText);
    shadow.adoptedStyleSheets = [sheet];
    shadow.append(this.box);
    this.root.id = "rootstock-widget";
    this.button.type = "button";
    this.button.className = "launcher";
    this.button.setAttribute("aria-expanded", "false");
    const chat = drawing("M2.99 16.34a2 2 0 0 1 .1 1.17l-1.07 3.3a1 1 0 0 0 1.24 1.17l3.41-1a2 2 0 0 1 1.1.09 10 10 0 1 0-4.78-4.73");
    const shut = drawing("m6 9 6 6 6-6");
    chat.setAttribute("class", "chat");
    shut.setAttribute("class", "shut");
    this.badge.className = "badge";
    this.badge.hidden = true;
    this.button.append(chat, shut, this.badge);
    this.button.addEventListener("click", () => this.toggle());
    for (const event of ["pointerenter", "focus"]) this.button.addEventListener(event, () => this.load(), { once: true });
    this.box.append(this.button);
    this.box.classList.toggle("left", (this.settings.position ?? CHANNEL.position) === "left");
    this.paint();
    this.darkness.addEventListener("change", () => this.paint());
    document.body.append(this.root);
    addEventListener("message", (event) => this.hear(event));
    document.addEventListener("securitypolicyviolation", (event) => this.explain(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.isOpen && !event.defaultPrevented) this.close();
    });
    for (const event of ["resize", "scroll"]) visualViewport?.addEventListener(event, () => this.fit());
    // Somebody who has written here before: an answer may have come meanwhile.
    if (this.remembered()) this.load();
    this.emit("ready", null);
    if (this.settings.open !== undefined) this.open();
  }

  run(name: string, values: unknown[]): void {
    const [first, second] = values;
    if (name === "open") this.open();
    else if (name === "close") this.close();
    else if (name === "toggle") this.toggle();
    else if (name === "identify" && typeof first === "string" && first) this.identify(first);
    else if (name === "logout") this.logout();
    else if (name === "message" && typeof first === "string" && first.trim()) this.message(first.trim());
    else if (name === "launcher" && (first === "show" || first === "hide")) this.button.hidden = first === "hide";
    else if (name === "theme" && (first === "light" || first === "dark" || first === "auto")) this.set("theme", first);
    else if (name === "language" && (first === "en" || first === "zh")) this.set("language", first);
    else if ((name === "on" || name === "off") && isEvent(first) && typeof second === "function") {
      this.listen(name, first, second as Listener);
    } else complain(`${JSON.stringify([name, ...values])} is no command; see docs/widget.md.`);
  }

  private open(): void {
    if (this.isOpen) return;
    this.load();
    this.isOpen = true;
    this.paint();
    this.fit();
    this.send({ type: "page", page: this.page() });
    this.send({ type: "open" });
    this.frame?.focus();
    this.emit("open", null);
  }

  private close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.paint();
    this.fit();
    this.send({ type: "close" });
    this.button.focus();
    this.emit("close", null);
  }

  private toggle(): void {
    if (this.isOpen) this.close();
    else this.open();
  }

  private identify(token: string): void {
    this.identity = token;
    // Whoever is signed in may have talked here from another device.
    this.load();
    if (this.loaded) this.send({ type: "identify", token });
  }

  private logout(): void {
    this.identity = null;
    if (this.frame || this.remembered()) {
      this.load();
      this.send({ type: "logout" });
    }
  }

  private message(text: string): void {
    this.open();
    this.send({ type: "message", text });
  }

  private set(name: "theme" | "language", value: string): void {
    this.settings[name] = value;
    this.paint();
    this.send({ type: "page", page: this.page() });
  }

  private listen(how: "on" | "off", name: EventName, listener: Listener): void {
    const all = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, all);
    if (how === "off") all.delete(listener);
    else all.add(listener);
    if (how === "on" && name === "ready" && this.root.isConnected) listener(null);
  }

  private emit(name: EventName, detail: unknown): void {
    for (const listener of this.listeners.get(name) ?? []) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error);
      }
    }
  }

  private load(): void {
    if (this.frame) return;
    const frame = document.createElement("iframe");
    frame.className = "frame";
    frame.title = inLanguage(CHANNEL.title, this.language()) || WORDS[this.language()].name;
    // The frame answers only to the origin that is named here, and only if its channel allows it.
    frame.src = `${this.home}/widget/${CHANNEL.key}/frame#${encodeURIComponent(location.origin)}`;
    this.frame = frame;
    this.box.prepend(frame);
  }

  private send(message: ToFrame): void {
    if (this.loaded && this.frame?.contentWindow) post(this.frame.contentWindow, this.home, message);
    else if (this.frame) this.waiting.push(message);
  }

  private hear(event: MessageEvent): void {
    if (!this.frame?.contentWindow) return;
    const message = received<ToHost>(event, this.frame.contentWindow, this.home);
    if (message?.type === "loaded") {
      this.loaded = true;
      this.send({ type: "hello", page: this.page(), open: this.isOpen, identity: this.identity, kept: this.kept() });
      for (const waiting of this.waiting.splice(0)) this.send(waiting);
    } else if (message?.type === "close") this.close();
    else if (message?.type === "known") this.remember(message.known);
    else if (message?.type === "keep") this.keep(message.name, message.value);
    else if (message?.type === "unread") this.count(message.count);
    else if (message?.type === "event" && isEvent(message.name)) this.emit(message.name, message.detail);
  }

  private count(unread: number): void {
    if (unread === this.unread) return;
    this.unread = unread;
    this.badge.hidden = unread === 0;
    this.badge.textContent = unread > 99 ? "99+" : String(unread);
    this.paint();
    this.emit("unread", { count: unread });
  }

  private paint(): void {
    const words = WORDS[this.language()];
    this.box.classList.toggle("open", this.isOpen);
    this.box.style.setProperty("--fill", CHANNEL.colour);
    this.box.style.setProperty("--on-fill", textOn(CHANNEL.colour));
    this.box.style.setProperty("--ground", this.scheme() === "dark" ? "#191b1e" : "#ffffff");
    // A frame of another scheme than its page is painted with an opaque ground.
    this.box.style.setProperty("color-scheme", this.scheme());
    const name = this.isOpen ? words.close : words.open;
    this.button.setAttribute("aria-label", this.unread > 0 ? `${name} (${this.unread} ${words.unread})` : name);
    this.button.setAttribute("aria-expanded", String(this.isOpen));
  }

  /** On a small screen the frame takes what the keyboard leaves of it, and the page behind it does not scroll. */
  private fit(): void {
    const small = matchMedia("(max-width: 500px), (max-height: 420px)").matches;
    const page = document.documentElement.style;
    if (this.isOpen && small && visualViewport) {
      this.box.style.setProperty("--height", `${visualViewport.height}px`);
      this.box.style.setProperty("--top", `${visualViewport.offsetTop}px`);
      if (page.overflow !== "hidden") this.overflow = page.overflow || "visible";
      page.setProperty("overflow", "hidden");
    } else if (this.overflow) {
      page.setProperty("overflow", this.overflow === "visible" ? "" : this.overflow);
      this.overflow = "";
    }
  }

  private page(): Page {
    return {
      url: location.href.slice(0, 2000),
      title: document.title.slice(0, 300),
      language: this.language(),
      scheme: this.scheme(),
    };
  }

  private language(): Language {
    return languageOf(this.settings.language || document.documentElement.lang || navigator.language);
  }

  private scheme(): "light" | "dark" {
    const wanted = this.settings.theme ?? CHANNEL.scheme;
    if (wanted === "light" || wanted === "dark") return wanted;
    return this.darkness.matches ? "dark" : "light";
  }

  private explain(event: SecurityPolicyViolationEvent): void {
    if (event.blockedURI.startsWith(this.home) && /^(frame|child|default)-src/.test(event.effectiveDirective)) {
      complain(`this page's Content-Security-Policy forbids the chat: add "frame-src ${this.home}" to it.`);
    }
  }

  /** What was kept for a frame that may not store anything itself. */
  private kept(): Kept {
    const found: Kept = {};
    for (const { name, brief } of keptNames(CHANNEL.key)) {
      try {
        const value = (brief ? sessionStorage : localStorage).getItem(name);
        if (value !== null) found[name] = value;
      } catch {
        // the page may not store anything, either
      }
    }
    return found;
  }

  private keep(wanted: string, value: string | null): void {
    const known = keptNames(CHANNEL.key).find(({ name }) => name === wanted);
    if (!known) return;
    try {
      const store = known.brief ? sessionStorage : localStorage;
      if (value === null) store.removeItem(wanted);
      else store.setItem(wanted, value);
    } catch {
      // Then it lasts as long as the page.
    }
  }

  private remembered(): boolean {
    try {
      return localStorage.getItem(this.hint) !== null;
    } catch {
      return false; // the page may not store anything
    }
  }

  private remember(known: boolean): void {
    try {
      if (known) localStorage.setItem(this.hint, "1");
      else localStorage.removeItem(this.hint);
    } catch {
      // It is only a hint: the conversation itself is kept by the frame and the server.
    }
  }
}

function isEvent(name: unknown): name is EventName {
  return (EVENT_NAMES as readonly unknown[]).includes(name);
}

function begin(): void {
  const before = window.Rootstock;
  const tag = document.querySelector<HTMLScriptElement>(`script[src*="/widget/${CHANNEL.key}/loader.js"]`);
  const script = (document.currentScript as HTMLScriptElement | null) ?? tag;
  if (before?.key) {
    complain("the tag is on this page twice; the second one does nothing.");
    return;
  }
  if (!script) {
    complain("the tag was taken off the page before it ran.");
    return;
  }
  const home = new URL(script.src).origin;
  if (location.origin !== home && !CHANNEL.origins.includes(location.origin)) {
    complain(`${location.origin} may not show this widget. Add it to the channel's origins.`);
    return;
  }
  const widget = new Widget(home, { ...script.dataset });
  const command: Command = (name, ...values) => widget.run(name, values);
  window.Rootstock = Object.assign(command, { key: CHANNEL.key });
  const start = () => {
    for (const [name, ...values] of (before?.queue ?? []).filter(([name]) => name === "on")) command(String(name), ...values);
    widget.start();
    for (const [name, ...values] of (before?.queue ?? []).filter(([name]) => name !== "on")) command(String(name), ...values);
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start, { once: true });
}

begin();
