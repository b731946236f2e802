// Keeps `<time data-relative>` current: "3 minutes ago" must not stay true for an hour.
import { formatMoment, formatRelative } from "../lib/format";

function update(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[data-relative]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const text = formatRelative(moment);
    if (element.textContent !== text) element.textContent = text;
    element.title ||= formatMoment(moment, { dateStyle: "medium", timeStyle: "long" });
  }
}

export function startTimes(): void {
  update(document);
  setInterval(() => document.visibilityState === "visible" && update(document), 15_000);
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) {
        if (node instanceof Element) update(node.parentElement ?? node);
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
}
