// `?` help, and two-key shortcuts such as "g o" that come with the pages of the navigation.
import { config } from "../lib/config";
import { typing } from "../lib/dom";
import { openDialog } from "./dialogs";

const PATIENCE = 1_200;
const own = new Map<string, () => void>();

/** Adds a shortcut of a page: one key ("j") or two in a row ("n d"). */
export function shortcut(keys: string, action: () => void): void {
  own.set(keys, action);
}

export function startKeyboard(): void {
  const addresses = new Map(config?.palette.filter((entry) => entry.keys).map((entry) => [entry.keys, entry.url]));
  let first = "";
  let since = 0;
  if (/Mac|iPhone|iPad/.test(navigator.userAgent)) {
    for (const key of document.querySelectorAll("[data-mod-key]")) key.textContent = "⌘K";
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      event.preventDefault();
      openDialog("keyboard-help");
      return;
    }
    const pair = event.timeStamp - since < PATIENCE && first ? `${first} ${event.key}` : "";
    first = event.key;
    since = event.timeStamp;
    for (const keys of [pair, event.key]) {
      const action = own.get(keys);
      const url = addresses.get(keys);
      if (!keys || (!action && !url)) continue;
      event.preventDefault();
      first = "";
      if (action) action();
      else if (url) location.assign(url);
      return;
    }
  });
}
