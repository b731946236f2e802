// Short messages in the corner. What must not be missed belongs into the page, not here.
import { h, icon } from "./dom";
import { t } from "./i18n";

export type Tone = "info" | "ok" | "warn" | "bad";

function drawing(tone: Tone): SVGSVGElement {
  if (tone === "ok") return icon("circle-check");
  if (tone === "warn") return icon("triangle-alert");
  return tone === "bad" ? icon("circle-alert") : icon("info");
}

/** Shows a message; errors stay until closed. `undo` adds a button. */
export function toast(text: string, tone: Tone = "info", undo?: () => void): void {
  const region = document.getElementById("toasts");
  if (!region) return;
  const close = (): void => box.remove();
  const box = h(
    "div",
    { class: `notice notice-${tone} toast`, role: tone === "bad" ? "alert" : "status" },
    drawing(tone),
    h("div", {}, text),
    undo &&
      h("button", { class: "button button-small", type: "button", onclick: () => (undo(), close()) }, t("Undo")),
    h(
      "button",
      { class: "button button-plain button-small button-icon", type: "button", "aria-label": t("Close"), onclick: close },
      icon("x"),
    ),
  );
  region.append(box);
  if (tone !== "bad") setTimeout(close, undo ? 10_000 : 6_000);
}
