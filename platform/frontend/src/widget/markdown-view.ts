// The tree of an answer as elements.
import { h } from "./dom";
import type { Block, Inline } from "./markdown";

/** Makes the button of a citation. */
export type Cite = (number: number) => Node;

export function blocksView(blocks: Block[], cite: Cite): DocumentFragment {
  const made = document.createDocumentFragment();
  const inner = (parts: Inline[]) => inlineView(parts, cite);
  for (const block of blocks) {
    if (block.kind === "code") made.append(h("pre", { tabindex: 0 }, h("code", {}, block.text)));
    else if (block.kind === "table") made.append(tableView(block.head, block.rows, inner));
    else if (block.kind === "list") {
      const list = h(block.ordered ? "ol" : "ul", block.ordered && block.start !== 1 ? { start: block.start } : {});
      list.append(...block.items.map((item) => h("li", {}, inner(item))));
      made.append(list);
    } else if (block.kind === "quote") made.append(h("blockquote", {}, inner(block.inner)));
    else made.append(h("p", block.kind === "heading" ? { class: "heading" } : {}, inner(block.inner)));
  }
  return made;
}

function tableView(head: Inline[][], rows: Inline[][][], inner: (parts: Inline[]) => Node): HTMLElement {
  const heads = h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, inner(cell))));
  const body = rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, inner(cell)))));
  return h("div", { class: "table", tabindex: 0 }, h("table", {}, h("thead", {}, heads), h("tbody", {}, ...body)));
}

function inlineView(parts: Inline[], cite: Cite): DocumentFragment {
  const made = document.createDocumentFragment();
  for (const part of parts) {
    if (part.kind === "text") made.append(part.text);
    else if (part.kind === "break") made.append(h("br"));
    else if (part.kind === "code") made.append(h("code", {}, part.text));
    else if (part.kind === "cite") made.append(cite(part.number));
    else if (part.kind === "link") {
      const link = { href: part.url, target: "_blank", rel: "noopener noreferrer nofollow" };
      made.append(h("a", link, inlineView(part.inner, cite)));
    } else made.append(h(part.kind === "strong" ? "strong" : "em", {}, inlineView(part.inner, cite)));
  }
  return made;
}
