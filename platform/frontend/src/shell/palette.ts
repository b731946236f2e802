// The command palette: every page and action of this person, found by a few letters.
import { config, type PaletteEntry } from "../lib/config";
import { h, icon } from "../lib/dom";
import { t, tn } from "../lib/i18n";
import { announce } from "../lib/dom";

interface Command extends PaletteEntry {
  run?: () => void;
}

const RECENT = "palette.recent";
const extra: Command[] = [];

/** Adds something that the current page can do. */
export function command(label: string, iconName: string, run: () => void, keys = ""): void {
  extra.push({ label, group: t("This page"), url: "", icon: iconName, keys, run });
}

/** How well the letters fit: 0 is not at all. A start of a word counts more than its middle. */
export function score(text: string, letters: string): number {
  const lower = text.toLowerCase();
  const wanted = letters.toLowerCase();
  const at = lower.indexOf(wanted);
  if (at === 0) return 100;
  if (at > 0) return /\s/.test(lower[at - 1] ?? "") ? 80 : 60;
  let position = 0;
  for (const letter of wanted.replace(/\s+/g, "")) {
    position = lower.indexOf(letter, position) + 1;
    if (position === 0) return 0;
  }
  return 30;
}

function recent(): string[] {
  try {
    return JSON.parse(localStorage.getItem(RECENT) ?? "[]") as string[];
  } catch {
    return [];
  }
}

function search(letters: string): Command[] {
  const all: Command[] = [...extra, ...(config?.palette ?? [])];
  if (!letters.trim()) {
    const visited = recent();
    const rank = (entry: Command): number => {
      const place = visited.indexOf(entry.label);
      return entry.run ? -100 : place < 0 ? 100 : place;
    };
    return all.sort((a, b) => rank(a) - rank(b));
  }
  return all
    .map((entry) => ({
      entry,
      fit: Math.max(score(entry.label, letters), score(`${entry.group} ${entry.label}`, letters) - 10),
    }))
    .filter(({ fit }) => fit > 0)
    .sort((a, b) => b.fit - a.fit)
    .map(({ entry }) => entry);
}

function marked(text: string, letters: string): (Node | string)[] {
  const at = letters ? text.toLowerCase().indexOf(letters.toLowerCase()) : -1;
  if (at < 0) return [text];
  const end = at + letters.length;
  return [text.slice(0, at), h("mark", {}, text.slice(at, end)), text.slice(end)];
}

export function startPalette(): void {
  const dialog = document.getElementById("palette");
  const list = document.getElementById("palette-list");
  if (!(dialog instanceof HTMLDialogElement) || !list || !config) return;
  const input = dialog.querySelector("input") as HTMLInputElement;
  let found: Command[] = [];
  let chosen = 0;

  const choose = (index: number): void => {
    chosen = (index + found.length) % Math.max(1, found.length);
    for (const [i, row] of [...list.querySelectorAll('[role="option"]')].entries()) {
      row.setAttribute("aria-selected", String(i === chosen));
      if (i === chosen) {
        input.setAttribute("aria-activedescendant", row.id);
        row.scrollIntoView({ block: "nearest" });
      }
    }
  };

  const draw = (): void => {
    const letters = input.value.trim();
    found = search(letters);
    list.replaceChildren(
      ...found.map((entry, i) =>
        h(
          "div",
          {
            class: "menu-item",
            role: "option",
            id: `palette-${i}`,
            onclick: () => run(i),
            onmousemove: () => chosen !== i && choose(i),
          },
          icon(entry.icon),
          h("span", {}, ...marked(entry.label, letters), " ", entry.group && entry.group !== entry.label && h("small", {}, entry.group)),
          entry.keys && h("span", { class: "nowrap" }, ...entry.keys.split(" ").map((key) => h("kbd", {}, key))),
        ),
      ),
    );
    if (found.length === 0) {
      list.replaceChildren(h("p", { class: "tray-empty" }, t("Nothing is called “{letters}”. Try fewer letters.", { letters })));
    }
    input.removeAttribute("aria-activedescendant");
    choose(0);
    announce(tn("{count} result", "{count} results", found.length));
  };

  const run = (index: number): void => {
    const entry = found[index];
    if (!entry) return;
    dialog.close();
    if (entry.run) {
      entry.run();
      return;
    }
    localStorage.setItem(RECENT, JSON.stringify([entry.label, ...recent().filter((l) => l !== entry.label)].slice(0, 5)));
    location.assign(entry.url);
  };

  const open = (): void => {
    if (dialog.open) return;
    for (const menu of document.querySelectorAll<HTMLElement>(".menu:popover-open")) menu.hidePopover();
    input.value = "";
    dialog.showModal();
    draw();
    input.focus();
  };

  input.addEventListener("input", draw);
  dialog.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      choose(chosen + step);
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(chosen);
    }
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else open();
    }
  });
  document.addEventListener("click", (event) => {
    if ((event.target as HTMLElement).closest("[data-palette-open]")) open();
  });
}
