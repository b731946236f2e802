// What the visitor has sent and the server has not confirmed. It outlives a reload and a cut line; every message
// has an id of its own, so that one which is sent twice is stored once.

export interface Outgoing {
  client_id: string;
  body: string;
  choice?: string;
  attachments: string[];
  at: string;
  /** Why the server did not take it; it is then sent again only when asked. */
  refused?: string;
}

/** The part of Storage that is used. */
export interface Keeper {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** Storage where the browser gives it, else what stands in for it: some forbid it inside frames of other sites. */
export function keeper(find: () => Keeper, instead: Keeper): Keeper {
  try {
    const storage = find();
    storage.setItem("rootstock.probe", "1");
    storage.removeItem("rootstock.probe");
    return storage;
  } catch {
    return instead;
  }
}

/** Memory that begins with what was kept elsewhere, and tells what is to be kept there: null for nothing more. */
export function told(kept: Record<string, string>, tell: (name: string, value: string | null) => void): Keeper {
  const memory = new Map(Object.entries(kept));
  return {
    getItem: (name) => memory.get(name) ?? null,
    setItem: (name, value) => {
      memory.set(name, value);
      tell(name, value);
    },
    removeItem: (name) => {
      if (memory.delete(name)) tell(name, null);
    },
  };
}

/** The server will not take it, whatever is done: the reason is in `message`. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

/** Not now: no line, or too many at once. `wait` in milliseconds when the server said how long. */
export class NotNow extends Error {
  constructor(
    message: string,
    readonly wait: number | null = null,
  ) {
    super(message);
  }
}

export interface OutboxEnvironment {
  keeper: Keeper;
  newId(): string;
  now(): string;
  setTimeout(run: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
  /** Sends one; resolves when it is stored. Throws NotNow or Refused. */
  send(message: Outgoing): Promise<void>;
  changed(): void;
}

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 15_000;

export class Outbox {
  private list: Outgoing[];
  private busy = false;
  private failures = 0;
  private timer: unknown = null;

  constructor(
    private readonly name: string,
    private readonly environment: OutboxEnvironment,
  ) {
    this.list = read(environment.keeper.getItem(name));
  }

  /** In the order in which they were written. */
  get messages(): readonly Outgoing[] {
    return this.list;
  }

  add(message: Pick<Outgoing, "body" | "attachments"> & { choice?: string }): Outgoing {
    const outgoing = { ...message, client_id: this.environment.newId(), at: this.environment.now() };
    this.list = [...this.list, outgoing];
    this.keep();
    void this.flush();
    return outgoing;
  }

  /** The server has it, told by its answer or by the stream, whichever comes first. */
  confirm(clientId: string): void {
    if (!this.list.some((one) => one.client_id === clientId)) return;
    this.list = this.list.filter((one) => one.client_id !== clientId);
    this.keep();
  }

  retry(clientId: string): void {
    this.list = this.list.map((one) => {
      if (one.client_id !== clientId) return one;
      const { refused: _, ...again } = one;
      return again;
    });
    this.keep();
    void this.flush();
  }

  drop(clientId: string): void {
    this.confirm(clientId);
  }

  clear(): void {
    this.list = [];
    this.keep();
  }

  /** Sends what waits, one after the other: a later message never overtakes an earlier one. */
  async flush(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.environment.clearTimeout(this.timer);
    try {
      for (let next = this.next(); next; next = this.next()) {
        try {
          await this.environment.send(next);
          this.failures = 0;
          this.confirm(next.client_id);
        } catch (error) {
          if (error instanceof Refused) {
            const refused = error.message;
            this.list = this.list.map((one) => (one.client_id === next?.client_id ? { ...one, refused } : one));
            this.keep();
          } else {
            this.later(error instanceof NotNow ? error.wait : null);
            return;
          }
        }
      }
    } finally {
      this.busy = false;
    }
  }

  private next(): Outgoing | undefined {
    return this.list.find((one) => one.refused === undefined);
  }

  private later(wait: number | null): void {
    const delay = wait ?? Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures);
    this.failures += 1;
    this.timer = this.environment.setTimeout(() => void this.flush(), delay);
  }

  private keep(): void {
    try {
      if (this.list.length > 0) this.environment.keeper.setItem(this.name, JSON.stringify(this.list));
      else this.environment.keeper.removeItem(this.name);
    } catch {
      // Full: the messages are still in memory and are being sent.
    }
    this.environment.changed();
  }
}

function read(text: string | null): Outgoing[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(list) ? list.filter((one: Partial<Outgoing>) => one?.client_id && Array.isArray(one.attachments)) : [];
  } catch {
    return [];
  }
}
