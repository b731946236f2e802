// A calm sign in the bar while the live connection is away; the page keeps what it shows.
import { announce, h } from "../lib/dom";
import { watchConnection } from "../lib/events";
import { t } from "../lib/i18n";

const WORTH_SAYING = 2_000;

export function startConnection(): void {
  const sign = document.getElementById("connection");
  const text = sign?.querySelector("span");
  if (!sign || !text) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shown = false;
  watchConnection((state) => {
    clearTimeout(timer);
    if (state === "reconnecting" || state === "offline") {
      // A reconnect of half a second is nobody's business.
      timer = setTimeout(() => {
        shown = true;
        sign.dataset["state"] = state;
        text.textContent = state === "offline" ? t("Offline: shows what was there") : t("Reconnecting…");
      }, WORTH_SAYING);
    } else if (state === "signed-out") {
      sign.dataset["state"] = state;
      text.replaceChildren(t("You were signed out."), " ", h("a", { href: location.href }, t("Sign in again")));
    } else if (state === "open" || state === "idle") {
      delete sign.dataset["state"];
      text.textContent = "";
      if (shown) announce(t("Connected again"));
      shown = false;
    }
  });
}
