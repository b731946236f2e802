// What the parts of the panel are given: the words, and what can be done. None of them knows the server.
import type { Language } from "./protocol";
import type { Citation, File as Stored, Message } from "./wire";
import type { Words } from "./words";

/** A file that is being uploaded, or is, or could not be. */
export interface Upload {
  name: string;
  size: number;
  share: number;
  stored?: Stored;
  error?: string;
}

export interface Context {
  readonly words: Words;
  readonly language: Language;
  readonly title: string;
  send(body: string, options?: { choice?: string; attachments?: string[] }): void;
  resend(clientId: string): void;
  discard(clientId: string): void;
  stop(message: Message): void;
  regenerate(message: Message): void;
  thumb(message: Message, thumb: -1 | 0 | 1, comment: string): void;
  rate(score: number, comment: string): void;
  people(): void;
  cite(message: Message, citation: Citation): void;
  typing(): void;
  upload(file: File, progress: (share: number) => void): Promise<Stored>;
  close(): void;
}
