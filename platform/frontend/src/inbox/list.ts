// The left pane: which conversations, in which order, kept current by the stream.
import { announce, h, icon } from "../lib/dom";
import { t, tn } from "../lib/i18n";
import { age, clock, customerName, data, emotionIcon, languageName, listFetch, type ListAnswer, type Row, tried } from "./model";

const list = document.getElementById("inbox-rows")!;
const more = document.getElementById("inbox-more") as HTMLButtonElement;
const rows = new Map<string, Row>();
const elements = new Map<string, HTMLElement>();
let query = { ...data.query };
let total = data.total;
let selected = "";
let onOpen: (id: string) => void = () => undefined;

/** How the asked order compares two rows; what waits for nobody comes last. */
const ORDERS: Record<string, (a: Row, b: Row) => number> = {
  waiting: (a, b) => later(a.waiting_since, b.waiting_since) || -text(a.last_message_at, b.last_message_at),
  anger: (a, b) => b.anger - a.anger || later(a.waiting_since, b.waiting_since),
  sla: (a, b) => later(a.sla_due_at, b.sla_due_at) || later(a.waiting_since, b.waiting_since),
  newest: (a, b) => -text(a.last_message_at, b.last_message_at),
};

function text(a: string | null, b: string | null): number {
  return (a ?? "") < (b ?? "") ? -1 : (a ?? "") > (b ?? "") ? 1 : 0;
}

function later(a: string | null, b: string | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return text(a, b);
}

function preview(row: Row): string {
  const last = row.last_message;
  if (!last) return t("Nothing said yet");
  const who = { agent: t("Agent: "), assistant: t("Assistant: "), system: "", visitor: "" }[last.author] ?? "";
  return who + (plain(last.body) || t("A file"));
}

/** One line without the marks of Markdown and the numbers of sources. */
export function plain(text: string): string {
  return text
    .replace(/\[([^\]]+)\]\([^)\s]+\)/g, "$1")
    .replace(/\*\*|`+|\s?\[\d+\]|^\s*#+\s+|^\s*[-*]\s+/gm, "")
    .replace(/\s+/g, " ")
    .trim();
}

function draw(row: Row): HTMLElement {
  const due = clock(row);
  const waits = row.waiting_since !== null;
  const unread = row.last_message?.author === "visitor" && row.last_sequence > row.people_read && row.status !== "assistant";
  const mood = emotionIcon(row.emotion);
  return h(
    "li",
    { class: "inbox-row", "data-id": row.id, "data-status": row.status, "data-unread": unread ? "" : null },
    h(
      "button",
      { type: "button", class: "inbox-row-open", "aria-current": row.id === selected ? "true" : null, onclick: () => onOpen(row.id) },
      h(
        "span",
        { class: "inbox-row-head" },
        h("span", { class: "inbox-row-name" }, unread && h("span", { class: "visually-hidden" }, t("Unread: ")), customerName(row.visitor)),
        row.priority > 1 && h("span", { class: "inbox-mark", "data-tone": "bad", title: t("Urgent") }, icon("chevrons-up"), h("span", { class: "visually-hidden" }, t("Urgent"))),
        mood && row.emotion !== "neutral" && h("span", { class: "inbox-mark", "data-emotion": row.emotion }, mood, data.emotions[row.emotion] ?? ""),
        h("span", { class: "inbox-row-age", title: waits ? t("Waiting") : t("Last message") }, waits ? icon("hourglass") : null, age(row.waiting_since ?? row.last_message_at)),
      ),
      h("span", { class: "inbox-row-line", lang: row.language === "zh" ? "zh-Hans" : row.language || null }, preview(row)),
      h(
        "span",
        { class: "inbox-row-facts" },
        due && h("span", { class: "inbox-clock", "data-tone": due.tone }, due.tone === "bad" ? icon("clock-alert") : icon("clock"), due.text),
        h("span", {}, row.assignee ? row.assignee.name : row.status === "waiting" ? t("Nobody has it") : data.statuses[row.status] ?? ""),
        row.language && h("span", {}, languageName(row.language)),
        row.labels[0] && h("span", { class: "inbox-label", title: row.labels.join(", ") }, row.labels.length > 1 ? `${row.labels[0]} +${row.labels.length - 1}` : row.labels[0]),
      ),
    ),
  );
}

function place(): void {
  const compare = ORDERS[String(query["sort"])] ?? ORDERS["waiting"]!;
  const order = [...rows.values()].sort((a, b) => compare(a, b) || text(a.id, b.id));
  const focused = (document.activeElement?.closest(".inbox-row") as HTMLElement | null)?.dataset["id"];
  order.forEach((row, at) => {
    const element = elements.get(row.id)!;
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  for (const child of [...list.children]) if (!rows.has((child as HTMLElement).dataset["id"] ?? "")) child.remove();
  if (focused && !list.contains(document.activeElement)) elements.get(focused)?.querySelector("button")?.focus();
  document.getElementById("inbox-none")!.hidden = rows.size > 0;
  more.hidden = rows.size >= total;
  document.getElementById("inbox-count")!.textContent = tn("{count} conversation", "{count} conversations", total);
}

function put(row: Row, fresh: boolean): void {
  rows.set(row.id, row);
  const made = draw(row);
  if (fresh) made.classList.add("inbox-row-new");
  const old = elements.get(row.id);
  const focused = old?.contains(document.activeElement);
  if (old) old.replaceWith(made);
  elements.set(row.id, made);
  if (focused) made.querySelector("button")?.focus();
}

function drop(id: string): void {
  rows.delete(id);
  elements.get(id)?.remove();
  elements.delete(id);
}

function counted(answer: ListAnswer): void {
  data.counts = answer.counts;
  for (const option of document.querySelectorAll<HTMLOptionElement>("#inbox-status option")) {
    option.dataset["label"] ??= option.textContent ?? "";
    const count = answer.counts[option.value];
    option.textContent = count ? `${option.dataset["label"]} (${count})` : option.dataset["label"]!;
  }
}

/** Loads the list anew with other filters; the address follows, so that a reload shows the same. */
export async function load(next: Record<string, string | number>): Promise<void> {
  query = { ...query, ...next };
  await tried(async () => {
    const answer = await listFetch(query, { limit: data.pageSize });
    rows.clear();
    elements.clear();
    list.replaceChildren();
    total = answer.total;
    for (const row of answer.results) put(row, false);
    counted(answer);
    place();
    announce(tn("{count} conversation", "{count} conversations", total));
  });
  remember();
}

export function currentQuery(): Record<string, string | number> {
  return { ...query };
}

/** The filters that differ from the usual ones: what a view keeps. */
export function currentFilters(): Record<string, string | number> {
  const usual: Record<string, string | number> = { status: "open", sort: "waiting" };
  return Object.fromEntries(Object.entries(query).filter(([name, value]) => value !== "" && value !== 0 && value !== usual[name]));
}

function remember(): void {
  const address = new URL(location.href);
  address.search = "";
  for (const [name, value] of Object.entries(currentFilters())) address.searchParams.set(name, String(value));
  if (selected) address.searchParams.set("c", selected);
  history.replaceState(null, "", address);
}

async function loadMore(): Promise<void> {
  await tried(async () => {
    const answer = await listFetch(query, { limit: data.pageSize, offset: rows.size });
    total = answer.total;
    for (const row of answer.results) put(row, false);
    place();
  });
}

// Events come in bursts; which rows still fit is the server's word.
const changed = new Set<string>();
let timer: ReturnType<typeof setTimeout> | null = null;

export function rowChanged(id: string): void {
  changed.add(id);
  timer ??= setTimeout(() => void refresh(), 150);
}

async function refresh(): Promise<void> {
  timer = null;
  const ids = [...changed].slice(0, 100);
  for (const id of ids) changed.delete(id);
  await tried(async () => {
    const answer = await listFetch(query, { ids: ids.join(","), limit: 200 });
    const fits = new Set(answer.results.map((row) => row.id));
    for (const id of ids) {
      if (!fits.has(id) && rows.has(id)) {
        drop(id);
        total -= 1;
      }
    }
    for (const row of answer.results) {
      const fresh = !rows.has(row.id);
      if (fresh) total += 1;
      put(row, fresh);
    }
    counted(answer);
    place();
  });
  if (changed.size > 0) timer ??= setTimeout(() => void refresh(), 150);
}

export function rowErased(id: string): void {
  if (!rows.has(id)) return;
  drop(id);
  total -= 1;
  place();
}

export function rowOf(id: string): Row | undefined {
  return rows.get(id);
}

export function select(id: string): void {
  selected = id;
  for (const [key, element] of elements) {
    const button = element.querySelector("button")!;
    if (key === id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  elements.get(id)?.scrollIntoView({ block: "nearest" });
  remember();
}

/** The conversation before or after the selected one, as the list is sorted now. */
export function neighbour(step: 1 | -1): string | null {
  const ids = [...list.children].map((child) => (child as HTMLElement).dataset["id"]!);
  const at = ids.indexOf(selected);
  if (at < 0) return ids[step > 0 ? 0 : ids.length - 1] ?? null;
  return ids[at + step] ?? null;
}

export function startList(open: (id: string) => void): void {
  onOpen = open;
  more.addEventListener("click", () => void loadMore());
  for (const row of data.rows) put(row, false);
  counted({ results: [], total, counts: data.counts });
  place();
  setInterval(() => {
    if (document.hidden) return;
    for (const row of rows.values()) put(row, false);
    place();
  }, 15_000);
}
