// A flow's definition as the editor holds it (docs/flows.md tells its form); what is whole is the server's to say.
import { t } from "../lib/i18n";

export type Words = { en?: string; zh?: string };

export interface Option {
  value: string;
  label: Words;
  words?: string[];
  next?: string;
}

export interface Condition {
  value: string;
  is: string;
  to?: unknown;
}

export interface Case {
  when: Condition[];
  next: string;
}

export interface Step {
  id: string;
  kind: string;
  [field: string]: unknown;
}

export interface Definition {
  version: 1;
  languages: string[];
  start: string;
  steps: Step[];
}

export interface Field {
  type: string;
  description?: string;
  required?: boolean;
}

export interface Action {
  name: string;
  changes: boolean;
  parameters: Record<string, Field>;
  results: Record<string, Field>;
  address: boolean;
  url: string;
}

export interface Fault {
  pointer: string;
  detail: string;
}

export const KINDS = ["say", "ask", "choose", "call", "branch", "hand-off", "done"];
export const SLOT_TYPES = ["code", "date", "amount", "number", "phone", "email", "choice", "text", "boolean"];
export const OPERATORS = [
  "equals", "not-equals", "in", "exists", "missing", "less", "less-or-equal", "greater", "greater-or-equal",
];

/** What a kind of step is called. */
export function kindWord(kind: string): string {
  const words: Record<string, string> = {
    say: t("Say"),
    ask: t("Ask"),
    choose: t("Choose"),
    call: t("Call"),
    branch: t("Branch"),
    "hand-off": t("Hand over"),
    done: t("End"),
  };
  return words[kind] ?? kind;
}

/** What a kind of value is called. */
export function typeWord(type: string): string {
  const words: Record<string, string> = {
    code: t("Number by a pattern"),
    date: t("Date"),
    amount: t("Amount of money"),
    number: t("Number"),
    phone: t("Phone number"),
    email: t("E-mail address"),
    choice: t("Choice"),
    text: t("Any text"),
    boolean: t("Yes or no"),
  };
  return words[type] ?? type;
}

/** What a comparison is called. */
export function operatorWord(operator: string): string {
  const words: Record<string, string> = {
    equals: t("is"),
    "not-equals": t("is not"),
    in: t("is one of"),
    exists: t("is known"),
    missing: t("is not known"),
    less: t("is less than"),
    "less-or-equal": t("is at most"),
    greater: t("is more than"),
    "greater-or-equal": t("is at least"),
  };
  return words[operator] ?? operator;
}

export interface Edge {
  to: string;
  field: string;
  // In words: the option, the case, what a call came to.
  label: string;
}

/** Where a step leads, in the order of its fields. */
export function edgesOf(step: Step, language: "en" | "zh"): Edge[] {
  const edges: Edge[] = [];
  const add = (to: unknown, field: string, label: string): void => {
    if (typeof to === "string" && to) edges.push({ to, field, label });
  };
  for (const [index, option] of optionsOf(step).entries()) {
    add(option.next, `options/${index}/next`, option.label?.[language] || option.value);
  }
  for (const [index, one] of casesOf(step).entries()) {
    const label = one.when
      .map((condition) => `${condition.value} ${operatorWord(condition.is)} ${shown(condition.to)}`.trim())
      .join(" · ");
    add(one.next, `cases/${index}/next`, label);
  }
  add(step["next"], "next", step.kind === "call" ? t("done") : "");
  add(step["otherwise"], "otherwise", t("otherwise"));
  add(step["on_failure"], "on_failure", t("failed"));
  add(step["on_timeout"], "on_timeout", t("timed out"));
  add(step["on_declined"], "on_declined", t("declined"));
  add(step["on_miss"], "on_miss", t("not understood"));
  return edges;
}

function shown(value: unknown): string {
  return value === undefined ? "" : Array.isArray(value) ? value.join(", ") : String(value);
}

export function optionsOf(step: Step): Option[] {
  return Array.isArray(step["options"]) ? (step["options"] as Option[]) : [];
}

export function casesOf(step: Step): Case[] {
  return Array.isArray(step["cases"]) ? (step["cases"] as Case[]) : [];
}

/** One line that says what a step does. */
export function summary(step: Step, language: "en" | "zh"): string {
  if (step.kind === "call") return String(step["action"] ?? "");
  if (step.kind === "branch") {
    return casesOf(step).map((one) => one.when.map((condition) => condition.value).join(", ")).join(" · ");
  }
  const words = step["text"] as Words | undefined;
  return words?.[language] || words?.en || words?.zh || "";
}

/** A step with what its kind needs, leading to `next`. */
export function newStep(kind: string, id: string, next: string, actions: Action[]): Step {
  const text: Words = { en: "", zh: "" };
  switch (kind) {
    case "say":
      return { id, kind, text, next };
    case "ask":
      return { id, kind, slot: id.replaceAll("-", "_"), type: "text", text, next };
    case "choose":
      return {
        id, kind, slot: id.replaceAll("-", "_"), text,
        options: [{ value: "yes", label: { en: "Yes", zh: "是" } }, { value: "no", label: { en: "No", zh: "否" } }],
        next,
      };
    case "call":
      return callOf({ id, kind, action: "", next }, actions[0]);
    case "branch":
      return { id, kind, cases: [{ when: [{ value: "", is: "exists" }], next }], otherwise: next };
    case "hand-off":
      return { id, kind, reason: t("asked for people") };
    default:
      return { id, kind };
  }
}

/** A call made to fit an action: its arguments from slots of the same name, a confirmation when it changes something. */
export function callOf(step: Step, action: Action | undefined): Step {
  if (!action) return step;
  const kept = (step["arguments"] ?? {}) as Record<string, unknown>;
  const given: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(action.parameters)) {
    if (name in kept) given[name] = kept[name];
    else if (field.required !== false) given[name] = `$${name}`;
  }
  const made: Step = { ...step, action: action.name, arguments: given };
  if (action.changes && !made["confirm"]) made["confirm"] = { en: "", zh: "" };
  return made;
}

/** An id that no step has yet. */
export function freeId(definition: Definition, wanted: string): string {
  const taken = new Set(definition.steps.map((step) => step.id));
  let id = wanted;
  for (let number = 2; taken.has(id); number += 1) id = `${wanted}-${number}`;
  return id;
}

/** The definition with a step called anew wherever it is named. */
export function renameStep(definition: Definition, before: string, after: string): void {
  const swap = (holder: Record<string, unknown>, field: string): void => {
    if (holder[field] === before) holder[field] = after;
  };
  if (definition.start === before) definition.start = after;
  for (const step of definition.steps) {
    swap(step, "id");
    for (const field of ["next", "otherwise", "on_failure", "on_timeout", "on_declined", "on_miss"]) swap(step, field);
    for (const one of [...optionsOf(step), ...casesOf(step)]) swap(one as unknown as Record<string, unknown>, "next");
  }
}

/** The names that texts, arguments and conditions may use: slots, results of calls, the visitor. */
export function pathsOf(definition: Definition, actions: Action[]): string[] {
  const paths = new Set<string>();
  for (const step of definition.steps) {
    if ((step.kind === "ask" || step.kind === "choose") && step["slot"]) {
      paths.add(String(step["slot"]));
      if (step["type"] === "amount") paths.add(`${String(step["slot"])}.currency`);
    }
    if (step.kind === "call") {
      const into = String(step["into"] || step["action"]);
      const action = actions.find((one) => one.name === step["action"]);
      for (const name of Object.keys(action?.results ?? {})) paths.add(`${into}.${name}`);
      paths.add(`${into}.problem`);
    }
  }
  for (const name of ["name", "email", "id", "verified"]) paths.add(`visitor.${name}`);
  return [...paths];
}
