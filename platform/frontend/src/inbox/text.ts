// Texts of a conversation as elements: the widget's subset of Markdown, citations with their source under the cursor.
import { h } from "../lib/dom";
import { t } from "../lib/i18n";
import { parse, safeUrl } from "../widget/markdown";
import { blocksView } from "../widget/markdown-view";
import type { Citation } from "./model";

function source(citation: Citation): string {
  return [citation.heading, citation.page ? t("page {n}", { n: citation.page }) : ""].filter(Boolean).join(" · ");
}

/** A numbered source; the passage shows while the cursor or the focus is on it. */
export function cite(citation: Citation): HTMLElement {
  const url = safeUrl(citation.url);
  const card = h(
    "span",
    { class: "inbox-source-card", role: "tooltip" },
    h("strong", {}, citation.title),
    source(citation) && h("span", { class: "faint" }, source(citation)),
    citation.quote && h("q", {}, citation.quote),
  );
  const label = t("Source {n}: {title}", { n: citation.number, title: citation.title });
  const mark = url
    ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer", "aria-label": label }, String(citation.number))
    : h("button", { type: "button", "aria-label": label }, String(citation.number));
  return h("span", { class: "inbox-source" }, mark, card);
}

/** The text of a message; `[1]` becomes its source. */
export function rich(text: string, citations: Citation[]): HTMLElement {
  const known = new Map(citations.map((citation) => [citation.number, citation]));
  const body = h("div", { class: "inbox-text" });
  body.append(blocksView(parse(text, new Set(known.keys())), (number) => cite(known.get(number)!)));
  return body;
}

/** The sources below a text that does not name them itself. */
export function sources(text: string, citations: Citation[]): HTMLElement | null {
  const left = citations.filter((citation) => !text.includes(`[${citation.number}]`));
  if (left.length === 0) return null;
  return h("p", { class: "inbox-sources" }, t("Sources:"), ...left.flatMap((citation) => [" ", cite(citation), ` ${citation.title}`]));
}
