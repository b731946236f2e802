// A part of the page that is read anew when something happens in a stream, at most once a second.
import { subscribe } from "../lib/events";

interface Data {
  stream: string;
  lastEventId: number | null;
  part: string;
}

const data = JSON.parse(document.getElementById("looks-data")?.textContent ?? "null") as Data | null;
let soon: ReturnType<typeof setTimeout> | null = null;

function look(): void {
  soon ??= setTimeout(() => {
    soon = null;
    const part = document.getElementById(data!.part);
    // Whoever writes or chooses in it is not disturbed: the next event looks again.
    if (part && !part.contains(document.activeElement?.closest("input, textarea, select") ?? null)) {
      part.dispatchEvent(new CustomEvent("look"));
    }
  }, 1_000);
}

if (data) subscribe(data.stream, data.lastEventId, look, look);
