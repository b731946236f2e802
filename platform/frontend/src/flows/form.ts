// The form of one step. Every field knows the JSON pointer of what it edits, so that a fault stands beside it.
import { h, icon } from "../lib/dom";
import { t } from "../lib/i18n";
import {
  callOf, casesOf, kindWord, OPERATORS, operatorWord, optionsOf, pathsOf, SLOT_TYPES, typeWord,
  type Action, type Case, type Condition, type Definition, type Option, type Step, type Words,
} from "./model";

export interface Editing {
  definition: Definition;
  actions: Action[];
  mayChange: boolean;
  // A value was typed; the form stands.
  changed: () => void;
  // The shape of the form changed as well: draw the step anew.
  reshaped: (id: string) => void;
}

type Holder = Record<string, unknown>;

let counter = 0;

function field(label: string, pointer: string, input: HTMLElement, help = ""): HTMLElement {
  counter += 1;
  const id = `flow-field-${counter}`;
  input.id = id;
  if (help) input.setAttribute("aria-describedby", `${id}-help`);
  return h(
    "div",
    { class: "field", "data-pointer": pointer },
    h("label", { for: id }, label),
    input,
    help && h("p", { class: "helptext", id: `${id}-help` }, help),
  );
}

function line(editing: Editing, holder: Holder, name: string, put?: (text: string) => unknown): HTMLInputElement {
  const value = holder[name];
  const input = h("input", {
    value: value === undefined ? "" : Array.isArray(value) ? value.join(", ") : String(value),
    autocomplete: "off",
    spellcheck: "false",
    disabled: !editing.mayChange,
  });
  input.addEventListener("input", () => {
    const text = input.value;
    const made = put ? put(text) : text;
    if (made === undefined || made === "") delete holder[name];
    else holder[name] = made;
    editing.changed();
  });
  return input;
}

function select(
  editing: Editing, now: string, options: [string, string][], choose: (value: string) => void,
): HTMLSelectElement {
  const known = options.some(([value]) => value === now);
  const all: [string, string][] = known ? options : [[now, now || "—"], ...options];
  const element = h(
    "select",
    { disabled: !editing.mayChange },
    ...all.map(([value, label]) => h("option", { value, selected: value === now }, label)),
  );
  element.addEventListener("change", () => choose(element.value));
  return element;
}

function box(editing: Editing, label: string, checked: boolean, choose: (on: boolean) => void, help = ""): HTMLElement {
  counter += 1;
  const id = `flow-field-${counter}`;
  const input = h("input", { type: "checkbox", id, checked, disabled: !editing.mayChange });
  input.addEventListener("change", () => choose(input.checked));
  return h(
    "div", { class: "field field-check" }, input, h("label", { for: id }, label),
    help && h("p", { class: "helptext" }, help),
  );
}

function texts(
  editing: Editing, label: string, holder: Holder, name: string, pointer: string, help = "", rows = 2,
): HTMLElement {
  const words = (holder[name] ?? {}) as Words;
  const area = (language: "en" | "zh"): HTMLElement => {
    const input = h("textarea", { rows, lang: language === "zh" ? "zh-Hans" : "en", disabled: !editing.mayChange });
    input.value = words[language] ?? "";
    input.addEventListener("input", () => {
      const now = { ...((holder[name] ?? {}) as Words), [language]: input.value };
      if (input.value === "") delete now[language];
      if (Object.keys(now).length === 0) delete holder[name];
      else holder[name] = now;
      editing.changed();
    });
    const tongue = language === "zh" ? t("Chinese") : t("English");
    return field(`${label} · ${tongue}`, `${pointer}/${name}/${language}`, input);
  };
  return h(
    "div",
    { class: "flow-texts", "data-pointer": `${pointer}/${name}` },
    ...editing.definition.languages.map((language) => area(language as "en" | "zh")),
    help && h("p", { class: "helptext" }, help),
  );
}

function goto(editing: Editing, label: string, holder: Holder, name: string, pointer: string, none = ""): HTMLElement {
  const options: [string, string][] = editing.definition.steps.map((step) => [
    step.id,
    `${step.id} (${kindWord(step.kind)})`,
  ]);
  if (none) options.unshift(["", none]);
  const element = select(editing, String(holder[name] ?? ""), options, (value) => {
    if (value === "") delete holder[name];
    else holder[name] = value;
    editing.changed();
  });
  return field(label, `${pointer}/${name}`, element);
}

function remove(editing: Editing, label: string, act: () => void): HTMLElement {
  return h(
    "button",
    {
      class: "button button-plain button-icon", type: "button", "aria-label": label, title: label,
      disabled: !editing.mayChange, onclick: act,
    },
    icon("trash-2"),
  );
}

function add(editing: Editing, label: string, act: () => void): HTMLElement | null {
  if (!editing.mayChange) return null;
  return h("button", { class: "button button-small", type: "button", onclick: act }, icon("plus"), label);
}

function numberOf(text: string): unknown {
  return text.trim() === "" ? undefined : Number.isNaN(Number(text)) ? text : Number(text);
}

/** What somebody typed into "is …": true, false, a number, or text. */
function scalar(text: string): unknown {
  const plain = text.trim();
  if (plain === "true" || plain === "false") return plain === "true";
  return plain !== "" && !Number.isNaN(Number(plain)) ? Number(plain) : plain;
}

function options(editing: Editing, step: Step, pointer: string): HTMLElement {
  const rows = optionsOf(step).map((option, index) => {
    const here = `${pointer}/options/${index}`;
    const holder = option as unknown as Holder;
    return h(
      "fieldset",
      { class: "flow-option", "data-pointer": here },
      h("legend", {}, t("Option {number}", { number: index + 1 })),
      texts(editing, t("Button"), holder, "label", here, "", 1),
      h(
        "div",
        { class: "flow-row" },
        field(t("Value"), `${here}/value`, line(editing, holder, "value")),
        field(
          t("Other words for it"), `${here}/words`,
          line(editing, holder, "words", (text) => {
            const words = text.split(/[,,、]/).map((word) => word.trim()).filter(Boolean);
            return words.length > 0 ? words : undefined;
          }),
        ),
        goto(editing, t("Goes to"), holder, "next", here, t("as the step")),
        remove(editing, t("Remove option {number}", { number: index + 1 }), () => {
          optionsOf(step).splice(index, 1);
          editing.reshaped(step.id);
        }),
      ),
    );
  });
  return h(
    "div",
    { class: "stack", "data-pointer": `${pointer}/options` },
    ...rows,
    add(editing, t("Option"), () => {
      const made: Option = { value: "", label: { en: "", zh: "" } };
      step["options"] = [...optionsOf(step), made];
      editing.reshaped(step.id);
    }),
  );
}

function question(editing: Editing, step: Step, pointer: string): (HTMLElement | null)[] {
  const type = step.kind === "choose" ? "choice" : String(step["type"]);
  const parts: (HTMLElement | null)[] = [texts(editing, t("Question"), step, "text", pointer)];
  const row = [field(t("Slot"), `${pointer}/slot`, line(editing, step, "slot"), t("The name of the answer, for {slot} and $slot."))];
  if (step.kind === "ask") {
    const types = SLOT_TYPES.map((name): [string, string] => [name, typeWord(name)]);
    const choose = select(editing, type, types, (value) => {
      step["type"] = value;
      for (const name of ["pattern", "currency", "minimum", "maximum", "when", "options"]) delete step[name];
      if (value === "code") step["pattern"] = "[A-Z]-[0-9]{4}";
      if (value === "choice") step["options"] = [];
      editing.reshaped(step.id);
    });
    row.push(field(t("Kind"), `${pointer}/type`, choose));
  }
  if (type === "code") {
    row.push(field(t("Pattern"), `${pointer}/pattern`, line(editing, step, "pattern"), t("A regular expression, such as [A-Z]-[0-9]{4}.")));
  }
  if (type === "amount") row.push(field(t("Currency if none is said"), `${pointer}/currency`, line(editing, step, "currency")));
  if (type === "amount" || type === "number") {
    row.push(field(t("At least"), `${pointer}/minimum`, line(editing, step, "minimum", numberOf)));
    row.push(field(t("At most"), `${pointer}/maximum`, line(editing, step, "maximum", numberOf)));
  }
  if (type === "date") {
    const sides: [string, string][] = [["any", t("any day")], ["past", t("today or before")], ["future", t("today or later")]];
    const side = select(editing, String(step["when"] ?? "any"), sides, (value) => {
      step["when"] = value;
      editing.changed();
    });
    row.push(field(t("Allowed"), `${pointer}/when`, side));
  }
  parts.push(h("div", { class: "flow-row" }, ...row));
  if (type === "choice") parts.push(options(editing, step, pointer));
  parts.push(texts(editing, t("When it was not understood"), step, "invalid", pointer, t("Empty: a general sentence and the question again.")));
  const misses = line(editing, step, "max_misses", numberOf);
  misses.type = "number";
  misses.placeholder = "2";
  parts.push(
    h(
      "div",
      { class: "flow-row" },
      field(t("Asked again at most"), `${pointer}/max_misses`, misses),
      goto(editing, t("After that"), step, "on_miss", pointer, t("people")),
      goto(editing, t("Then"), step, "next", pointer, type === "choice" ? t("as the options say") : ""),
    ),
  );
  if (type !== "text" && type !== "boolean" && type !== "number") {
    parts.push(
      box(editing, t("Taken from earlier messages too"), step["ahead"] !== false, (on) => {
        if (on) delete step["ahead"];
        else step["ahead"] = false;
        editing.changed();
      }, t("“Where is my order A-1234?” answers the question before it is asked.")),
    );
  }
  return parts;
}

function call(editing: Editing, step: Step, pointer: string): (HTMLElement | null)[] {
  const action = editing.actions.find((one) => one.name === step["action"]);
  const names = editing.actions.map((one): [string, string] => [one.name, one.name]);
  const choose = select(editing, String(step["action"] ?? ""), names, (value) => {
    Object.assign(step, callOf({ ...step, arguments: {} }, editing.actions.find((one) => one.name === value)));
    editing.reshaped(step.id);
  });
  const given = (step["arguments"] ??= {}) as Holder;
  const values = Object.entries(action?.parameters ?? {}).map(([name, kind]) => {
    const input = line(editing, given, name);
    input.setAttribute("list", "flow-paths");
    const label = kind.required === false ? `${name} (${t("optional")})` : name;
    return field(label, `${pointer}/arguments/${name}`, input, kind.description ?? "");
  });
  const into = line(editing, step, "into");
  into.placeholder = String(step["action"] ?? "");
  return [
    h(
      "div",
      { class: "flow-row" },
      field(t("Action"), `${pointer}/action`, choose),
      field(t("Results are called"), `${pointer}/into`, into),
    ),
    editing.actions.length === 0
      ? h("p", { class: "notice notice-info" }, icon("info"), h("span", {}, t("There is no business action yet: add one under Business actions.")))
      : null,
    h("div", { class: "flow-row", "data-pointer": `${pointer}/arguments` }, ...values),
    texts(
      editing, t("Ask before"), step, "confirm", pointer,
      action?.changes
        ? t("It changes something: say exactly what, with the values in braces.")
        : t("It only looks: leave this empty to call at once."),
    ),
    h(
      "div",
      { class: "flow-row" },
      goto(editing, t("Done"), step, "next", pointer),
      goto(editing, t("Refused or failed"), step, "on_failure", pointer, t("people")),
      goto(editing, t("No answer in time"), step, "on_timeout", pointer, action?.changes ? t("say so, offer people") : t("as failed")),
      goto(editing, t("Customer says no"), step, "on_declined", pointer, t("end, nothing changed")),
    ),
  ];
}

function condition(editing: Editing, step: Step, one: Case, index: number, pointer: string): HTMLElement {
  const now = one.when[index] as Condition;
  const holder = now as unknown as Holder;
  const value = line(editing, holder, "value");
  value.setAttribute("list", "flow-names");
  const operators = OPERATORS.map((name): [string, string] => [name, operatorWord(name)]);
  const choose = select(editing, now.is, operators, (operator) => {
    now.is = operator;
    if (operator === "exists" || operator === "missing") delete now.to;
    editing.reshaped(step.id);
  });
  const compares = now.is !== "exists" && now.is !== "missing";
  const to = line(editing, holder, "to", (text) =>
    now.is === "in" ? text.split(/[,,、]/).map(scalar).filter((item) => item !== "") : scalar(text),
  );
  return h(
    "div",
    { class: "flow-row" },
    field(t("Value"), `${pointer}/value`, value),
    field(t("Comparison"), `${pointer}/is`, choose),
    compares && field(now.is === "in" ? t("One of, by comma") : t("With"), `${pointer}/to`, to),
    one.when.length > 1 &&
      remove(editing, t("Remove condition"), () => {
        one.when.splice(index, 1);
        editing.reshaped(step.id);
      }),
  );
}

function branch(editing: Editing, step: Step, pointer: string): (HTMLElement | null)[] {
  const cases = casesOf(step).map((one, index) => {
    const here = `${pointer}/cases/${index}`;
    return h(
      "fieldset",
      { class: "flow-option", "data-pointer": here },
      h("legend", {}, t("Case {number}: all of these", { number: index + 1 })),
      ...one.when.map((_, place) => condition(editing, step, one, place, `${here}/when/${place}`)),
      h(
        "div",
        { class: "flow-row" },
        goto(editing, t("Goes to"), one as unknown as Holder, "next", here),
        add(editing, t("Condition"), () => {
          one.when.push({ value: "", is: "exists" });
          editing.reshaped(step.id);
        }),
        casesOf(step).length > 1 &&
          remove(editing, t("Remove case {number}", { number: index + 1 }), () => {
            casesOf(step).splice(index, 1);
            editing.reshaped(step.id);
          }),
      ),
    );
  });
  return [
    ...cases,
    add(editing, t("Case"), () => {
      casesOf(step).push({ when: [{ value: "", is: "exists" }], next: String(step["otherwise"] ?? "") });
      editing.reshaped(step.id);
    }),
    goto(editing, t("Otherwise"), step, "otherwise", pointer),
  ];
}

/** The fields of one step. */
export function stepForm(editing: Editing, step: Step, index: number): HTMLElement {
  counter += 1;
  const pointer = `/steps/${index}`;
  let parts: (HTMLElement | null)[] = [];
  if (step.kind === "say") {
    parts = [texts(editing, t("Text"), step, "text", pointer), goto(editing, t("Then"), step, "next", pointer)];
  } else if (step.kind === "ask" || step.kind === "choose") parts = question(editing, step, pointer);
  else if (step.kind === "call") parts = call(editing, step, pointer);
  else if (step.kind === "branch") parts = branch(editing, step, pointer);
  else {
    parts = [texts(editing, t("Last words"), step, "text", pointer, t("Empty: a general sentence, if nothing else was said."))];
    if (step.kind === "hand-off") {
      parts.unshift(field(t("Reason"), `${pointer}/reason`, line(editing, step, "reason"), t("For your colleagues, not for the customer.")));
    }
  }
  return h("div", { class: "flow-form" }, ...parts);
}

/** What inputs suggest: every name, and every name as an argument. */
export function suggestions(editing: Editing): HTMLElement {
  const paths = pathsOf(editing.definition, editing.actions);
  return h(
    "div",
    { hidden: true },
    h("datalist", { id: "flow-names" }, ...paths.map((path) => h("option", { value: path }))),
    h("datalist", { id: "flow-paths" }, ...paths.map((path) => h("option", { value: `$${path}` }))),
  );
}
