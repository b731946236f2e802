// The page of a tagged example: its tags are changed with the mouse or the keyboard, then saved.
import { pageData } from "../lib/config";
import { h } from "../lib/dom";
import { t } from "../lib/i18n";
import { CHOICE_KEYS, tagger } from "../lib/tagger";

interface Data {
  tokens: string[];
  tags: string[];
  kinds: string[];
}

const place = document.getElementById("tagger");
const field = document.getElementById("tagger-answer") as HTMLInputElement | null;
const data = pageData<Data>("tagger-data");

if (place && data && field) {
  const kinds = [...data.kinds];
  const store = (): void => void (field.value = JSON.stringify({ tags: editor.tags }));
  const editor = tagger(data.tokens, data.tags, () => kinds, store);
  const buttons = h("div", { class: "annotate-choices", role: "group", "aria-label": t("Kinds") });
  const input = h("input", { type: "text", maxlength: 100, "aria-label": t("Another kind"), placeholder: t("Another kind") });
  const add = (kind: string): void => {
    const key = CHOICE_KEYS[buttons.querySelectorAll("[data-kind]").length] ?? "";
    const button = h("button", { class: "button", type: "button", "data-kind": kind, onclick: () => editor.name(kind) }, kind, key && h("kbd", {}, key));
    buttons.insertBefore(button, input);
  };
  buttons.append(input, h("button", { class: "button button-plain", type: "button", onclick: () => editor.name(null) }, t("Clear"), h("kbd", {}, "0")));
  kinds.forEach(add);
  input.addEventListener("keydown", (event) => {
    const kind = input.value.trim();
    if (event.key !== "Enter" || !kind) return;
    event.preventDefault();
    if (!kinds.includes(kind)) {
      kinds.push(kind);
      add(kind);
    }
    input.value = "";
    editor.name(kind);
    editor.focus();
  });
  editor.element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const kind = kinds[CHOICE_KEYS.indexOf(event.key)];
    if (editor.key(event) || kind || event.key === "0") event.preventDefault();
    if (kind) editor.name(kind);
    else if (event.key === "0") editor.name(null);
    // The page's own shortcuts would take the letters.
    event.stopPropagation();
  });
  place.append(editor.element, buttons);
  store();
} else if (place) {
  // Somebody who may not change anything still sees the words.
  place.textContent = data?.tokens.join(" ") ?? "";
}
