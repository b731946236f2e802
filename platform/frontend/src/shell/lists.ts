// Lists by keyboard: in a `<table data-list>`, j and k go from row to row, x ticks the row's box. A box with
// `data-select-all` ticks all; `[data-selection]` (the bulk actions) is shown while something is ticked, and
// `[data-selection-count]` says how much.
import { tn } from "../lib/i18n";
import { typing } from "../lib/dom";

function rows(): HTMLTableRowElement[] {
  return [...document.querySelectorAll<HTMLTableRowElement>("table[data-list] tbody tr")].filter((row) => row.checkVisibility());
}

function boxes(list: Element): HTMLInputElement[] {
  return [...list.querySelectorAll<HTMLInputElement>("tbody input[type=checkbox]")];
}

function move(step: number): void {
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
  const target = next?.querySelector<HTMLElement>("th a, th button") ?? next?.querySelector<HTMLElement>("a, button, input") ?? next;
  if (target === next) next?.setAttribute("tabindex", "-1");
  target?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function count(list: HTMLTableElement): void {
  const ticked = boxes(list).filter((box) => box.checked);
  for (const row of list.tBodies[0]?.rows ?? []) {
    const box = row.querySelector<HTMLInputElement>("input[type=checkbox]");
    if (box) row.setAttribute("aria-selected", String(box.checked));
  }
  const all = list.querySelector<HTMLInputElement>("[data-select-all]");
  if (all) {
    all.checked = ticked.length > 0 && ticked.length === boxes(list).length;
    all.indeterminate = ticked.length > 0 && !all.checked;
  }
  for (const bar of document.querySelectorAll<HTMLElement>(`[data-selection="${list.id}"]`)) {
    bar.hidden = ticked.length === 0;
    const text = bar.querySelector("[data-selection-count]");
    if (text) text.textContent = tn("{count} chosen", "{count} chosen", ticked.length);
  }
}

export function startLists(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || document.querySelector("dialog[open]")) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") {
      const row = document.activeElement?.closest("table[data-list] tbody tr");
      row?.querySelector<HTMLInputElement>("input[type=checkbox]")?.click();
    }
  });
  document.addEventListener("change", (event) => {
    const box = event.target as HTMLInputElement;
    const list = box.closest<HTMLTableElement>("table[data-list]");
    if (!list || box.type !== "checkbox") return;
    if (box.matches("[data-select-all]")) for (const each of boxes(list)) each.checked = box.checked;
    count(list);
  });
}
