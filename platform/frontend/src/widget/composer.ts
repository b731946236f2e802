// Where the visitor writes: text, files, and the one button that sends or stops.
import type { Context, Upload } from "./context";
import { fileSize, h } from "./dom";
import { sign, signButton } from "./signs";
import { fill } from "./words";

const LONGEST = 4000;
const TYPING_EVERY = 3_000;
const LARGEST = 10 * 1024 * 1024;

export class Composer {
  readonly element: HTMLFormElement;
  private readonly field: HTMLTextAreaElement;
  private readonly picker: HTMLInputElement;
  private readonly tray = h("ul", { class: "uploads" });
  private readonly problem = h("p", { class: "note bad", role: "alert" });
  private readonly note = h("p", { class: "note", role: "status" });
  private readonly button: HTMLButtonElement;
  private readonly attach: HTMLButtonElement;
  private uploads: Upload[] = [];
  private streaming: (() => void) | null = null;
  /** Send was pressed before the files had arrived: the last of them sends it. */
  private sendsLater = false;
  private typed = 0;

  constructor(private readonly context: Context) {
    const { words } = context;
    this.field = h("textarea", { rows: 1, placeholder: words.write, "aria-label": words.write, enterkeyhint: "send" });
    this.field.addEventListener("input", () => this.written());
    this.field.addEventListener("keydown", (event) => {
      // While a Chinese word is being composed, Enter chooses it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.submit();
    });
    this.field.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0 || this.attach.hidden) return;
      event.preventDefault();
      this.take(files);
    });
    // Reached through the button beside it, which says what it is for.
    this.picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": words.attach });
    this.picker.addEventListener("change", () => {
      this.take([...(this.picker.files ?? [])]);
      this.picker.value = "";
    });
    this.attach = signButton("attach", words.attach, () => this.picker.click());
    this.button = h("button", { class: "send" });
    const box = h("div", { class: "box" }, this.attach, this.field, this.button);
    this.element = h("form", { class: "composer", onsubmit: (event: Event) => this.pressed(event) }, this.problem, this.note, this.tray, box, this.picker);
    this.draw();
  }

  focus(): void {
    this.field.focus({ preventScroll: true });
  }

  /** What is written and not sent. */
  get draft(): string {
    return this.field.value;
  }

  set draft(text: string) {
    this.field.value = text;
    this.draw();
  }

  set enabled(enabled: boolean) {
    this.element.inert = !enabled;
  }

  set attachments(allowed: boolean) {
    this.attach.hidden = !allowed;
  }

  /** While an answer is being written the button stops it. */
  set stop(stop: (() => void) | null) {
    if ((stop === null) === (this.streaming === null)) {
      this.streaming = stop;
      return;
    }
    this.streaming = stop;
    this.draw();
  }

  private pressed(event: Event): void {
    event.preventDefault();
    if (this.streaming && !this.field.value.trim()) this.streaming();
    else this.submit();
  }

  private submit(): void {
    const body = this.field.value.trim();
    const attachments = this.uploads.flatMap((one) => (one.stored ? [one.stored.id] : []));
    if (body.length > LONGEST) {
      this.problem.textContent = this.context.words.tooLong;
      return;
    }
    this.sendsLater = this.isUploading;
    this.note.textContent = this.sendsLater ? this.context.words.sentLater : "";
    if (this.sendsLater || (!body && attachments.length === 0)) return;
    this.context.send(body, { attachments });
    this.field.value = "";
    this.uploads = [];
    this.problem.textContent = "";
    this.draw();
    this.grow();
    this.focus();
  }

  private get isUploading(): boolean {
    return this.uploads.some((one) => !one.stored && one.error === undefined);
  }

  /** A file has arrived, or never will: then whoever pressed Send decides anew. */
  private uploaded(failed: boolean): void {
    this.draw();
    if (!this.sendsLater || (this.isUploading && !failed)) return;
    if (failed) this.holdBack();
    else this.submit();
  }

  private holdBack(): void {
    this.sendsLater = false;
    this.note.textContent = "";
  }

  private written(): void {
    this.holdBack();
    this.grow();
    this.draw();
    if (this.field.value.length <= LONGEST) this.problem.textContent = "";
    if (Date.now() - this.typed > TYPING_EVERY && this.field.value.trim()) {
      this.typed = Date.now();
      this.context.typing();
    }
  }

  private grow(): void {
    this.field.style.setProperty("height", "auto");
    this.field.style.setProperty("height", `${Math.min(this.field.scrollHeight, 132)}px`);
  }

  private take(files: File[]): void {
    for (const file of files) {
      const upload: Upload = { name: file.name, size: file.size, share: 0 };
      this.uploads.push(upload);
      if (file.size > LARGEST) {
        upload.error = fill(this.context.words.tooLarge, { name: file.name, size: fileSize(LARGEST) });
        continue;
      }
      const progress = (share: number) => {
        upload.share = share;
        this.draw();
      };
      this.context.upload(file, progress).then(
        (stored) => {
          upload.stored = stored;
          this.uploaded(false);
        },
        (error: Error) => {
          upload.error = fill(this.context.words.uploadFailed, { name: file.name, why: error.message });
          this.uploaded(true);
        },
      );
    }
    this.draw();
    this.focus();
  }

  private draw(): void {
    const { words } = this.context;
    const stops = this.streaming !== null && !this.field.value.trim();
    const name = stops ? words.stop : words.send;
    this.button.replaceChildren(sign(stops ? "stop" : "send"));
    this.button.setAttribute("aria-label", name);
    this.button.title = name;
    const ready = this.uploads.some((one) => one.stored) || Boolean(this.field.value.trim());
    this.button.classList.toggle("idle", !stops && !ready);
    this.tray.replaceChildren(...this.uploads.map((one) => this.uploadView(one)));
  }

  private uploadView(upload: Upload): HTMLElement {
    const { words } = this.context;
    const remove = () => {
      this.uploads = this.uploads.filter((one) => one !== upload);
      this.uploaded(false);
    };
    const item = h("li", { class: upload.error ? "upload bad" : "upload" }, sign("file"));
    if (upload.error) item.append(h("span", { class: "file-name", role: "alert" }, upload.error));
    else {
      item.append(h("span", { class: "file-name" }, upload.name), h("small", {}, fileSize(upload.size)));
      if (!upload.stored) {
        const label = fill(words.uploading, { name: upload.name });
        item.append(h("progress", { max: 1, value: upload.share, "aria-label": label }));
      }
    }
    item.append(signButton("close", `${words.remove} ${upload.name}`, remove));
    return item;
  }
}
