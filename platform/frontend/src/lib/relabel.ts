// Labels by keyboard. The page includes finance_sentiment/_relabel.html and calls startRelabel(); the document is the
// one of the focused element with `data-id`, or the section's own.
import { shortcut } from "../shell/keyboard";
import { api, ApiError } from "./api";
import { announce, h, typing } from "./dom";
import { formatPercent } from "./format";
import { t } from "./i18n";
import { toast } from "./toast";

interface Given {
  by: string;
  mine: boolean;
  values: string[];
  agrees: boolean | null;
}

export interface LabelState {
  said: string[];
  probability: number | null;
  version: string;
  mine: string[] | null;
  consensus: string[] | null;
  disagreed: boolean;
  labels: Given[];
}

export interface MentionState extends LabelState {
  start: number;
  end: number;
  surface: string;
  name: string;
}

export interface DocumentLabels {
  document: string;
  title: string;
  sentiment: LabelState;
  topics: LabelState;
  mentions: MentionState[];
}

interface Choices {
  topics: { topic: string; name: string }[];
}

interface Options {
  /** Whether what the model said stays hidden until the person has spoken. */
  blind?: () => boolean;
  /** Called after a label was given or taken back. */
  changed?: (labels: DocumentLabels, question: string | null) => void;
}

export interface Relabel {
  /** Shows the labels of a document; null: of none. */
  show(id: string | null): Promise<void>;
}

const SENTIMENTS = ["negative", "neutral", "positive"] as const;
const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const API = "/api/v1/finance";

function sentimentName(value: string): string {
  const names: Record<string, string> = { negative: t("Negative"), neutral: t("Neutral"), positive: t("Positive") };
  return names[value] ?? value;
}

/** Starts the panel; null where it is not on the page, as for people who may not label. */
export function startRelabel(options: Options = {}): Relabel | null {
  const section = document.getElementById("relabel");
  if (!section) return null;
  const place = (id: string): HTMLElement => document.getElementById(`relabel-${id}`) as HTMLElement;
  let labels: DocumentLabels | null = null;
  let wanted: string | null = null;
  let mention = -1;
  let since = 0;
  let busy = false;
  let choosing: string[] | null = null;
  let topics: Choices["topics"] | null = null;

  const hidden = (state: LabelState): boolean => Boolean(options.blind?.()) && state.mine === null;
  const topicName = (slug: string): string => topics?.find((each) => each.topic === slug)?.name ?? slug.replaceAll("-", " ");

  async function show(id: string | null): Promise<void> {
    if (id !== null && id === wanted) return;
    wanted = id;
    mention = -1;
    choosing = null;
    if (id === null) {
      labels = null;
      section!.hidden = true;
      return;
    }
    try {
      topics ??= (await api<Choices>(`${API}/labels/choices`)).topics;
      const found = await api<DocumentLabels>(`${API}/documents/${id}/labels`);
      // The person may have gone on meanwhile.
      if (wanted === id) take(found);
      since = performance.now();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      wanted = null;
    }
  }

  function take(found: DocumentLabels): void {
    labels = found;
    section!.hidden = false;
    draw();
    for (const row of document.querySelectorAll<HTMLElement>(`[data-id="${found.document}"]`)) {
      row.dataset["labelled"] = found.sentiment.mine?.[0] ?? "";
    }
  }

  // --- drawing --------------------------------------------------------------------------------

  function draw(): void {
    if (!labels) return;
    place("title").textContent = labels.title;
    const target = mention >= 0 ? labels.mentions[mention] : undefined;
    place("sentiment").replaceChildren(...sentimentButtons(labels.sentiment, !target, () => (mention = -1)));
    place("sentiment-said").textContent = words(labels.sentiment, sentimentName);
    place("topics").replaceChildren(...(choosing ? topicButtons(choosing) : topicSummary(labels.topics)));
    place("topics-said").textContent = words(labels.topics, topicName);
    place("mentions-row").hidden = labels.mentions.length === 0;
    place("mentions").replaceChildren(...labels.mentions.map(mentionButton), ...(target ? sentimentButtons(target, true) : []));
    place("mentions-said").textContent = target ? words(target, sentimentName) : "";
  }

  function sentimentButtons(state: LabelState, keys: boolean, before?: () => void): HTMLElement[] {
    return SENTIMENTS.map((value, at) =>
      h(
        "button",
        {
          class: `button button-small sentiment-button sentiment-button-${value}`,
          type: "button",
          "data-value": value,
          "aria-pressed": String(state.mine?.[0] === value),
          onclick: () => {
            before?.();
            void say(value);
          },
        },
        keys && h("kbd", {}, String(at + 1)),
        sentimentName(value),
      ),
    );
  }

  function topicSummary(state: LabelState): HTMLElement[] {
    const shown = state.mine ?? (hidden(state) ? [] : state.said);
    return [
      h("span", {}, shown.map(topicName).join(", ") || "—"),
      h("button", { class: "button button-small button-plain", type: "button", onclick: chooseTopics }, h("kbd", {}, "t"), t("Choose")),
    ];
  }

  function topicButtons(chosen: string[]): HTMLElement[] {
    const buttons = (topics ?? []).map(({ topic, name }, at) =>
      h(
        "button",
        { class: "button button-small", type: "button", "data-topic": topic, "aria-pressed": String(chosen.includes(topic)), onclick: () => toggle(topic) },
        LETTERS[at] && h("kbd", {}, LETTERS[at]),
        name,
      ),
    );
    return [
      ...buttons,
      h("button", { class: "button button-small button-primary", type: "button", onclick: () => void storeTopics() }, h("kbd", {}, "↵"), t("Store")),
      h("button", { class: "button button-small button-plain", type: "button", onclick: leaveTopics }, h("kbd", {}, "Esc"), t("Cancel")),
    ];
  }

  function mentionButton(each: MentionState, at: number): HTMLElement {
    const value = each.mine?.[0] ?? (hidden(each) ? "" : each.said[0]);
    return h(
      "button",
      { class: "button button-small", type: "button", "data-mention": at, "aria-pressed": String(at === mention), onclick: () => choose(at) },
      at === (mention + 1) % Math.max(1, labels!.mentions.length) && h("kbd", {}, "e"),
      each.name || each.surface,
      value && h("span", { class: `sentiment sentiment-${value}` }, sentimentName(value)),
    );
  }

  /** What the model said, and what others say. */
  function words(state: LabelState, name: (value: string) => string): string {
    const parts: string[] = [];
    if (hidden(state)) parts.push(t("What the model says is shown after your answer."));
    else if (state.said.length > 0) {
      const said = state.said.map(name).join(", ");
      parts.push(t("{version} says {said} ({probability})", { version: state.version || t("The model"), said, probability: formatPercent(state.probability) }));
    }
    if (!hidden(state)) {
      for (const given of state.labels) {
        if (!given.mine) parts.push(t("{by} says {values}", { by: given.by, values: given.values.map(name).join(", ") || "—" }));
      }
      if (state.disagreed) parts.push(t("people disagree"));
    }
    return parts.join(" · ");
  }

  // --- saying ---------------------------------------------------------------------------------

  async function send(path: string, body?: unknown): Promise<DocumentLabels | null> {
    if (busy) return null;
    busy = true;
    try {
      const answer = await api<DocumentLabels | { labels: DocumentLabels }>(path, { method: "POST", body: body ?? {} });
      return "labels" in answer ? answer.labels : answer;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.problem.errors?.[0]?.detail ?? error.message, "bad");
      return null;
    } finally {
      busy = false;
    }
  }

  async function give(question: string, values: string[], more: object = {}): Promise<boolean> {
    if (!labels || !wanted) return false;
    const seconds = Math.round((performance.now() - since) / 100) / 10;
    const blind = Boolean(options.blind?.());
    const found = await send(`${API}/documents/${wanted}/labels`, { question, values, seconds, blind, ...more });
    if (!found) return false;
    if (found.document === wanted) take(found);
    options.changed?.(found, question);
    return true;
  }

  async function say(value: string): Promise<void> {
    const target = mention >= 0 ? labels?.mentions[mention] : undefined;
    const given = target ? await give("entity", [value], { start: target.start, end: target.end }) : await give("sentiment", [value]);
    if (!given) return;
    const about = target ? target.name || target.surface : labels?.title ?? "";
    announce(t("{value}: {about}", { value: sentimentName(value), about }));
  }

  async function undo(): Promise<void> {
    const found = await send(`${API}/labels/undo`);
    if (!found) return;
    wanted = found.document;
    take(found);
    options.changed?.(found, null);
    announce(t("Taken back: {title}", { title: found.title }));
  }

  async function doubt(): Promise<void> {
    if (!wanted || busy) return;
    busy = true;
    try {
      await api(`${API}/documents/${wanted}/doubt`, { method: "POST", body: {} });
      toast(t("Others are asked about it first."), "ok");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, "bad");
    } finally {
      busy = false;
    }
  }

  // --- topics and mentions --------------------------------------------------------------------

  function chooseTopics(): void {
    if (!labels) return;
    choosing = [...(labels.topics.mine ?? (hidden(labels.topics) ? [] : labels.topics.said))];
    draw();
    place("topics").querySelector<HTMLElement>("button")?.focus();
  }

  function leaveTopics(): void {
    choosing = null;
    draw();
    (document.querySelector<HTMLElement>(`[data-id="${wanted ?? ""}"]`) ?? section!).focus({ preventScroll: true });
  }

  function toggle(topic: string): void {
    if (!choosing) return;
    choosing = choosing.includes(topic) ? choosing.filter((each) => each !== topic) : [...choosing, topic];
    const back = (document.activeElement as HTMLElement | null)?.dataset["topic"];
    draw();
    if (back) place("topics").querySelector<HTMLElement>(`[data-topic="${back}"]`)?.focus();
  }

  async function storeTopics(): Promise<void> {
    const chosen = choosing;
    if (!chosen || !(await give("topic", chosen))) return;
    leaveTopics();
    announce(t("Topics: {topics}", { topics: chosen.map(topicName).join(", ") || "—" }));
  }

  function choose(at: number): void {
    mention = at === mention ? -1 : at;
    draw();
    if (labels && mention >= 0) announce(labels.mentions[mention]!.name || labels.mentions[mention]!.surface);
  }

  function nextMention(): void {
    if (!labels || labels.mentions.length === 0) return;
    const next = mention + 1;
    choose(next < labels.mentions.length ? next : mention);
  }

  // --- keys -----------------------------------------------------------------------------------

  for (const [at, value] of SENTIMENTS.entries()) shortcut(String(at + 1), () => void say(value));
  shortcut("t", chooseTopics);
  shortcut("e", nextMention);
  shortcut("u", () => void undo());
  shortcut("d", () => void doubt());
  place("undo").addEventListener("click", () => void undo());
  place("doubt").addEventListener("click", () => void doubt());
  // While topics are chosen, every letter is one: before the page's own shortcuts.
  document.addEventListener(
    "keydown",
    (event) => {
      if (!choosing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event)) return;
      const topic = topics?.[LETTERS.indexOf(event.key)]?.topic;
      const onButton = event.key === "Enter" && (event.target as HTMLElement | null)?.closest?.(".button-plain");
      if (onButton || (event.key !== "Enter" && event.key !== "Escape" && !topic)) return;
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Enter") void storeTopics();
      else if (event.key === "Escape") leaveTopics();
      else toggle(topic!);
    },
    true,
  );
  document.addEventListener("focusin", (event) => {
    const id = (event.target as HTMLElement).closest<HTMLElement>("[data-id]")?.dataset["id"];
    if (id) void show(id);
  });

  const own = section.dataset["document"];
  if (own) void show(own);
  return { show };
}
