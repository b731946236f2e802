// Loaded by every page: htmx, Alpine and the behaviours of the shell.
import Alpine from "@alpinejs/csp";
import htmx from "htmx.org";
import { csrfToken } from "./lib/api";
import { config } from "./lib/config";
import { t } from "./lib/i18n";
import { toast } from "./lib/toast";
import { startAttention } from "./shell/attention";
import { startConnection } from "./shell/connection";
import { startDialogs } from "./shell/dialogs";
import { startJobs } from "./shell/jobs";
import { startKeyboard } from "./shell/keyboard";
import { startLists } from "./shell/lists";
import { startMenus } from "./shell/menus";
import { startPalette } from "./shell/palette";
import { startSide } from "./shell/side";
import { startTheme } from "./shell/theme";
import { startTimes } from "./shell/times";

document.addEventListener("htmx:configRequest", (event) => {
  const { headers } = (event as CustomEvent<{ headers: Record<string, string> }>).detail;
  headers["X-CSRFToken"] = csrfToken();
});
document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail;
  toast(t("The server answered with error {status}. Nothing was changed; try again.", { status: xhr.status }), "bad");
});
document.addEventListener("htmx:sendError", () => {
  toast(t("The server cannot be reached. Check the connection."), "bad");
});

startMenus();
startTheme();
startDialogs();
startTimes();
startSide();
startLists();
if (config) {
  startKeyboard();
  startPalette();
  startConnection();
  startAttention();
  if (config.jobs) startJobs();
}

Object.assign(globalThis, { htmx, Alpine });
// Islands come after this script and may still register Alpine.data(…).
document.addEventListener("DOMContentLoaded", () => Alpine.start());
