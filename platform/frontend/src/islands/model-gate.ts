// A page of a version while a job works on it (the gate's checks, a compression): the bar moves, and what came of it
// appears when it is there.
import { api, ApiError } from "../lib/api";
import { pageData } from "../lib/config";
import { announce } from "../lib/dom";
import { subscribe } from "../lib/events";
import { formatDuration, formatPercent } from "../lib/format";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";

interface Job {
  id: string;
  state: string;
  phase: string;
  message: string;
  fraction: number;
  eta_seconds: number | null;
  cancel_requested: boolean;
}

interface GateData {
  lastEventId: number;
  job: Job | null;
  mayCancel: boolean;
  // What is said at the end.
  ended?: string;
}

const ENDED = new Set(["succeeded", "failed", "cancelled"]);

function follow(first: Job, { lastEventId, mayCancel, ended }: GateData): void {
  const bar = document.querySelector<HTMLProgressElement>("#gate-bar");
  const phase = document.getElementById("gate-phase");
  const eta = document.getElementById("gate-eta");
  const cancel = document.querySelector<HTMLButtonElement>("#gate-cancel");

  const draw = (job: Job): void => {
    const queued = job.state === "queued";
    if (bar) {
      if (queued) bar.removeAttribute("value");
      else bar.value = Math.round(job.fraction * 100);
    }
    const doing = [job.phase && t(job.phase), job.message].filter(Boolean).join(" · ");
    const words = queued ? t("Waiting for a free worker") : doing;
    // A live region: only what is new is worth reading out.
    if (phase && phase.textContent !== words) phase.textContent = words;
    const left = job.eta_seconds === null ? "" : t("about {time} left", { time: formatDuration(job.eta_seconds) });
    if (eta) eta.textContent = [queued ? "" : formatPercent(job.fraction), left].filter(Boolean).join(" · ");
    if (cancel) {
      cancel.hidden = !mayCancel;
      cancel.disabled = job.cancel_requested;
      if (job.cancel_requested) cancel.textContent = t("Stopping…");
    }
  };

  cancel?.addEventListener("click", () => {
    cancel.disabled = true;
    api(`/api/v1/jobs/${first.id}/cancel/`, { method: "POST" }).catch((error: unknown) => {
      cancel.disabled = false;
      toast(error instanceof ApiError ? error.message : String(error), "bad");
    });
  });
  draw(first);
  subscribe(
    "jobs",
    lastEventId,
    ({ data }) => {
      const job = data as Job;
      if (job.id !== first.id) return;
      draw(job);
      if (!ENDED.has(job.state)) return;
      announce(ended ?? t("The checks have ended."));
      location.reload();
    },
    () => location.reload(),
  );
}

const data = pageData<GateData>("gate-data");
if (data?.job) follow(data.job, data);
