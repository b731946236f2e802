// The bell: how many things wait, and which. Looks again when a stream that matters moves.
import { config } from "../lib/config";
import { announce, h } from "../lib/dom";
import { subscribe } from "../lib/events";
import { t, tn } from "../lib/i18n";

const GATHER = 400;

export function startAttention(): void {
  const list = document.getElementById("attention-list");
  const count = document.getElementById("attention-count");
  const tray = document.getElementById("attention-tray");
  if (!config || !list || !count || !tray) return;
  const { attentionUrl, attentionStreams } = config;
  let waiting = Number(count.textContent) || 0;

  const load = async (): Promise<void> => {
    const response = await fetch(attentionUrl, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!response?.ok) {
      list.replaceChildren(h("p", { class: "tray-empty" }, t("The list could not be loaded. Close it and open it again.")));
      return;
    }
    // Rendered by our own server's auto-escaping template; DOMParser runs no script.
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector<HTMLElement>("[data-count]");
    if (!fresh) return;
    const now = Number(fresh.dataset["count"]);
    list.replaceChildren(fresh);
    document.querySelector("#needs-you .attention")?.replaceWith(fresh.cloneNode(true));
    count.textContent = now > 0 ? String(now) : "";
    if (now > waiting) announce(tn("{count} thing needs you", "{count} things need you", now));
    waiting = now;
  };

  let timer: ReturnType<typeof setTimeout> | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void load(), GATHER);
  };
  tray.addEventListener("toggle", (event) => (event as ToggleEvent).newState === "open" && void load());
  for (const stream of attentionStreams) subscribe(stream, null, soon, soon);
}
