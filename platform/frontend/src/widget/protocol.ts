// What the host page and the frame say to each other, and who is believed.

/** A text in the languages of the widget. */
export interface Texts {
  en?: string;
  zh?: string;
}

/** How a channel looks: written into the script and the frame by the server. */
export interface Look {
  key: string;
  colour: string;
  scheme: "auto" | "light" | "dark";
  position: "right" | "left";
  title: Texts;
}

export type Language = "en" | "zh";

/** What the page that shows the widget tells the frame. */
export interface Page {
  url: string;
  title: string;
  language: Language;
  scheme: "light" | "dark";
}

/** What the dashboard's preview shows before it is saved. */
export interface Preview {
  colour: string;
  title: Texts;
  greeting: Texts;
  suggestions: Texts[];
}

/** What the page keeps for a frame to which the browser gives no storage of its own, by name. */
export type Kept = Record<string, string>;

/** The names under which it is kept; `brief` is over with the tab. */
export function keptNames(key: string): { name: string; brief: boolean }[] {
  return [
    { name: `rootstock.visitor.${key}`, brief: false },
    { name: `rootstock.outbox.${key}`, brief: true },
    { name: `rootstock.answers.${key}`, brief: true },
  ];
}

/** From the host page to the frame. */
export type ToFrame =
  | { type: "hello"; page: Page; open: boolean; identity: string | null; kept?: Kept; preview?: Preview }
  | { type: "open" | "close" | "logout" }
  | { type: "page"; page: Page }
  | { type: "identify"; token: string }
  | { type: "message"; text: string };

/** From the frame to the host page. */
export type ToHost =
  | { type: "loaded" | "close" }
  | { type: "known"; known: boolean }
  | { type: "keep"; name: string; value: string | null }
  | { type: "unread"; count: number }
  | { type: "event"; name: EventName; detail: unknown };

export const EVENT_NAMES = ["ready", "open", "close", "message", "handoff", "unread", "error"] as const;
export type EventName = (typeof EVENT_NAMES)[number];

const MARK = "rootstock.widget";

/** Sends to exactly one origin, never to "*". */
export function post(target: Window, origin: string, message: ToFrame | ToHost): void {
  target.postMessage({ mark: MARK, ...message }, origin);
}

/** The message, if it comes from exactly this window and this origin; null for everything else that pages send about. */
export function received<T extends ToFrame | ToHost>(
  event: Pick<MessageEvent, "data" | "origin" | "source">,
  source: unknown,
  origin: string,
): T | null {
  if (event.source !== source || event.origin !== origin) return null;
  const data = event.data as { mark?: unknown; type?: unknown } | null;
  if (typeof data !== "object" || data === null || data.mark !== MARK || typeof data.type !== "string") return null;
  return data as unknown as T;
}

/** Of a page's language tag: Chinese in all its forms, English for everybody else. */
export function languageOf(tag: string): Language {
  return /^zh\b/i.test(tag.trim()) ? "zh" : "en";
}

/** The text in the language, else in the other one. */
export function inLanguage(texts: Texts | undefined, language: Language): string {
  return texts?.[language] || texts?.[language === "zh" ? "en" : "zh"] || "";
}
