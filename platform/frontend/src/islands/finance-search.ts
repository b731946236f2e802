// Search: from document to document by j and k, labels for the one that has the focus.
import { startRelabel } from "../lib/relabel";
import { shortcut } from "../shell/keyboard";

function move(step: 1 | -1): void {
  const current = document.activeElement?.closest(".headline");
  const next = current ? (step > 0 ? current.nextElementSibling : current.previousElementSibling) : document.querySelector(".headline");
  (next as HTMLElement | null)?.focus();
}

shortcut("j", () => move(1));
shortcut("k", () => move(-1));
shortcut("/", () => (document.getElementById("search-words") as HTMLInputElement | null)?.select());
startRelabel();
