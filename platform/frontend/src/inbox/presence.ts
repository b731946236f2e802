// Who else looks at the open conversation, and who types: said over a socket, kept nowhere.
import { t } from "../lib/i18n";

interface Frame {
  type: "presence" | "typing" | "pong";
  conversation: string;
  member: string | null;
  name: string;
  here?: boolean;
  side?: "visitor" | "people";
}

// Somebody who has not been heard of for so long is gone.
const GONE_AFTER = 35_000;
const SAY_EVERY = 12_000;
const TYPES_FOR = 6_000;
const LONGEST_DELAY = 30_000;
// Nobody is signed in, or they may not answer: coming back would not help.
const REFUSED = [4401, 4403];

interface Other {
  name: string;
  heard: number;
  typed: number;
}

export class Presence {
  private socket: WebSocket | null = null;
  private looksAt: string | null = null;
  private failures = 0;
  private typed = 0;
  private customerTyped = 0;
  private readonly others = new Map<string, Other>();

  constructor(private readonly onChange: (warning: string, typing: string) => void) {
    setInterval(() => this.beat(), SAY_EVERY);
    setInterval(() => this.tell(), 2_000);
    this.open();
  }

  look(conversation: string | null): void {
    this.looksAt = conversation;
    this.others.clear();
    this.customerTyped = 0;
    this.say({ action: "look", conversation });
    this.tell();
  }

  typing(): void {
    if (Date.now() - this.typed < 2_000) return;
    this.typed = Date.now();
    this.say({ action: "typing" });
  }

  private beat(): void {
    if (this.looksAt && !document.hidden) this.say({ action: "look", conversation: this.looksAt });
    else this.say({ action: "ping" });
  }

  private open(): void {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/service/desk/`);
    this.socket = socket;
    socket.onopen = () => {
      this.failures = 0;
      if (this.looksAt) this.say({ action: "look", conversation: this.looksAt });
    };
    socket.onmessage = (message) => this.receive(JSON.parse(String(message.data)) as Frame);
    socket.onclose = ({ code }) => {
      this.others.clear();
      this.tell();
      if (REFUSED.includes(code)) return;
      const delay = Math.min(LONGEST_DELAY, 1_000 * 2 ** this.failures++) * (0.5 + Math.random() / 2);
      setTimeout(() => this.open(), delay);
    };
  }

  private say(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private receive(frame: Frame): void {
    if (frame.conversation !== this.looksAt) return;
    const now = Date.now();
    if (frame.type === "typing" && frame.side === "visitor") this.customerTyped = now;
    else if (frame.member) {
      if (frame.type === "presence" && !frame.here) this.others.delete(frame.member);
      else {
        const typed = frame.type === "typing" ? now : (this.others.get(frame.member)?.typed ?? 0);
        this.others.set(frame.member, { name: frame.name, heard: now, typed });
      }
    }
    this.tell();
  }

  private tell(): void {
    const now = Date.now();
    for (const [member, other] of this.others) if (now - other.heard > GONE_AFTER) this.others.delete(member);
    const others = [...this.others.values()];
    const types = others.filter((other) => now - other.typed < TYPES_FOR).map((other) => other.name);
    let warning = "";
    if (types.length) warning = t("{name} is writing an answer here", { name: types.join(", ") });
    else if (others.length) warning = t("{name} is looking at this, too", { name: others.map((other) => other.name).join(", ") });
    this.onChange(warning, now - this.customerTyped < TYPES_FOR ? t("The customer is writing…") : "");
  }
}
