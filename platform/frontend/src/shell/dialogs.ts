// Dialogs, copy buttons and confirmation by name: small behaviours that any page may use by attributes.
import { announce } from "../lib/dom";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";

export function openDialog(id: string): void {
  const dialog = document.getElementById(id);
  if (!(dialog instanceof HTMLDialogElement) || dialog.open) return;
  for (const menu of document.querySelectorAll<HTMLElement>(".menu:popover-open")) menu.hidePopover();
  dialog.showModal();
}

async function copy(button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(button.dataset["copy"] ?? "");
    announce(t("Copied"));
    toast(t("Copied"), "ok");
  } catch {
    // Clipboards are closed to pages without https: select the text so that Ctrl-C copies it.
    const code = button.parentElement?.querySelector("code");
    if (code) getSelection()?.selectAllChildren(code);
    toast(t("The browser does not let this page copy. The text is selected: press Ctrl C."), "warn");
  }
}

export function startDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as HTMLElement;
    const opener = target.closest<HTMLElement>("[data-dialog-open]");
    if (opener?.dataset["dialogOpen"]) openDialog(opener.dataset["dialogOpen"]);
    if (target.closest("[data-dialog-close]")) target.closest("dialog")?.close();
    // A click on the backdrop reaches the dialog itself, never something inside it.
    if (target instanceof HTMLDialogElement && target.open) {
      const box = target.getBoundingClientRect();
      const inside =
        event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) target.close();
    }
    const copyButton = target.closest<HTMLElement>("[data-copy]");
    if (copyButton) void copy(copyButton);
  });
  document.addEventListener("input", (event) => {
    const form = (event.target as HTMLElement).closest<HTMLFormElement>("[data-confirm-name]");
    if (!form) return;
    const typed = form.querySelector<HTMLInputElement>("[name=confirm]")?.value.trim();
    const button = form.querySelector<HTMLButtonElement>("button:not([type=button])");
    if (button) button.disabled = typed !== form.dataset["confirmName"];
  });
  document.addEventListener("change", (event) => {
    // `<select data-submit>`: a filter that takes effect at once.
    const field = (event.target as HTMLElement).closest<HTMLSelectElement>("[data-submit]");
    field?.form?.requestSubmit();
  });
}
