// The annotation page: one example at a time, answered with keys, the mouse or a finger.
import { api, ApiError } from "../lib/api";
import { pageData } from "../lib/config";
import { announce, h, typing } from "../lib/dom";
import { formatNumber, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";
import { spanJudge, type Span, type SpanJudge } from "../lib/spans";
import { CHOICE_KEYS, tagger, type Tagger } from "../lib/tagger";

type Answer = Record<string, unknown>;

interface Example {
  id: string;
  text: string;
  content: Record<string, unknown>;
}

interface Progress {
  total: number;
  done: number;
  disagreed: number;
  left: number;
  mine: number;
}

interface Next {
  example: Example | null;
  progress: Progress;
}

interface Suggestion {
  answer: Answer;
  probability: number;
  version: string;
}

interface Data {
  queue: string;
  dataset: string;
  task: string;
  choices: string[];
  /** Whether only the choices are answers; else a new one can be typed. */
  fixed: boolean;
  suggests: boolean;
  next: Next;
}

interface Turn {
  role: string;
  content: string;
}

const data = pageData<Data>("annotate-data");
if (data) start(data);

function start({ queue, dataset, task, choices, fixed, suggests, next }: Data): void {
  const place = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
  const main = place("annotate-example");
  const buttons = place("annotate-choices");
  const hint = place("annotate-suggestion");
  const problem = place("annotate-error");
  const accept = place("annotate-accept") as HTMLButtonElement;
  const skip = place("annotate-skip") as HTMLButtonElement;
  const undo = place("annotate-undo") as HTMLButtonElement;
  const base = `/api/v1/models/queues/${queue}`;
  let example: Example | null = null;
  let suggestion: Suggestion | null = null;
  let chosen = new Set<string>();
  let words: Tagger | null = null;
  let spans: SpanJudge | null = null;
  let field: HTMLTextAreaElement | HTMLInputElement | null = null;
  let since = 0;
  let busy = false;

  const several = task === "multi-label-classification";
  const tags = task === "token-classification";
  const spanned = task === "span-classification";

  /** What the person has put together so far; null when it is nothing yet. */
  function answer(): Answer | null {
    if (tags) return words ? { tags: words.tags } : null;
    if (spanned) return spans && !spans.labels.includes(null) ? { labels: spans.labels } : null;
    if (several) return chosen.size > 0 ? { labels: [...chosen] } : null;
    if (task === "text-embedding") return field ? { score: Number(field.value) / 100 } : null;
    if (task === "text-generation") return response();
    const [label] = chosen;
    if (label === undefined) return null;
    return { label: task === "reranking" ? Number(label) : label };
  }

  function response(): Answer | null {
    const text = field?.value.trim();
    if (!text || !example) return null;
    const turns = example.content["messages"] as Turn[] | undefined;
    if (!turns) return { response: text };
    const before = turns.at(-1)?.role === "assistant" ? turns.slice(0, -1) : turns;
    return { messages: [...before, { role: "assistant", content: text }] };
  }

  function show({ example: following, progress }: Next): void {
    example = following;
    suggestion = null;
    chosen = new Set();
    words = null;
    spans = null;
    field = null;
    since = performance.now();
    hint.hidden = true;
    problem.hidden = true;
    (place("annotate-bar") as HTMLProgressElement).value = progress.total > 0 ? (100 * (progress.done + progress.disagreed)) / progress.total : 0;
    place("annotate-count").textContent = t("{left} left · {mine} by me", {
      left: formatNumber(progress.left, 0), mine: formatNumber(progress.mine, 0),
    });
    undo.disabled = false;
    accept.disabled = skip.disabled = example === null;
    main.replaceChildren();
    buttons.replaceChildren();
    if (!example) {
      main.append(h("p", { class: "annotate-done" }, t("Nothing is left for you in this queue. Thank you.")));
      announce(t("Nothing is left for you in this queue. Thank you."));
      return;
    }
    drawExample(example);
    drawChoices();
    main.focus({ preventScroll: true });
    ((words ?? spans) as Tagger | SpanJudge | null)?.focus();
    if (suggests) void ask(example);
  }

  function drawExample(current: Example): void {
    const { content } = current;
    const block = (name: string, text: string): HTMLElement => h("div", { class: "annotate-block" }, h("h3", {}, name), h("p", { class: "wrap" }, text));
    if (tags) {
      words = tagger(content["tokens"] as string[], (content["tags"] as string[] | undefined) ?? [], () => choices);
      main.append(words.element);
    } else if (spanned) {
      spans = spanJudge(String(content["text"]), content["spans"] as Span[], (content["labels"] as string[] | undefined) ?? [], () => choices);
      main.append(spans.element);
    } else if (task === "image-classification") {
      const source = `/models/data-sets/${dataset}/examples/${current.id}/image/`;
      main.append(h("img", { class: "annotate-image", src: source, alt: current.text }));
    } else if (task === "text-embedding") {
      main.append(block(t("First text"), String(content["anchor"])), block(t("Second text"), String(content["positive"])));
    } else if (task === "reranking") {
      main.append(block(t("Query"), String(content["query"])), block(t("Document"), String(content["document"])));
    } else if (task === "text-generation") {
      const turns = (content["messages"] as Turn[] | undefined) ?? [{ role: "user", content: String(content["prompt"]) }];
      for (const turn of turns) main.append(block(turn.role, turn.content));
    } else {
      main.append(h("p", { class: "annotate-text wrap" }, current.text));
    }
  }

  function drawChoices(): void {
    if (task === "text-embedding") {
      const value = h("output", {}, "0.50");
      field = h("input", { type: "range", min: 0, max: 100, step: 5, value: 50, "aria-label": t("How alike they are") });
      field.addEventListener("input", () => (value.textContent = (Number(field?.value) / 100).toFixed(2)));
      buttons.append(h("label", { class: "annotate-score" }, t("How alike they are"), field, value));
      return;
    }
    if (task === "text-generation") {
      field = h("textarea", { rows: 5, "aria-label": t("Response"), placeholder: t("Write the response; Ctrl + Enter accepts it.") });
      buttons.append(field);
      return;
    }
    for (const [at, choice] of choices.entries()) {
      const key = CHOICE_KEYS[at] ?? "";
      const says = task === "reranking" ? (choice === "1" ? t("It answers the query") : t("It does not")) : choice;
      const button = h(
        "button",
        { class: "button annotate-choice", type: "button", "data-choice": choice, onclick: () => choose(choice) },
        key && h("kbd", {}, key), says,
      );
      if (!tags && !spanned) button.setAttribute("aria-pressed", "false");
      else button.dataset["colour"] = String((at % 8) + 1);
      buttons.append(button);
    }
    if (tags) buttons.append(h("button", { class: "button button-plain", type: "button", onclick: () => words?.name(null) }, h("kbd", {}, "0"), t("Clear")));
    if (spanned) buttons.append(h("button", { class: "button button-plain", type: "button", onclick: () => spans?.name(null) }, h("kbd", {}, "0"), t("Clear")));
    if (several) buttons.append(h("button", { class: "button button-plain", type: "button", onclick: () => void submit({ labels: [] }) }, h("kbd", {}, "0"), t("None of them")));
    if (!fixed) {
      const input = h("input", { type: "text", maxlength: 120, "aria-label": t("Another label"), placeholder: t("Another label") });
      input.addEventListener("keydown", (event) => {
        const label = input.value.trim();
        if (event.key !== "Enter" || event.isComposing) return;
        event.preventDefault();
        if (!label) return;
        if (!choices.includes(label)) choices.push(label);
        const marked = chosen;
        buttons.replaceChildren();
        drawChoices();
        chosen = marked;
        mark();
        main.focus({ preventScroll: true });
        choose(label);
      });
      buttons.append(input);
    }
  }

  function mark(): void {
    if (tags || spanned) return;
    for (const button of buttons.querySelectorAll<HTMLElement>("[data-choice]")) {
      button.setAttribute("aria-pressed", String(chosen.has(button.dataset["choice"] ?? "")));
    }
  }

  function choose(choice: string): void {
    if (busy || !example) return;
    if (tags) {
      words?.name(choice);
      words?.focus();
      return;
    }
    if (spanned) {
      spans?.name(choice);
      spans?.focus();
      return;
    }
    if (several) {
      if (!chosen.delete(choice)) chosen.add(choice);
      mark();
      return;
    }
    chosen = new Set([choice]);
    mark();
    void submit(answer());
  }

  async function ask(about: Example): Promise<void> {
    try {
      const got = await api<{ suggestion: Suggestion | null }>(`${base}/examples/${about.id}/suggestion`);
      // The person may have gone on meanwhile.
      if (example?.id !== about.id || !got.suggestion) return;
      suggestion = got.suggestion;
      const labels = suggestion.answer["labels"] as string[] | undefined;
      if (spans && labels && spans.labels.every((label) => label === null)) spans.set(labels);
      hint.textContent = t("{version} suggests “{label}” ({probability}). Enter accepts it.", {
        version: suggestion.version, label: labels ? labels.join(", ") : String(suggestion.answer["label"]), probability: formatPercent(suggestion.probability),
      });
      hint.hidden = false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Without a suggestion one chooses oneself.
    }
  }

  async function call(path: string, body?: unknown): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      show(await api<Next>(`${base}/${path}`, { method: "POST", ...(body === undefined ? {} : { body }) }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.textContent = error.problem.errors?.[0]?.detail ?? error.message;
      problem.hidden = false;
    } finally {
      busy = false;
    }
  }

  function seconds(): number {
    return Math.round((performance.now() - since) / 100) / 10;
  }

  async function submit(given: Answer | null): Promise<void> {
    if (!example || busy) return;
    const said = given ?? suggestion?.answer ?? null;
    if (!said) {
      problem.textContent = t("Choose something first, or skip the example.");
      problem.hidden = false;
      return;
    }
    await call("annotations", { example: example.id, answer: said, seconds: seconds(), suggestion });
  }

  accept.addEventListener("click", () => void submit(answer()));
  skip.addEventListener("click", () => example && void call("annotations", { example: example.id, skip: true, seconds: seconds() }));
  undo.addEventListener("click", () => {
    const stay = example;
    void call("undo").then(() => {
      if (!example && stay) void api<Next>(`${base}/next`).then(show);
    });
  });

  // Before the page's own shortcuts: here the letters are choices.
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
      const take = (action: () => void): void => {
        event.preventDefault();
        event.stopPropagation();
        action();
      };
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return take(() => accept.click());
      if (event.ctrlKey || event.metaKey) return;
      const slider = field?.type === "range" && document.activeElement === field;
      if (typing(event) && !slider) return;
      const onButton = (event.target as HTMLElement | null)?.closest?.("button, a, summary");
      if (event.key === "Enter" && !onButton) return take(() => accept.click());
      if ((tags && words?.key(event)) || (spanned && spans?.key(event))) return take(() => undefined);
      if (event.key === "s") return take(() => skip.click());
      if (event.key === "u") return take(() => undo.click());
      if (event.key === "0" && tags) return take(() => words?.name(null));
      if (event.key === "0" && spanned) return take(() => spans?.name(null));
      if (event.key === "0" && several) return take(() => void submit({ labels: [] }));
      const choice = choices[CHOICE_KEYS.indexOf(event.key)];
      if (choice !== undefined && example && !field) take(() => choose(choice));
    },
    true,
  );

  show(next);
}
