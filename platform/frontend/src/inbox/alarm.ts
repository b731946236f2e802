// Telling somebody who looks elsewhere: a desktop notification and a sound, both off until they are wanted.
import { formatMoment } from "../lib/format";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";

function kept(key: string): boolean {
  return localStorage.getItem(`inbox.${key}`) === "1";
}

function toggle(id: string, key: string, on: () => Promise<boolean>): void {
  const button = document.getElementById(id)!;
  const show = (): void => button.setAttribute("aria-pressed", String(kept(key)));
  show();
  button.addEventListener("click", () => {
    void (async () => {
      const wanted = !kept(key);
      localStorage.setItem(`inbox.${key}`, wanted && (await on()) ? "1" : "0");
      show();
    })();
  });
}

export function startAlarm(): void {
  toggle("inbox-alert", "notify", async () => {
    if (!("Notification" in window)) {
      toast(t("This browser has no notifications."), "warn");
      return false;
    }
    if ((await Notification.requestPermission()) === "granted") return true;
    toast(t("The browser does not let this page notify you. Allow it in the browser's settings."), "warn");
    return false;
  });
  toggle("inbox-sound", "sound", () => {
    ring();
    return Promise.resolve(true);
  });
}

/** Two short notes, made here: no file, nothing to load. */
function ring(): void {
  const audio = new AudioContext();
  const gain = audio.createGain();
  gain.connect(audio.destination);
  [660, 880].forEach((pitch, at) => {
    const note = audio.createOscillator();
    note.frequency.value = pitch;
    note.connect(gain);
    note.start(audio.currentTime + at * 0.16);
    note.stop(audio.currentTime + at * 0.16 + 0.14);
  });
  gain.gain.setValueAtTime(0.08, audio.currentTime);
  gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.4);
  setTimeout(() => void audio.close(), 800);
}

/** Somebody waits. `open` shows the conversation when the notification is clicked. */
export function alarm(title: string, text: string, key: string, open: () => void): void {
  if (kept("sound")) ring();
  if (!kept("notify") || !("Notification" in window) || Notification.permission !== "granted" || document.hasFocus()) return;
  const notification = new Notification(title, { body: `${text}\n${formatMoment(new Date(), { timeStyle: "short" })}`, tag: key });
  notification.onclick = () => {
    window.focus();
    open();
    notification.close();
  };
}
