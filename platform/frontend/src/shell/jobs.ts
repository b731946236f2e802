// The job tray: what runs, how far it is, how long it still takes, and a way to stop it.
import { api, ApiError } from "../lib/api";
import { config } from "../lib/config";
import { announce, h, icon } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatDuration, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";

type State = "queued" | "running" | "succeeded" | "failed" | "cancelled";

interface Job {
  id: string;
  title: string;
  state: State;
  phase: string;
  fraction: number | null;
  eta_seconds: number | null;
  message: string;
  error: string;
  cancel_requested: boolean;
  finished_at: string | null;
}

const SHOWN_FINISHED = 5;
const REDRAW = 200;

function active(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

function badge(state: State): HTMLElement {
  if (state === "succeeded") return h("span", { class: "badge badge-ok" }, icon("check"), t("Succeeded"));
  if (state === "failed") return h("span", { class: "badge badge-bad" }, icon("x"), t("Failed"));
  if (state === "cancelled") return h("span", { class: "badge" }, icon("ban"), t("Cancelled"));
  return h("span", { class: "badge" }, icon("clock"), t("Queued"));
}

async function cancel(job: Job, button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  try {
    await api(`/api/v1/jobs/${job.id}/cancel/`, { method: "POST" });
    toast(t("“{title}” stops at its next safe point.", { title: job.title }), "info");
  } catch (error) {
    button.disabled = false;
    toast(error instanceof ApiError ? error.message : String(error), "bad");
  }
}

function row(job: Job): HTMLElement {
  const title = h("span", { class: "tray-title", title: job.title }, job.title);
  if (!active(job)) {
    const meta = h(
      "div",
      { class: "tray-meta wide" },
      h("span", {}, job.state === "failed" ? t(job.error) : job.message),
      job.finished_at && h("time", { datetime: job.finished_at, "data-relative": true }),
    );
    return h("li", { class: "tray-row" }, title, badge(job.state), meta);
  }
  const stop = h(
    "button",
    {
      class: "button button-plain button-small",
      type: "button",
      disabled: job.cancel_requested,
      "aria-label": t("Cancel “{title}”", { title: job.title }),
      onclick: (event) => void cancel(job, event.currentTarget as HTMLButtonElement),
    },
    job.cancel_requested ? t("Stopping…") : t("Cancel"),
  );
  const known = job.state === "running" && job.fraction !== null;
  const bar = h("progress", { class: "wide", max: 100, value: known ? Math.round((job.fraction ?? 0) * 100) : null, "aria-label": job.title });
  const left = job.eta_seconds === null ? "" : t("about {time} left", { time: formatDuration(job.eta_seconds) });
  const meta = h(
    "div",
    { class: "tray-meta wide" },
    h("span", {}, job.state === "queued" ? t("Waiting for a free worker") : [job.phase && t(job.phase), job.message].filter(Boolean).join(" · ")),
    h("span", {}, [known ? formatPercent(job.fraction) : "", left].filter(Boolean).join(" · ")),
  );
  return h("li", { class: "tray-row" }, title, config?.mayCancelJobs && stop, bar, meta);
}

function draw(all: Iterable<Job>): void {
  // Ids are in the order of time.
  const jobs = [...all].sort((a, b) => (a.id < b.id ? 1 : -1));
  const running = jobs.filter(active);
  const finished = jobs.filter((job) => !active(job)).slice(0, SHOWN_FINISHED);
  for (const place of document.querySelectorAll("[data-jobs]")) {
    // Progress must not take the focus away from a Cancel button that somebody is about to press.
    const focused = document.activeElement?.closest("[data-job]")?.getAttribute("data-job");
    const rows = [...running, ...finished].map((job) => {
      const element = row(job);
      element.dataset["job"] = job.id;
      return element;
    });
    place.replaceChildren(
      rows.length > 0
        ? h("ul", { class: "tray-list" }, ...rows)
        : h("p", { class: "tray-empty" }, t("No job runs. Imports and trainings appear here.")),
    );
    if (focused) place.querySelector<HTMLElement>(`[data-job="${CSS.escape(focused)}"] button`)?.focus();
  }
  const count = document.getElementById("job-count");
  const bar = document.querySelector<HTMLProgressElement>(".bar-jobs progress");
  if (count) count.textContent = running.length > 0 ? String(running.length) : "";
  if (bar) {
    const whole = running.reduce((sum, job) => sum + (job.fraction ?? 0), 0) / Math.max(1, running.length);
    bar.hidden = running.length === 0;
    bar.value = Math.round(whole * 100);
  }
}

/** Says what a person who started something and went on would want to hear. */
function tell(job: Job, before: Job | undefined): void {
  if (!before || before.state === job.state) return;
  const { title } = job;
  if (job.state === "failed") toast(t("“{title}” failed: {error}", { title, error: t(job.error) }), "bad");
  else if (job.state === "succeeded") toast(t("“{title}” is done", { title }), "ok");
  else if (job.state === "running") announce(t("“{title}” runs", { title }));
}

export function startJobs(): void {
  const known = new Map<string, Job>();
  // What an event says is newer than a list that was asked for before it came.
  let told = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const redraw = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      draw(known.values());
    }, REDRAW);
  };
  const load = async (): Promise<void> => {
    told = new Set();
    try {
      const { results } = await api<{ results: Job[] }>("/api/v1/jobs/?page_size=20");
      for (const job of results) if (!told.has(job.id)) known.set(job.id, job);
      draw(known.values());
    } catch (error) {
      const text = error instanceof ApiError ? error.message : String(error);
      for (const place of document.querySelectorAll("[data-jobs]")) {
        place.replaceChildren(h("p", { class: "tray-empty" }, text));
      }
    }
  };
  subscribe(
    "jobs",
    null,
    ({ data }) => {
      const job = data as Job;
      tell(job, known.get(job.id));
      known.set(job.id, job);
      told.add(job.id);
      redraw();
    },
    () => void load(),
  );
  void load();
}
