// What the server says about a conversation, as the visitor may see it.
import type { Texts } from "./protocol";

export interface Citation {
  number: number;
  title: string;
  url: string | null;
  page: number | null;
  heading: string | null;
  quote: string | null;
}

export interface Choice {
  label?: string;
  value?: string;
  kind?: string;
}

export interface File {
  id: string;
  name: string;
  type: string;
  size: number;
  url: string;
}

export interface Message {
  id: string;
  sequence: number;
  author: "visitor" | "assistant" | "agent" | "system";
  agent: string | null;
  body: string;
  state: "streaming" | "done" | "stopped" | "failed";
  citations: Citation[];
  choices: Choice[];
  kind: string;
  created_at: string;
  client_id: string;
  /** The visitor's message that this answers. */
  in_reply_to: string | null;
  attachments: File[];
  thumb: number | null;
}

export interface Talk {
  id: string;
  status: "assistant" | "waiting" | "assigned" | "resolved";
  agent?: string | null;
  last_sequence: number;
  visitor_read: number;
  people_read: number;
  csat: number | null;
  last_event_id?: number;
}

export interface Field {
  name: string;
  kind: "text" | "email" | "choice";
  required: boolean;
  label: Texts;
  choices?: (string | Texts)[];
}

export interface Hours {
  open: boolean;
  next: string | null;
}

export interface Session {
  token: string;
  visitor: { name: string; verified: boolean };
  channel: {
    pre_chat?: { fields?: Field[] };
    hours?: Hours;
    attachments?: boolean;
    csat?: boolean;
  };
  conversation: Talk | null;
}

/** A passage with what stands around it. */
export interface Passage {
  title: string;
  heading?: string | null;
  page?: number | null;
  url?: string | null;
  quote?: string | null;
  text?: string;
  before?: string;
  after?: string;
}
