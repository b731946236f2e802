// The part of Markdown that answers use, read into a tree: no HTML anywhere, so nothing to escape and nothing to slip
// through. What is not understood stays text.

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "break" }
  | { kind: "strong" | "emphasis"; inner: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "link"; url: string; inner: Inline[] }
  | { kind: "cite"; number: number };

export type Block =
  | { kind: "paragraph" | "heading" | "quote"; inner: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "list"; ordered: boolean; start: number; items: Inline[][] }
  | { kind: "table"; head: Inline[][]; rows: Inline[][][] };

const FENCE = /^\s*```/;
const HEADING = /^\s{0,3}#{1,6}\s+(.+?)\s*#*$/;
const QUOTE = /^\s{0,3}>\s?/;
const ITEM = /^\s{0,6}(?:[-*+•]|(\d{1,4})[.)、])\s+(.*)$/;
const ROW = /^\s*\|(.+)\|\s*$/;
const RULE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/;

/** The address when it is one that a click may open; null for `javascript:` and everything else. */
export function safeUrl(text: string | null | undefined): string | null {
  if (!text || !/^(https?:\/\/|mailto:|tel:)/i.test(text)) return null;
  try {
    return new URL(text).href;
  } catch {
    return null;
  }
}

/** Blocks of a text; `[1]` is a citation when `cited` has its number. */
export function parse(text: string, cited: ReadonlySet<number> = new Set()): Block[] {
  const blocks: Block[] = [];
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  let at = 0;
  const words = (line: string) => inline(line, cited);
  const cells = (line: string) => (ROW.exec(line)?.[1] ?? "").split("|").map((cell) => words(cell.trim()));
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (!line.trim()) {
      at++;
    } else if (FENCE.test(line)) {
      const end = lines.findIndex((other, place) => place > at && FENCE.test(other));
      const stop = end < 0 ? lines.length : end;
      blocks.push({ kind: "code", text: lines.slice(at + 1, stop).join("\n") });
      at = stop + 1;
    } else if (HEADING.test(line)) {
      blocks.push({ kind: "heading", inner: words(HEADING.exec(line)?.[1] ?? "") });
      at++;
    } else if (ROW.test(line) && RULE.test(lines[at + 1] ?? "")) {
      const head = cells(line);
      const rows: Inline[][][] = [];
      for (at += 2; ROW.test(lines[at] ?? ""); at++) rows.push(cells(lines[at] ?? ""));
      blocks.push({ kind: "table", head, rows });
    } else if (ITEM.test(line)) {
      const first = ITEM.exec(line)?.[1];
      const items: Inline[][] = [];
      for (let item = ITEM.exec(line); item; item = ITEM.exec(lines[at] ?? "")) {
        let body = item[2] ?? "";
        // An indented line goes on with the item before it.
        for (at++; /^\s{2,}\S/.test(lines[at] ?? "") && !ITEM.test(lines[at] ?? ""); at++) body += `\n${lines[at]?.trim()}`;
        items.push(words(body));
      }
      blocks.push({ kind: "list", ordered: first !== undefined, start: Number(first ?? 1), items });
    } else {
      const quoted = QUOTE.test(line);
      const part: string[] = [];
      for (; at < lines.length && (part.length === 0 || goesOn(lines[at] ?? "", quoted)); at++) {
        part.push((lines[at] ?? "").replace(quoted ? QUOTE : /^\s+/, ""));
      }
      blocks.push({ kind: quoted ? "quote" : "paragraph", inner: words(part.join("\n")) });
    }
  }
  return blocks;
}

function goesOn(line: string, quoted: boolean): boolean {
  if (quoted) return QUOTE.test(line);
  return Boolean(line.trim()) && ![FENCE, HEADING, QUOTE, ITEM, ROW].some((start) => start.test(line));
}

// In this order: code first, since nothing inside it counts.
const INLINE =
  /(?<code>`+)(?<inside>.+?)\k<code>(?!`)|\[(?<number>\d{1,3})\]|\[(?<label>[^\]\n]{1,300})\]\((?<url>[^\s()]{1,1000}(?:\([^\s()]*\)[^\s()]*)?)\)|(?<strong>\*\*|__)(?=\S)(?<bold>.+?)(?<=\S)\k<strong>|(?<![\w*])\*(?=[^\s*])(?<em>[^*\n]+?)(?<=\S)\*(?![\w*])|(?<bare>https?:\/\/[^\s<>"'()\u3000-\u303f\uff00-\uffef]+[^\s<>"'().,;:!?\u3000-\u303f\uff00-\uffef])|(?<end>\n)/gs;

function inline(text: string, cited: ReadonlySet<number>, depth = 0): Inline[] {
  const found: Inline[] = [];
  let from = 0;
  const plain = (part: string) => {
    if (part) found.push({ kind: "text", text: part });
  };
  if (depth > 4) {
    plain(text);
    return found;
  }
  for (const match of text.matchAll(INLINE)) {
    const group = match.groups ?? {};
    const made = one(group, cited, depth);
    if (!made) continue; // it stays in the text
    plain(text.slice(from, match.index));
    found.push(made);
    from = match.index + match[0].length;
  }
  plain(text.slice(from));
  return found;
}

function one(group: Record<string, string | undefined>, cited: ReadonlySet<number>, depth: number): Inline | null {
  const within = (text: string) => inline(text, cited, depth + 1);
  if (group["inside"] !== undefined) return { kind: "code", text: group["inside"].trim() };
  if (group["number"] !== undefined) {
    const number = Number(group["number"]);
    return cited.has(number) ? { kind: "cite", number } : null;
  }
  if (group["label"] !== undefined) {
    const url = safeUrl(group["url"]);
    return url ? { kind: "link", url, inner: within(group["label"]) } : null;
  }
  if (group["bold"] !== undefined) return { kind: "strong", inner: within(group["bold"]) };
  if (group["em"] !== undefined) return { kind: "emphasis", inner: within(group["em"]) };
  if (group["bare"] !== undefined) {
    const url = safeUrl(group["bare"]);
    return url ? { kind: "link", url, inner: [{ kind: "text", text: group["bare"] }] } : null;
  }
  return { kind: "break" };
}
