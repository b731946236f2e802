// The queue of labels: one document after the other, by keyboard.
import { api, ApiError } from "../lib/api";
import { pageData } from "../lib/config";
import { announce, h } from "../lib/dom";
import { formatMoment, formatNumber } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { startRelabel } from "../lib/relabel";
import { toast } from "../lib/toast";
import { shortcut } from "../shell/keyboard";

interface Next {
  document: string | null;
  title: string;
  body: string;
  source: string;
  url: string;
  language: string;
  published_at: string | null;
  reasons: string[];
  blind: boolean;
  progress: { waiting: number; today: number };
}

interface Data {
  next: Next;
  reasons: Record<string, string>;
}

const data = pageData<Data>("queue-data")!;
const place = (id: string): HTMLElement => document.getElementById(`queue-${id}`) as HTMLElement;
/** Those that were shown, so that one can go back. */
const seen: Next[] = [];
let at = -1;
let given = false;
let busy = false;

const relabel = startRelabel({
  blind: () => seen[at]?.blind ?? false,
  changed: (labels, question) => {
    if (question === null && labels.document !== seen[at]?.document) {
      const back = seen.findIndex((each) => each.document === labels.document);
      if (back >= 0) show(back);
    }
    given = given || question !== null;
  },
});

function show(index: number): void {
  at = index;
  given = false;
  const asked = seen[at]!;
  const { waiting, today } = asked.progress;
  place("progress").textContent = t("{waiting} wait · {today} labelled today", { waiting: formatNumber(waiting, 0), today: formatNumber(today, 0) });
  place("document").hidden = asked.document === null;
  place("empty").hidden = asked.document !== null;
  void relabel?.show(asked.document);
  if (asked.document === null) {
    announce(t("Nothing waits for you."));
    return;
  }
  place("reasons").replaceChildren(...asked.reasons.map((reason) => h("span", { class: "badge badge-quiet" }, data.reasons[reason] ?? reason)));
  const title = place("title");
  title.textContent = asked.title;
  title.lang = place("body").lang = asked.language === "zh" ? "zh-Hans" : asked.language;
  place("body").textContent = asked.body;
  place("facts").replaceChildren(
    asked.source,
    asked.published_at ? ` · ${formatMoment(new Date(asked.published_at), { dateStyle: "medium", timeStyle: "short" })}` : "",
    h("span", {}, asked.url ? " · " : ""),
    asked.url ? h("a", { href: asked.url, rel: "noopener noreferrer nofollow", target: "_blank" }, t("At the source")) : "",
  );
  place("document").focus({ preventScroll: true });
}

/** The next one: of those that were shown already, or from the queue; one without a label is skipped. */
async function next(skip: boolean): Promise<void> {
  if (busy) return;
  if (at < seen.length - 1) return show(at + 1);
  const current = seen[at];
  if (!current?.document) return;
  if (!given && !skip) {
    toast(t("Say something first, or skip it."), "info");
    return;
  }
  busy = true;
  try {
    const path = given && !skip ? "labels/queue" : `documents/${current.document}/skip`;
    const found = await api<Next>(`/api/v1/finance/${path}`, given && !skip ? {} : { method: "POST", body: {} });
    seen.push(found);
    show(seen.length - 1);
    if (found.document) announce(tn("{count} document waits", "{count} documents wait", found.progress.waiting));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, "bad");
  } finally {
    busy = false;
  }
}

shortcut("j", () => void next(false));
shortcut("s", () => void next(true));
shortcut("k", () => at > 0 && show(at - 1));
document.getElementById("queue-next")?.addEventListener("click", () => void next(false));
document.getElementById("queue-skip")?.addEventListener("click", () => void next(true));
seen.push(data.next);
show(0);
