// Where an agent writes: answer or note, canned replies, macros, files, the proposed reply with its sources.
import { ApiError, csrfToken } from "../lib/api";
import { announce, h, icon } from "../lib/dom";
import { formatNumber } from "../lib/format";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";
import { CannedMenu } from "./canned";
import { type Conversation, data, macroRun, proposalUrl, replySend, type Suggestion, suggestionDismiss, tried } from "./model";
import { rich, sources } from "./text";
import { why } from "./why";

const FILE_LIMIT = 10 * 2 ** 20;

export interface ComposerEvents {
  /** Something was sent or done: what is shown is no longer all. */
  done(): void;
  typing(): void;
}

interface WaitingFile {
  id: string;
  name: string;
}

/** What was being written when another conversation was opened. A note stays a note: no customer is to see it. */
interface Draft {
  text: string;
  note: boolean;
  began: string | null;
}

export class Composer {
  readonly element: HTMLElement;
  private readonly field: HTMLTextAreaElement;
  private readonly proposal = h("div", { class: "inbox-proposal", hidden: true });
  private readonly files = h("div", { class: "inbox-waiting-files" });
  private readonly send: HTMLButtonElement;
  private readonly modes: HTMLButtonElement[];
  private readonly canned: CannedMenu;
  private note = false;
  private busy = false;
  private suggestion: Suggestion | null = null;
  /** The proposal that what is being written began as. */
  private began: string | null = null;
  private waiting: WaitingFile[] = [];
  /** Sent again after a failure it is the same message. */
  private clientId = crypto.randomUUID();

  constructor(
    private readonly conversation: Conversation,
    private readonly events: ComposerEvents,
  ) {
    this.field = h("textarea", { id: "inbox-field", rows: 3, maxlength: 10_000, "aria-label": t("Your answer"), "aria-autocomplete": "list" });
    this.canned = new CannedMenu(this.field, () => conversation.language, () => ({ customer: conversation.customer.name, agent: data.me.name }));
    this.modes = [false, true].map((note) =>
      h("button", { type: "button", class: "button button-small", onclick: () => this.write(note) }, note ? icon("sticky-note") : icon("reply"), note ? t("Note") : t("Reply")),
    );
    this.send = h("button", { type: "button", class: "button button-primary button-small", onclick: () => void this.submit() }, icon("send"), h("span", {}));
    const picker = h("input", { type: "file", multiple: true, hidden: true, "aria-hidden": "true", tabindex: -1, onchange: () => void this.upload(picker) });
    this.element = h(
      "div",
      { class: "inbox-composer" },
      this.proposal,
      this.canned.element,
      this.field,
      this.files,
      h(
        "div",
        { class: "inbox-tools" },
        h("span", { class: "button-group", role: "group", "aria-label": t("What you write") }, ...this.modes),
        h("button", { type: "button", class: "button button-plain button-small button-icon", "aria-label": t("Attach a file"), title: t("Attach a file"), onclick: () => picker.click() }, icon("paperclip")),
        picker,
        ...this.macros(),
        h("span", { class: "grow" }),
        h("span", { class: "faint inbox-hint" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter")),
        this.send,
      ),
    );
    this.field.addEventListener("keydown", (event) => this.keys(event));
    this.field.addEventListener("input", () => {
      this.keep();
      this.grow();
      if (this.field.value && !this.note) events.typing();
    });
    const draft = JSON.parse(sessionStorage.getItem(this.draftKey) ?? "{}") as Partial<Draft>;
    this.field.value = draft.text ?? "";
    this.began = draft.began ?? null;
    this.mode(draft.note ?? false);
    this.suggest(conversation.suggestion);
    queueMicrotask(() => this.grow());
  }

  /** Begins an answer or a note. */
  write(note: boolean): void {
    this.mode(note);
    this.field.focus();
  }

  /** Shows the proposed reply, or none. */
  suggest(suggestion: Suggestion | null): void {
    if (suggestion?.id === this.suggestion?.id && this.suggestion) return;
    this.suggestion = suggestion;
    this.proposal.hidden = suggestion === null;
    if (!suggestion) return;
    this.proposal.replaceChildren(
      h("div", { class: "inbox-proposal-head" }, icon("sparkles"), h("strong", {}, t("Proposed reply")), h("span", { class: "faint" }, t("Point at a number to read its source"))),
      rich(suggestion.body, suggestion.citations),
      sources(suggestion.body, suggestion.citations) ?? "",
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "button button-small button-primary", onclick: () => void this.accept() }, t("Send it")),
        h("button", { type: "button", class: "button button-small", onclick: () => this.edit() }, t("Edit"), " ", h("kbd", {}, "s")),
        h("button", { type: "button", class: "button button-small button-plain", onclick: () => void this.dismiss() }, t("Dismiss")),
        h("span", { class: "grow" }),
        why(proposalUrl(suggestion.id)),
      ),
    );
    announce(t("The assistant proposes a reply"));
  }

  /** Takes the proposal into the field, to be changed. */
  edit(): void {
    if (!this.suggestion) return;
    this.began = this.suggestion.id;
    this.field.value = this.suggestion.body.replaceAll(/\s?\[\d+\]/g, "");
    this.field.dispatchEvent(new Event("input"));
    this.proposal.hidden = true;
    this.write(false);
  }

  private get draftKey(): string {
    return `inbox.writing.${this.conversation.id}`;
  }

  private keep(): void {
    const draft: Draft = { text: this.field.value, note: this.note, began: this.began };
    if (draft.text) sessionStorage.setItem(this.draftKey, JSON.stringify(draft));
    else sessionStorage.removeItem(this.draftKey);
  }

  private mode(note: boolean): void {
    this.note = note;
    this.keep();
    this.element.toggleAttribute("data-note", note);
    this.modes.forEach((button, at) => button.setAttribute("aria-pressed", String(note === (at === 1))));
    this.field.placeholder = note ? t("A note that only agents see") : t("Answer, or / for a canned reply");
    this.field.setAttribute("aria-label", note ? t("Your note; only agents see it") : t("Your answer"));
    this.send.querySelector("span")!.textContent = note ? t("Add note") : t("Send");
  }

  private grow(): void {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight + 2, 260)}px`;
  }

  private keys(event: KeyboardEvent): void {
    if (this.canned.key(event)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      void this.submit();
    } else if (event.key === "Escape") {
      this.field.blur();
    }
  }

  private async submit(body = this.field.value, suggestion = this.began): Promise<void> {
    if (this.busy || (!body.trim() && this.waiting.length === 0)) return;
    this.busy = this.send.disabled = true;
    let stored = "";
    const sent = await tried(async () => {
      const message = await replySend(this.conversation.id, {
        body,
        note: this.note,
        client_id: this.clientId,
        attachments: this.note ? [] : this.waiting.map((file) => file.id),
        suggestion: this.note ? null : suggestion,
      });
      stored = message.body;
    });
    this.busy = this.send.disabled = false;
    if (!sent) return;
    this.clientId = crypto.randomUUID();
    if (stored.trim() !== body.trim()) {
      // The line broke after the first try had been stored: what was changed since is not lost with it.
      toast(t("The text had been sent before you changed it. Send the change, too, if it matters."), "warn");
      this.events.done();
      return;
    }
    announce(this.note ? t("Note added") : t("Sent"));
    this.field.value = "";
    this.began = null;
    if (!this.note) {
      this.waiting = [];
      this.drawFiles();
      this.suggest(null);
    }
    this.mode(false);
    this.grow();
    this.events.done();
  }

  private async accept(): Promise<void> {
    if (!this.suggestion) return;
    this.mode(false);
    await this.submit(this.suggestion.body, this.suggestion.id);
  }

  private async dismiss(): Promise<void> {
    const { suggestion } = this;
    if (!suggestion) return;
    if (await tried(() => suggestionDismiss(suggestion.id))) {
      this.suggest(null);
      this.field.focus();
    }
  }

  private macros(): HTMLElement[] {
    if (data.lists.macros.length === 0) return [];
    const menu = h("div", { class: "menu", id: "inbox-macros", popover: "auto", role: "menu", "aria-label": t("Macros") });
    for (const macro of data.lists.macros) {
      const run = async (): Promise<void> => {
        menu.hidePopover();
        if (await tried(() => macroRun(this.conversation.id, macro.id))) {
          announce(t("Done: {name}", { name: macro.name }));
          this.events.done();
        }
      };
      menu.append(h("button", { type: "button", class: "menu-item", role: "menuitem", onclick: () => void run() }, icon("zap"), macro.name));
    }
    return [
      h(
        "button",
        { type: "button", class: "button button-plain button-small button-icon", popovertarget: "inbox-macros", "data-menu": "", "aria-controls": "inbox-macros", "aria-expanded": "false", "aria-label": t("Macros"), title: t("Macros") },
        icon("zap"),
      ),
      menu,
    ];
  }

  // --- files ------------------------------------------------------------------------------------

  private async upload(picker: HTMLInputElement): Promise<void> {
    const chosen = [...(picker.files ?? [])];
    picker.value = "";
    for (const file of chosen) {
      if (file.size > FILE_LIMIT) {
        toast(t("{name} is larger than {n} MB.", { name: file.name, n: formatNumber(FILE_LIMIT / 2 ** 20, 0) }), "bad");
        continue;
      }
      await tried(async () => {
        this.waiting.push(await this.post(file));
        this.drawFiles();
      });
    }
  }

  private async post(file: File): Promise<WaitingFile> {
    const form = new FormData();
    form.append("file", file);
    const response = await fetch(`/api/v1/service/inbox/${this.conversation.id}/attachments`, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken(), Accept: "application/json" },
      credentials: "same-origin",
      body: form,
    }).catch(() => null);
    if (!response) throw new ApiError({ title: t("The server cannot be reached. Check the connection."), status: 0 });
    const body = (await response.json()) as WaitingFile;
    if (!response.ok) throw new ApiError({ title: t("The file was not taken."), ...body, status: response.status });
    return body;
  }

  private drawFiles(): void {
    this.files.replaceChildren(
      ...this.waiting.map((file) =>
        h(
          "span",
          { class: "badge badge-quiet" },
          icon("file"),
          file.name,
          h(
            "button",
            { type: "button", "aria-label": t("Leave out {name}", { name: file.name }), onclick: () => ((this.waiting = this.waiting.filter((other) => other !== file)), this.drawFiles()) },
            icon("x"),
          ),
        ),
      ),
    );
  }
}
