// The drawer that tells how a reply came about: a partial of the server.
import type htmx from "htmx.org";
import { h } from "../lib/dom";
import { t } from "../lib/i18n";
import { openDialog } from "../shell/dialogs";

// The shell has loaded it already: a second import would split it off for every page.
type Htmx = typeof htmx;
const TARGET = "inbox-trace-body";

/** A button that opens the trace at `url`. */
export function why(url: string): HTMLElement {
  return h("button", { type: "button", class: "inbox-why", "aria-haspopup": "dialog", onclick: () => show(url) }, t("Why?"));
}

function show(url: string): void {
  document.getElementById(TARGET)!.replaceChildren(h("div", { class: "skeleton" }));
  openDialog("inbox-trace");
  void (globalThis as unknown as { htmx: Htmx }).htmx.ajax("get", url, { target: `#${TARGET}`, swap: "innerHTML" });
}
