// The two forms: what is asked before a conversation, and how it was.
import type { Context } from "./context";
import { h } from "./dom";
import { inLanguage } from "./protocol";
import type { Field } from "./wire";

/** Asks for the fields of the channel; `done` is given the answers. */
export function preChatForm(context: Context, fields: Field[], done: (answers: Record<string, string>) => void): HTMLElement {
  const { words, language } = context;
  const inputs = fields.map((field) => {
    const id = `field-${field.name}`;
    const common = { id, name: field.name, required: field.required, "aria-describedby": `${id}-error` };
    const complete = { name: "name", email: "email", phone: "tel" }[field.name] ?? "on";
    const input =
      field.kind === "choice"
        ? h("select", common, h("option", { value: "" }, words.choose), ...choices(field, context))
        : h("input", { ...common, type: field.kind === "email" ? "email" : "text", maxlength: 200, autocomplete: complete });
    const error = h("span", { class: "note bad", id: `${id}-error`, role: "alert" });
    const label = h("label", { for: id }, inLanguage(field.label, language) || field.name);
    if (!field.required) label.append(" ", h("small", {}, words.optional));
    return { field, input, error, row: h("div", { class: "field" }, label, input, error) };
  });
  const submit = (event: Event) => {
    event.preventDefault();
    let first: HTMLElement | null = null;
    for (const { field, input, error } of inputs) {
      const empty = field.required && !input.value.trim();
      error.textContent = empty ? words.required : input.validity.valid ? "" : words.badEmail;
      input.setAttribute("aria-invalid", String(Boolean(error.textContent)));
      if (error.textContent) first ??= input;
    }
    if (first) first.focus();
    else done(Object.fromEntries(inputs.map(({ field, input }) => [field.name, input.value.trim()])));
  };
  return h(
    "form",
    { class: "card", novalidate: true, onsubmit: submit },
    h("h2", {}, words.formLead),
    ...inputs.map(({ row }) => row),
    h("button", { class: "primary" }, words.begin),
  );
}

function choices(field: Field, { language }: Context): HTMLElement[] {
  return (field.choices ?? []).map((choice) => {
    const label = typeof choice === "string" ? choice : inLanguage(choice, language);
    return h("option", { value: label }, label);
  });
}

/** Five grades and a word; shown when a conversation has been closed. */
export function ratingForm(context: Context): HTMLElement {
  const { words } = context;
  const grades = h("div", { class: "grades" });
  words.rate.forEach((label, at) => {
    const input = h("input", { type: "radio", name: "score", value: at + 1, required: true });
    grades.append(h("label", { title: label }, input, h("span", { "aria-hidden": true }, String(at + 1)), h("span", { class: "hidden" }, label)));
  });
  const said = h("p", { class: "faint", "aria-hidden": true }, `1 ${words.rate[0]} · 5 ${words.rate[4]}`);
  const comment = h("textarea", { rows: 2, maxlength: 2000, placeholder: words.rateComment, "aria-label": words.rateComment });
  const submit = (event: Event) => {
    event.preventDefault();
    const score = Number(new FormData(form).get("score"));
    if (score < 1) return;
    context.rate(score, comment.value.trim());
    form.replaceChildren(h("p", { role: "status" }, words.rated));
  };
  const send = h("button", { class: "primary" }, words.tell);
  const group = h("fieldset", {}, h("legend", {}, words.rateTitle), grades, said);
  const form = h("form", { class: "card", onsubmit: submit }, group, comment, send);
  return form;
}
