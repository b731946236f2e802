// Talking to the draft: what it says, where it stands, what it knows, and what it would call.
import { api, ApiError } from "../lib/api";
import { announce, h, icon } from "../lib/dom";
import { language, t } from "../lib/i18n";
import type { Definition } from "./model";

interface Button {
  label: string;
  value: string;
}

interface WantedCall {
  step: string;
  action: string;
  arguments: Record<string, unknown>;
  example: Record<string, unknown>;
}

interface MadeCall {
  id: string;
  action: string;
  state: string;
  milliseconds: number | null;
  problem: string;
  results: Record<string, unknown>;
}

interface State {
  step: string;
  phase: string;
  outcome: string;
  slots: Record<string, unknown>;
  results: Record<string, Record<string, unknown>>;
  misses: number;
}

interface Turn {
  body: string;
  choices: Button[];
  state: State;
  steps: string[];
  call: WantedCall | null;
  calls: MadeCall[];
  hand_off: string;
  left: boolean;
  answer_first: boolean;
}

export interface Simulated {
  current: string;
  passed: Set<string>;
}

/** The simulator in `place`. `moved` hears where the run stands. */
export class Simulator {
  private state: State | null = null;
  private passed = new Set<string>();
  private busy = false;
  private readonly log = h("ol", { class: "flow-log", "aria-live": "polite", "aria-label": t("Talk"), tabindex: "0" });
  private readonly buttons = h("div", { class: "flow-buttons" });
  private readonly wanted = h("div", { class: "flow-call" });
  private readonly facts = h("dl", { class: "facts flow-facts" });
  private readonly input: HTMLInputElement;
  private readonly language: HTMLSelectElement;
  private readonly real: HTMLInputElement;

  constructor(
    place: HTMLElement,
    private readonly definition: () => Definition,
    private readonly mayRun: () => boolean,
    private readonly moved: (where: Simulated) => void,
  ) {
    this.input = h("input", { "aria-label": t("Message"), placeholder: t("Say something as a customer"), autocomplete: "off" });
    this.language = h("select", { "aria-label": t("Language of the customer") }, h("option", { value: "en" }, "English"), h("option", { value: "zh" }, "中文"));
    this.language.value = language().startsWith("zh") ? "zh" : "en";
    this.real = h("input", { type: "checkbox", id: "flow-real" });
    this.language.addEventListener("change", () => this.restart());
    const form = h("form", { class: "flow-say" }, this.input, h("button", { class: "button button-primary button-icon", "aria-label": t("Send") }, icon("send")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (text) void this.say(text, "");
    });
    place.append(
      h(
        "div",
        { class: "flow-sim-bar" },
        this.language,
        h("label", { class: "flow-real", for: "flow-real" }, this.real, t("Call your system, as a test")),
        h("span", { class: "grow" }),
        h("button", { class: "button button-small", type: "button", onclick: () => this.restart() }, icon("rotate-ccw"), t("Begin again")),
      ),
      this.log, this.buttons, this.wanted, form,
      h("h3", { class: "flow-facts-title" }, t("What it knows")),
      this.facts,
    );
    this.restart();
  }

  /** Forget the talk; the next message begins the flow. */
  restart(): void {
    this.state = null;
    this.passed = new Set();
    this.log.replaceChildren(
      h("li", { class: "flow-hint" }, t("The first message begins the flow. What it says already is not asked again.")),
    );
    this.buttons.replaceChildren();
    this.wanted.replaceChildren();
    this.tell();
  }

  private line(author: string, text: string, extra?: Node): void {
    this.log.querySelector(".flow-hint")?.remove();
    this.log.append(h("li", { class: `flow-line flow-line-${author}` }, h("span", {}, text), extra));
    this.log.scrollTop = this.log.scrollHeight;
  }

  private async say(text: string, choice: string): Promise<void> {
    if (this.state?.phase === "ended") this.restart();
    if (this.state?.phase === "calling") return;
    this.line("visitor", text);
    this.input.value = "";
    await this.turn({ text, choice });
  }

  private async turn(said: Record<string, unknown>): Promise<void> {
    if (this.busy) return;
    if (!this.mayRun()) {
      this.line("note", t("The draft has faults. Mend them first; they are listed above the steps."));
      return;
    }
    this.busy = true;
    this.buttons.replaceChildren();
    this.wanted.replaceChildren();
    try {
      const turn = await api<Turn>("/api/v1/service/flows/simulate", {
        method: "POST",
        body: {
          definition: this.definition(), state: this.state, language: this.language.value, real: this.real.checked, ...said,
        },
      });
      this.take(turn);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const detail = error.problem.errors?.[0]?.detail ?? error.message;
      this.line("note", detail);
    } finally {
      this.busy = false;
      this.input.focus();
    }
  }

  private take(turn: Turn): void {
    this.state = turn.state;
    for (const step of turn.steps) this.passed.add(step);
    for (const call of turn.calls) {
      const took = call.milliseconds === null ? "" : ` · ${call.milliseconds} ms`;
      const link = h("a", { href: `/service/flows/calls/${call.id}/` }, t("Look at the call"));
      this.line("note", `${call.action}: ${callWord(call.state)}${took} ${call.problem}`.trim(), link);
    }
    if (turn.answer_first) this.line("note", t("Another question: it is answered first, then this is asked again."));
    if (turn.body) this.line("flow", turn.body);
    if (turn.left) this.line("note", t("The flow is left; the message is answered as any other."));
    if (turn.hand_off) this.line("note", t("Handed over to people: {reason}", { reason: turn.hand_off }));
    else if (turn.state.phase === "ended" && !turn.left) this.line("note", t("The flow has ended: {outcome}.", { outcome: outcomeWord(turn.state.outcome) }));
    this.buttons.replaceChildren(
      ...turn.choices.map((choice) =>
        h("button", { class: "button", type: "button", onclick: () => void this.say(choice.label, choice.value) }, choice.label),
      ),
    );
    if (turn.call) this.ask(turn.call);
    announce(turn.body);
    this.tell();
  }

  /** A call that is not made: the tester says what comes of it. */
  private ask(call: WantedCall): void {
    const results = h("textarea", { rows: 6, class: "mono", "aria-label": t("Results of the call"), spellcheck: "false" });
    results.value = JSON.stringify(call.example, null, 2);
    const end = (outcome: string, problem: string): void => {
      let given: unknown = {};
      if (outcome === "done") {
        try {
          given = JSON.parse(results.value);
        } catch {
          results.setAttribute("aria-invalid", "true");
          return;
        }
      }
      this.line("note", `${call.action}: ${callWord(outcome)}`);
      void this.turn({ returned: { outcome, results: given, problem } });
    };
    const button = (outcome: string, label: string, problem: string, extra = ""): HTMLElement =>
      h("button", { class: `button button-small ${extra}`, type: "button", onclick: () => end(outcome, problem) }, label);
    this.wanted.replaceChildren(
      h("p", {}, icon("plug"), " ", t("It would call {action} with:", { action: call.action })),
      h("pre", { class: "mono" }, JSON.stringify(call.arguments, null, 2)),
      h("label", {}, t("What comes back")),
      results,
      h(
        "div",
        { class: "row" },
        button("done", t("Done"), "", "button-primary"),
        button("refused", t("Refused"), t("for a reason of your system")),
        button("failed", t("Fails"), "HTTP 500"),
        button("unknown", t("No answer to a change"), "no answer in time"),
      ),
    );
    this.wanted.scrollIntoView({ block: "nearest" });
  }

  private tell(): void {
    const state = this.state;
    const rows: [string, string][] = [
      [t("Stands at"), state ? `${state.step} · ${phaseWord(state)}` : t("not begun")],
      ...Object.entries(state?.slots ?? {}).map(([name, value]): [string, string] => [name, shown(value)]),
      ...Object.entries(state?.results ?? {}).flatMap(([into, found]) =>
        Object.entries(found).map(([name, value]): [string, string] => [`${into}.${name}`, shown(value)]),
      ),
    ];
    if (state && state.misses > 0) rows.push([t("Not understood"), String(state.misses)]);
    this.facts.replaceChildren(
      ...rows.flatMap(([name, value], index) => [
        h("dt", index > 0 ? { class: "mono" } : {}, name),
        h("dd", { class: "wrap" }, value),
      ]),
    );
    this.moved({ current: state && state.phase !== "ended" ? state.step : "", passed: this.passed });
  }
}

function shown(value: unknown): string {
  if (value && typeof value === "object") return Object.values(value).join(" ");
  return String(value);
}

function phaseWord(state: State): string {
  if (state.phase === "asked") return t("waits for an answer");
  if (state.phase === "confirming") return t("waits for a yes");
  if (state.phase === "calling") return t("waits for your system");
  if (state.phase === "offered") return t("offers people");
  return outcomeWord(state.outcome);
}

function outcomeWord(outcome: string): string {
  const words: Record<string, string> = {
    running: t("running"), done: t("settled"), cancelled: t("cancelled"), left: t("left"),
    "handed-off": t("handed over"), failed: t("failed"),
  };
  return words[outcome] ?? outcome;
}

function callWord(state: string): string {
  const words: Record<string, string> = {
    done: t("done"), refused: t("refused"), failed: t("failed"), unknown: t("nobody knows"), timeout: t("timed out"),
  };
  return words[state] ?? state;
}
