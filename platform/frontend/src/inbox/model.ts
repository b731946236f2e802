// What the inbox knows: its data, the calls that change it, and the words of its states.
import { api, ApiError } from "../lib/api";
import { pageData } from "../lib/config";
import { icon } from "../lib/dom";
import { formatDuration } from "../lib/format";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";

export interface Party {
  id: string;
  name: string;
}

export interface Row {
  id: string;
  status: "assistant" | "waiting" | "assigned" | "resolved";
  origin: string;
  visitor: Party & { verified: boolean };
  channel: Party | null;
  assignee: Party | null;
  language: string;
  labels: string[];
  priority: number;
  intent: string;
  emotion: string;
  anger: number;
  last_sequence: number;
  people_read: number;
  visitor_read: number;
  last_message: { author: string; body: string; sequence: number; at: string } | null;
  last_message_at: string | null;
  waiting_since: string | null;
  hand_off_reason: string;
  sla_due_at: string | null;
  sla_missed_at: string | null;
  csat: number | null;
  created_at: string;
}

export interface Citation {
  number: number;
  title: string;
  url: string | null;
  page: number | null;
  heading: string | null;
  quote: string | null;
}

export interface Message {
  id: string;
  sequence: number;
  author: "visitor" | "assistant" | "agent" | "system" | "note";
  agent: string | null;
  body: string;
  state: "streaming" | "done" | "stopped" | "failed";
  citations: Citation[];
  choices: { label?: string; value?: string }[];
  kind: string;
  created_at: string;
  attachments: { id: string; name: string; type: string; size: number; url: string }[];
  thumb: number | null;
  thumb_comment?: string;
  emotion?: string | null;
  has_trace?: boolean;
}

export interface Entry {
  id: string;
  kind: string;
  label: string;
  actor: string;
  name: string;
  reason: string;
  labels: string[] | null;
  priority: number | null;
  csat: number | null;
  at: string;
}

export interface Suggestion {
  id: string;
  question: string;
  body: string;
  citations: Citation[];
}

export interface Customer {
  id: string;
  name: string;
  email: string;
  external_id: string;
  verified: boolean;
  language: string;
  attributes: Record<string, unknown>;
  first_seen_at: string;
  last_seen_at: string | null;
  conversations: { id: string; status: string; intent: string; csat: number | null; created_at: string }[];
}

export interface Conversation extends Row {
  stream: string;
  last_event_id: number;
  summary: string;
  /** Why people have it, in words; empty where nobody asked for them. */
  reason: string;
  page: { title: string; url: string };
  csat_comment: string;
  messages: Message[];
  entries: Entry[];
  suggestion: Suggestion | null;
  customer: Customer;
}

export interface Macro {
  id: string;
  name: string;
  steps: { do: string }[];
}

export interface View {
  id: string;
  name: string;
  filters: Record<string, string | number>;
  shared: boolean;
}

export interface InboxData {
  lastEventId: number;
  rows: Row[];
  total: number;
  pageSize: number;
  counts: Record<string, number>;
  query: Record<string, string | number>;
  selected: string;
  me: { id: string; name: string; role: string; presence: string };
  agents: (Party & { presence: string; capacity: number; load: number })[];
  lists: {
    labels: { name: string; colour: string }[];
    canned: { short: string; bodies: Record<string, string> }[];
    macros: Macro[];
    views: View[];
  };
  statuses: Record<string, string>;
  emotions: Record<string, string>;
  mayReply: boolean;
  mayErase: boolean;
  urls: { export: string; erase: string; trace: string; proposal: string };
}

export const data = pageData<InboxData>("inbox-data")!;
const ROOT = "/api/v1/service";
const NIL = "00000000-0000-0000-0000-000000000000";

export interface ListAnswer {
  results: Row[];
  total: number;
  counts: Record<string, number>;
}

function filled(query: Record<string, string | number>): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== "" && value !== 0) parameters.set(name, String(value));
  return parameters;
}

export function listFetch(query: Record<string, string | number>, more: Record<string, string | number>): Promise<ListAnswer> {
  return api<ListAnswer>(`${ROOT}/inbox?${filled({ ...query, ...more })}`);
}

export function conversationFetch(id: string): Promise<Conversation> {
  return api<Conversation>(`${ROOT}/inbox/${id}`);
}

export interface Draft {
  body: string;
  note: boolean;
  client_id: string;
  attachments: string[];
  suggestion: string | null;
}

export function replySend(conversation: string, draft: Draft): Promise<Message> {
  return api<Message>(`${ROOT}/inbox/${conversation}/replies`, { method: "POST", body: draft });
}

/** A change of the conversation: "assignee", "status", "labels", "priority". */
export function change(conversation: string, what: string, body: object): Promise<Row> {
  return api<Row>(`${ROOT}/inbox/${conversation}/${what}`, { method: "PUT", body });
}

export function macroRun(conversation: string, macro: string): Promise<Row> {
  return api<Row>(`${ROOT}/inbox/${conversation}/macros/${macro}`, { method: "POST" });
}

export function readSend(conversation: string, sequence: number): Promise<void> {
  return api<void>(`${ROOT}/inbox/${conversation}/read`, { method: "POST", body: { sequence } });
}

export function suggestionDismiss(id: string): Promise<void> {
  return api<void>(`${ROOT}/suggestions/${id}/dismiss`, { method: "POST" });
}

export function presenceSend(presence?: string): Promise<void> {
  return api<void>(`${ROOT}/agents/presence`, { method: "PUT", body: presence ? { presence } : {} });
}

export function viewSave(name: string, filters: Record<string, string | number>, shared: boolean): Promise<View> {
  return api<View>(`${ROOT}/views`, { method: "POST", body: { name, filters, shared } });
}

export function viewDelete(id: string): Promise<void> {
  return api<void>(`${ROOT}/views/${id}`, { method: "DELETE" });
}

/** Where the page tells how a message came about. */
export function traceUrl(conversation: string, message: string): string {
  return data.urls.trace.replace(NIL, conversation).replace(NIL, message);
}

export function proposalUrl(suggestion: string): string {
  return data.urls.proposal.replace(NIL, suggestion);
}

export function urlOf(kind: "export" | "erase", customer: string): string {
  return data.urls[kind].replace(NIL, customer);
}

/** Runs something that the server may refuse, and says why it did. False when it did. */
export async function tried(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const first = error.problem.errors?.[0]?.detail;
    toast(first && error.problem.status === 422 ? first : error.message, "bad");
    return false;
  }
}

// --- words and shapes ---------------------------------------------------------------------------

export function customerName(party: Party | Customer): string {
  return party.name || t("Visitor {id}", { id: party.id.replaceAll("-", "").slice(-4) });
}

export function emotionIcon(emotion: string): SVGSVGElement | null {
  if (emotion === "anger") return icon("angry");
  if (emotion === "sadness") return icon("frown");
  if (emotion === "joy") return icon("smile");
  return emotion === "neutral" ? icon("meh") : null;
}

export function languageName(language: string): string {
  if (language === "zh") return t("Chinese");
  return language === "en" ? t("English") : language;
}

export function priorityName(priority: number): string {
  return [t("None"), t("Low"), t("High"), t("Urgent")][priority] ?? "";
}

/** "4 min": how long ago, without words around it. */
export function age(since: string | null, now = Date.now()): string {
  return since ? formatDuration(Math.max(0, (now - Date.parse(since)) / 1000)) : "";
}

/** The customer's clock in words, and how grave it is. */
export function clock(row: Row, now = Date.now()): { text: string; tone: "ok" | "warn" | "bad" } | null {
  if (!row.sla_due_at || row.status === "resolved") return null;
  const left = (Date.parse(row.sla_due_at) - now) / 1000;
  if (left <= 0) return { text: t("{time} overdue", { time: formatDuration(-left) }), tone: "bad" };
  return { text: t("{time} left", { time: formatDuration(left) }), tone: left < 120 ? "warn" : "ok" };
}
