// The page inside the frame. It speaks only to the window around it, and only if that is of an origin of the channel.
import { App } from "./app";
import type { Channel } from "./panel";
import { post, received, type ToFrame, type ToHost } from "./protocol";

function begin(): void {
  const channel = JSON.parse(document.getElementById("channel")?.textContent ?? "null") as (Channel & { preview?: boolean }) | null;
  const host = decodeURIComponent(location.hash.slice(1));
  if (!channel) return;
  if (window.parent === window || !channel.origins.includes(host)) {
    console.error(`Rootstock: ${host || "this page"} may not show this widget.`);
    return;
  }
  const tell = (message: ToHost) => post(window.parent, host, message);
  let app: App | null = null;
  addEventListener("message", (event) => {
    const message = received<ToFrame>(event, window.parent, host);
    if (!message) return;
    if (message.type === "hello") {
      if (channel.preview && message.preview) Object.assign(channel, message.preview);
      if (app && !channel.preview) return;
      app ??= new App(channel, tell, channel.preview === true, message.kept ?? {});
      app.start(message.page, message.open, message.identity);
    } else if (!app) return;
    else if (message.type === "open") app.shown();
    else if (message.type === "close") app.hidden();
    else if (message.type === "page") app.around(message.page);
    else if (message.type === "identify") app.identify(message.token);
    else if (message.type === "logout") app.logout();
    else if (message.type === "message") app.send(message.text);
  });
  tell({ type: "loaded" });
}

begin();
