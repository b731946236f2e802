// The editor of a flow: a form a step, checked while one types, drawn, and tried in the simulator beside it.
import { api, ApiError } from "../lib/api";
import { pageData } from "../lib/config";
import { announce, h, icon } from "../lib/dom";
import { formatRelative } from "../lib/format";
import { language, t, tn } from "../lib/i18n";
import { toast } from "../lib/toast";
import { shortcut } from "../shell/keyboard";
import { stepForm, suggestions, type Editing } from "../flows/form";
import { draw } from "../flows/graph";
import {
  freeId, KINDS, kindWord, newStep, renameStep, summary,
  type Action, type Definition, type Fault, type Step,
} from "../flows/model";
import { Simulator, type Simulated } from "../flows/simulator";

interface FlowData {
  flow: string;
  version: number;
  live: number | null;
  definition: Definition;
  mayChange: boolean;
  actions: Action[];
}

interface Kept {
  version: number;
  at: string;
  definition: Definition;
}

const data = pageData<FlowData>("flow-data");
const tongue: "en" | "zh" = language().startsWith("zh") ? "zh" : "en";

function place<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

class Editor {
  private definition: Definition;
  private saved: string;
  private faults: Fault[] = [];
  private readonly open = new Set<string>();
  private readonly editing: Editing;
  private checking: AbortController | null = null;
  private timer = 0;
  private where: Simulated = { current: "", passed: new Set() };
  private readonly draftKey: string;

  constructor(private readonly page: FlowData) {
    this.definition = structuredClone(page.definition);
    this.saved = JSON.stringify(page.definition);
    this.draftKey = `rootstock-flow-${page.flow}`;
    this.editing = {
      definition: this.definition,
      actions: page.actions,
      mayChange: page.mayChange,
      changed: () => this.changed(),
      reshaped: (id) => this.reshaped(id),
    };
    this.restore();
    this.bar();
    this.tabs();
    new Simulator(
      place("flow-try"), () => this.definition, () => this.faults.length === 0,
      (where) => {
        this.where = where;
        this.marks();
        this.graph();
      },
    );
    this.steps();
    this.json();
    void this.check();
  }

  // --- what is kept -------------------------------------------------------------------------

  private get dirty(): boolean {
    return JSON.stringify(this.definition) !== this.saved;
  }

  /** Something that was typed and not saved is still there after a reload. */
  private restore(): void {
    if (!this.page.mayChange) return;
    let kept: Kept | null = null;
    try {
      kept = JSON.parse(localStorage.getItem(this.draftKey) ?? "null") as Kept | null;
    } catch {
      localStorage.removeItem(this.draftKey);
    }
    if (!kept || kept.version !== this.page.version || JSON.stringify(kept.definition) === this.saved) return;
    this.replace(kept.definition);
    const box = place("flow-restored");
    box.hidden = false;
    box.append(
      h(
        "div",
        { class: "notice notice-info", role: "status" },
        icon("info"),
        h("div", {}, t("Your unsaved changes are here again ({when}).", { when: formatRelative(new Date(kept.at)) })),
        h("button", { class: "button button-small", type: "button", onclick: () => {
          localStorage.removeItem(this.draftKey);
          location.reload();
        } }, t("Discard them")),
      ),
    );
  }

  private keep(): void {
    if (!this.page.mayChange) return;
    if (!this.dirty) localStorage.removeItem(this.draftKey);
    else {
      const kept: Kept = { version: this.page.version, at: new Date().toISOString(), definition: this.definition };
      localStorage.setItem(this.draftKey, JSON.stringify(kept));
    }
  }

  private replace(definition: Definition): void {
    this.definition = definition;
    this.editing.definition = definition;
  }

  // --- changes --------------------------------------------------------------------------------

  private changed(): void {
    this.keep();
    this.marks();
    this.graph();
    this.json();
    this.state(true);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.check(), 350);
  }

  private reshaped(id: string): void {
    this.open.add(id);
    this.steps();
    this.changed();
  }

  private async check(): Promise<void> {
    this.checking?.abort();
    const mine = (this.checking = new AbortController());
    try {
      const answer = await api<{ faults: Fault[] }>("/api/v1/service/flows/check", {
        method: "POST", body: { definition: this.definition }, signal: mine.signal,
      });
      this.faults = answer.faults;
    } catch (error) {
      if (error instanceof DOMException) return;
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, "bad");
      return;
    }
    this.state(false);
    this.told();
    this.graph();
  }

  private async save(live: boolean): Promise<void> {
    const buttons = [place<HTMLButtonElement>("flow-save"), place<HTMLButtonElement>("flow-live")];
    buttons.forEach((button) => (button.disabled = true));
    try {
      const version = await api<{ number: number }>(`/api/v1/service/flows/${this.page.flow}/versions`, {
        method: "POST", body: { definition: this.definition },
      });
      localStorage.removeItem(this.draftKey);
      this.saved = JSON.stringify(this.definition);
      this.page.version = version.number;
      if (live) {
        await api(`/api/v1/service/flows/${this.page.flow}/versions/${version.number}/live`, { method: "POST" });
        this.page.live = version.number;
      }
      const words = live ? t("Version {number} is live.") : t("Saved as version {number}.");
      toast(words.replace("{number}", String(version.number)), "ok");
      place("flow-restored").hidden = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, "bad");
    }
    this.state(false);
  }

  // --- drawing --------------------------------------------------------------------------------

  private bar(): void {
    if (!this.page.mayChange) return;
    place("flow-save").addEventListener("click", () => void this.save(false));
    place("flow-live").addEventListener("click", () => void this.save(true));
    shortcut("s", () => {
      if (!place<HTMLButtonElement>("flow-save").disabled) void this.save(false);
    });
    addEventListener("beforeunload", (event) => {
      if (this.dirty) event.preventDefault();
    });
    const kind = h("select", { "aria-label": t("Kind of step") }, ...KINDS.map((name) => h("option", { value: name }, kindWord(name))));
    place("flow-add").append(
      kind,
      h("button", { class: "button", type: "button", onclick: () => this.add(kind.value) }, icon("plus"), t("Add a step")),
    );
  }

  private add(kind: string): void {
    const id = freeId(this.definition, kind === "hand-off" ? "people" : kind);
    const end = this.definition.steps.find((step) => step.kind === "done") ?? this.definition.steps[0];
    const step = newStep(kind, id, end?.id ?? id, this.page.actions);
    this.definition.steps.push(step);
    this.reshaped(id);
    this.show(id);
  }

  private state(checking: boolean): void {
    const words = [t("Version {number}", { number: this.page.version })];
    if (this.page.live === this.page.version) words.push(t("live"));
    if (this.dirty) words.push(t("changed, not saved"));
    if (checking) words.push(t("checking…"));
    else if (this.faults.length > 0) words.push(tn("1 fault", "{count} faults", this.faults.length));
    else words.push(t("no faults"));
    const text = words.join(" · ");
    const line = place("flow-state");
    if (line.textContent !== text) line.textContent = text;
    line.dataset["tone"] = !checking && this.faults.length > 0 ? "bad" : "";
    if (!this.page.mayChange) return;
    const whole = !checking && this.faults.length === 0;
    place<HTMLButtonElement>("flow-save").disabled = !(whole && this.dirty);
    place<HTMLButtonElement>("flow-live").disabled = !(whole && (this.dirty || this.page.live !== this.page.version));
  }

  private stepOf(fault: Fault): Step | undefined {
    const [, part, index] = fault.pointer.split("/");
    return part === "steps" ? this.definition.steps[Number(index)] : undefined;
  }

  /** Faults on top as links, and each beside its field. */
  private told(): void {
    const list = place("flow-faults");
    list.hidden = this.faults.length === 0;
    list.replaceChildren(
      ...this.faults.map((fault) => {
        const step = this.stepOf(fault);
        if (!step) return h("li", {}, `${fault.pointer} ${fault.detail}`);
        const rest = fault.pointer.split("/").slice(3).join(" › ");
        const go = h("button", { class: "link", type: "button", onclick: () => this.show(step.id, fault.pointer) }, `${step.id}${rest ? ` › ${rest}` : ""}`);
        return h("li", {}, go, h("span", {}, fault.detail));
      }),
    );
    document.querySelectorAll("#flow-list .flow-fault").forEach((old) => old.remove());
    document.querySelectorAll("#flow-list [aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
    for (const fault of this.faults) {
      const field = this.fieldOf(fault.pointer);
      field?.append(h("p", { class: "flow-fault" }, fault.detail));
      field?.querySelector(":scope > :is(input, textarea, select)")?.setAttribute("aria-invalid", "true");
    }
    this.marks();
  }

  /** The nearest field to a pointer: /steps/0/text/zh, else /steps/0/text, else the step. */
  private fieldOf(pointer: string): HTMLElement | null {
    for (let at = pointer; at; at = at.slice(0, at.lastIndexOf("/"))) {
      const found = document.querySelector<HTMLElement>(`#flow-list [data-pointer="${CSS.escape(at)}"]`);
      if (found) return found;
    }
    return null;
  }

  private marks(): void {
    const wrong = new Map<string, number>();
    for (const fault of this.faults) {
      const id = this.stepOf(fault)?.id;
      if (id) wrong.set(id, (wrong.get(id) ?? 0) + 1);
    }
    for (const step of this.definition.steps) {
      const row = document.getElementById(`step-${step.id}`);
      if (!row) continue;
      const count = wrong.get(step.id) ?? 0;
      const badge = row.querySelector<HTMLElement>(".flow-step-faults");
      if (badge) {
        badge.hidden = count === 0;
        badge.textContent = tn("1 fault", "{count} faults", count);
      }
      const line = row.querySelector(".flow-step-summary");
      if (line) line.textContent = summary(step, tongue);
      row.classList.toggle("flow-step-current", this.where.current === step.id);
    }
  }

  private steps(): void {
    const focus = document.activeElement?.closest("[data-pointer]")?.getAttribute("data-pointer");
    place("flow-list").replaceChildren(...this.definition.steps.map((step, index) => this.row(step, index)));
    document.getElementById("flow-suggestions")?.remove();
    const lists = suggestions(this.editing);
    lists.id = "flow-suggestions";
    place("flow-editor").append(lists);
    this.told();
    if (focus) {
      this.fieldOf(focus)?.querySelector<HTMLElement>("input, select, textarea")?.focus();
    }
  }

  private row(step: Step, index: number): HTMLElement {
    const first = this.definition.start === step.id;
    const details = h(
      "details",
      { class: "flow-step", id: `step-${step.id}`, open: this.open.has(step.id), "data-pointer": `/steps/${index}` },
      h(
        "summary",
        {},
        h("span", { class: `flow-kind flow-kind-${step.kind}` }, kindWord(step.kind)),
        h("span", { class: "mono strong" }, step.id),
        first && h("span", { class: "badge badge-accent" }, t("first")),
        h("span", { class: "flow-step-summary muted clip" }, summary(step, tongue)),
        h("span", { class: "badge badge-bad flow-step-faults", hidden: true }),
      ),
    );
    const fill = (): void => {
      if (details.querySelector(".flow-form")) return;
      details.append(stepForm(this.editing, step, index), this.tools(step, index, first));
    };
    if (this.open.has(step.id)) fill();
    details.addEventListener("toggle", () => {
      if (details.open) {
        this.open.add(step.id);
        fill();
        this.told();
      } else this.open.delete(step.id);
    });
    return h("li", {}, details);
  }

  private tools(step: Step, index: number, first: boolean): HTMLElement {
    if (!this.page.mayChange) return h("div");
    const name = h("input", { value: step.id, "aria-label": t("Name of the step"), class: "mono", autocomplete: "off", spellcheck: "false" });
    name.addEventListener("change", () => {
      const wanted = name.value.trim().toLowerCase().replace(/[^a-z0-9_-]+/g, "-").replace(/^[^a-z]+/, "");
      if (!wanted || wanted === step.id) return;
      const id = freeId(this.definition, wanted);
      this.open.delete(step.id);
      renameStep(this.definition, step.id, id);
      this.reshaped(id);
    });
    const move = (by: number): void => {
      const steps = this.definition.steps;
      steps.splice(index + by, 0, ...steps.splice(index, 1));
      this.reshaped(step.id);
    };
    const plain = (symbol: SVGSVGElement, label: string, act: () => void, disabled = false): HTMLElement =>
      h("button", { class: "button button-plain button-icon", type: "button", "aria-label": label, title: label, disabled, onclick: act }, symbol);
    return h(
      "div",
      { class: "flow-tools" },
      name,
      !first && h("button", { class: "button button-small", type: "button", onclick: () => {
        this.definition.start = step.id;
        this.reshaped(step.id);
      } }, t("Make it the first")),
      h("span", { class: "grow" }),
      plain(icon("arrow-up"), t("Up"), () => move(-1), index === 0),
      plain(icon("arrow-down"), t("Down"), () => move(1), index === this.definition.steps.length - 1),
      plain(icon("trash-2"), t("Remove the step"), () => this.remove(index), this.definition.steps.length === 1),
    );
  }

  private remove(index: number): void {
    const before = structuredClone(this.definition);
    const [gone] = this.definition.steps.splice(index, 1);
    this.steps();
    this.changed();
    toast(t("{name} is removed.", { name: gone?.id ?? "" }), "info", () => {
      this.replace(before);
      this.steps();
      this.changed();
    });
  }

  private show(id: string, pointer = ""): void {
    const details = document.getElementById(`step-${id}`) as HTMLDetailsElement | null;
    if (!details) return;
    details.open = true;
    // The form is there after the toggle event.
    setTimeout(() => {
      const field = pointer ? this.fieldOf(pointer) : details;
      details.scrollIntoView({ block: "nearest" });
      (field?.querySelector<HTMLElement>("input, select, textarea") ?? details.querySelector<HTMLElement>("summary"))?.focus();
    }, 50);
  }

  private graph(): void {
    const box = place("flow-graph");
    if (box.hidden) return;
    box.replaceChildren(
      draw(this.definition, { faults: this.faults, ...this.where, language: tongue, open: (id) => this.show(id) }),
    );
  }

  private json(): void {
    const box = place("flow-json");
    if (box.hidden) return;
    let area = box.querySelector("textarea");
    if (!area) {
      area = h("textarea", { class: "mono", rows: 24, spellcheck: "false", "aria-label": t("The flow as JSON"), readonly: !this.page.mayChange });
      const file = h("input", { type: "file", accept: ".json,application/json", class: "visually-hidden", id: "flow-file" });
      file.addEventListener("change", () => {
        void file.files?.[0]?.text().then((text) => this.take(text));
        file.value = "";
      });
      const text = area;
      const download = (): void => {
        const url = URL.createObjectURL(new Blob([`${JSON.stringify(this.definition, null, 2)}\n`], { type: "application/json" }));
        h("a", { href: url, download: "flow.json" }).click();
        setTimeout(() => URL.revokeObjectURL(url), 1000);
      };
      box.append(
        h(
          "div",
          { class: "row" },
          this.page.mayChange && h("button", { class: "button button-small", type: "button", onclick: () => this.take(text.value) }, t("Take it over")),
          this.page.mayChange && h("label", { class: "button button-small", for: "flow-file" }, icon("upload"), t("From a file")),
          this.page.mayChange && file,
          h("button", { class: "button button-small", type: "button", onclick: download }, icon("download"), t("Download")),
        ),
        area,
      );
    }
    if (document.activeElement !== area) area.value = JSON.stringify(this.definition, null, 2);
  }

  private take(text: string): void {
    let read: unknown;
    try {
      read = JSON.parse(text);
    } catch (error) {
      toast(t("That is not JSON: {reason}", { reason: error instanceof Error ? error.message : "" }), "bad");
      return;
    }
    const steps = (read as Definition | null)?.steps;
    const whole = Array.isArray(steps) && steps.length > 0 && steps.every((step) => step && typeof step.id === "string" && typeof step.kind === "string");
    if (!whole) {
      toast(t("A flow is an object with a list of steps, each with an id and a kind."), "bad");
      return;
    }
    const flow = read as Definition;
    if (!Array.isArray(flow.languages)) flow.languages = ["en", "zh"];
    this.replace(flow);
    this.open.clear();
    this.steps();
    this.changed();
    announce(t("Taken over."));
  }

  private tabs(): void {
    const names = ["try", "graph", "json"];
    const choose = (chosen: string, focus: boolean): void => {
      for (const name of names) {
        const tab = place(`flow-tab-${name}`);
        tab.setAttribute("aria-selected", String(name === chosen));
        tab.tabIndex = name === chosen ? 0 : -1;
        place(`flow-${name}`).hidden = name !== chosen;
        if (name === chosen && focus) tab.focus();
      }
      this.graph();
      this.json();
    };
    names.forEach((name, index) => {
      const tab = place(`flow-tab-${name}`);
      tab.addEventListener("click", () => choose(name, false));
      tab.addEventListener("keydown", (event) => {
        const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (by) choose(names[(index + by + names.length) % names.length] ?? name, true);
      });
    });
  }
}

if (data) new Editor(data);
