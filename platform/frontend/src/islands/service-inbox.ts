// The inbox: three panes, all by keyboard, kept current by the streams.
import { announce, h, icon, typing } from "../lib/dom";
import { subscribe } from "../lib/events";
import { t } from "../lib/i18n";
import { toast } from "../lib/toast";
import { alarm, startAlarm } from "../inbox/alarm";
import { Composer } from "../inbox/composer";
import { customerShow } from "../inbox/customer";
import { currentFilters, currentQuery, load, neighbour, rowChanged, rowErased, rowOf, select, startList } from "../inbox/list";
import { age, change, clock, type Conversation, conversationFetch, customerName, data, presenceSend, readSend, type Row, tried, viewDelete, viewSave } from "../inbox/model";
import { Presence } from "../inbox/presence";
import { talkLeave, talkShow, talkUpdate } from "../inbox/talk";
import { openDialog } from "../shell/dialogs";
import { shortcut } from "../shell/keyboard";
import { command } from "../shell/palette";

type Pane = "list" | "talk" | "customer";

const root = document.getElementById("inbox")!;
const talk = document.getElementById("inbox-talk")!;
const idle = [...talk.childNodes];
const warning = h("p", { class: "inbox-warning", role: "status", hidden: true });
const typist = h("p", { class: "inbox-typing", "aria-live": "polite" });
const head = h("header", { class: "inbox-head" });
const scroll = h("div", { class: "inbox-scroll", tabindex: 0, role: "log", "aria-label": t("What was said") });
let open: Conversation | null = null;
let composer: Composer | null = null;
let asked = "";

const presence = data.mayReply
  ? new Presence((collision, types) => {
      if (warning.textContent !== collision) warning.replaceChildren(...(collision ? [icon("users"), collision] : []));
      warning.hidden = !collision;
      if (typist.textContent !== types) typist.textContent = types;
    })
  : null;

function pane(name: Pane): void {
  root.dataset["pane"] = name;
}

// --- one conversation -----------------------------------------------------------------------------

async function show(id: string, focus = false): Promise<void> {
  asked = id;
  select(id);
  pane("talk");
  const done = await tried(async () => {
    const found = await conversationFetch(id);
    // Another one was opened while this one was read.
    if (asked !== id) return;
    open = found;
    talk.replaceChildren(head, scroll, typist, warning);
    drawHead();
    talkShow(found, scroll, () => void show(id));
    composer = null;
    if (data.mayReply) {
      composer = new Composer(found, { done: () => void reread(), typing: () => presence?.typing() });
      talk.append(composer.element);
    }
    drawCustomer();
    presence?.look(id);
    read();
    if (focus) scroll.focus();
  });
  if (!done && asked === id) close();
}

function close(): void {
  asked = "";
  open = null;
  composer = null;
  talkLeave();
  presence?.look(null);
  select("");
  talk.replaceChildren(...idle);
  document.getElementById("inbox-customer")!.replaceChildren();
  drawn = "";
  pane("list");
}

// What the visitor's stream does not tell (notes, the log, who has it) is read anew after a change.
let timer: ReturnType<typeof setTimeout> | null = null;

function rereadSoon(): void {
  timer ??= setTimeout(() => void reread(), 250);
}

async function reread(): Promise<void> {
  timer = null;
  const id = asked;
  if (!id || !open) return;
  await tried(async () => {
    const found = await conversationFetch(id);
    if (asked !== id) return;
    open = found;
    talkUpdate(found);
    composer?.suggest(found.suggestion);
    drawHead();
    drawCustomer();
    read();
  });
}

function read(): void {
  if (!open || !data.mayReply || document.hidden || open.status === "assistant") return;
  if (open.last_sequence <= open.people_read) return;
  open.people_read = open.last_sequence;
  void readSend(open.id, open.last_sequence).catch(() => undefined);
}

// The pane is left as it is while nothing on it has changed: somebody may be choosing a priority in it.
let drawn = "";

function drawCustomer(): void {
  if (!open) return;
  const { id, customer, summary, reason, priority, emotion, intent, language, labels, csat, csat_comment } = open;
  const now = JSON.stringify([id, customer, summary, reason, priority, emotion, intent, language, labels, csat, csat_comment]);
  if (now === drawn) return;
  drawn = now;
  customerShow(open, (other) => void show(other), () => pane("talk"), (priority) => void act("priority", { priority }, id));
}

function drawHead(): void {
  if (!open) return;
  const due = clock(open);
  const tool = (label: string, key: string, drawing: SVGSVGElement, run: () => void, primary = false): HTMLElement =>
    h(
      "button",
      { type: "button", class: `button button-small${primary ? " button-primary" : " button-plain"}`, "aria-keyshortcuts": key, title: `${label} (${key})`, onclick: run },
      drawing,
      h("span", { class: "inbox-tool-word" }, label),
    );
  const focused = head.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-keyshortcuts") : null;
  const mine = open.assignee?.id === data.me.id && open.status === "assigned";
  const resolved = open.status === "resolved";
  head.replaceChildren(
    h("button", { type: "button", class: "button button-plain button-icon inbox-back", "aria-label": t("Back to the list"), onclick: () => pane("list") }, icon("arrow-left")),
    h(
      "div",
      { class: "inbox-head-text" },
      h("h2", {}, customerName(open.visitor)),
      h(
        "p",
        {},
        h("span", {}, data.statuses[open.status] ?? ""),
        open.assignee && open.status === "assigned" ? h("span", {}, open.assignee.name) : "",
        open.waiting_since ? h("span", {}, t("waits {time}", { time: age(open.waiting_since) })) : "",
        due ? h("span", { class: "inbox-clock", "data-tone": due.tone }, due.tone === "bad" ? icon("clock-alert") : icon("clock"), due.text) : "",
      ),
    ),
    ...(data.mayReply
      ? [
          h(
            "div",
            { class: "inbox-head-tools" },
            !mine && !resolved ? tool(t("Take it"), "a", icon("hand"), assignToMe, open.status === "waiting") : "",
            !resolved ? tool(t("Hand over"), "t", icon("arrow-right-left"), transfer) : "",
            tool(t("Labels"), "l", icon("tag"), labels),
            !resolved && open.status !== "assistant" ? tool(t("To the assistant"), "b", icon("bot"), giveBack) : "",
            tool(resolved ? t("Open again") : t("Resolve"), "e", resolved ? icon("rotate-ccw") : icon("check"), resolve, mine),
          ),
        ]
      : []),
    h("button", { type: "button", class: "button button-plain button-icon inbox-who", "aria-label": t("Customer"), title: t("Customer"), onclick: () => pane("customer") }, icon("user")),
  );
  if (focused) head.querySelector<HTMLElement>(`[aria-keyshortcuts="${focused}"]`)?.focus();
}

async function act(what: string, body: object, id = open?.id): Promise<boolean> {
  if (!id || !data.mayReply) return false;
  const done = await tried(() => change(id, what, body));
  if (done) await reread();
  return done;
}

function assignToMe(): void {
  void act("assignee", { member: "me" }).then((done) => done && announce(t("The conversation is yours")));
}

function giveBack(): void {
  if (open && open.status !== "assistant") void act("status", { status: "assistant" });
}

function resolve(): void {
  if (!open) return;
  const { id } = open;
  if (open.status === "resolved") {
    void act("status", { status: "open" });
    return;
  }
  // The next one is looked for before this one leaves the list.
  const next = neighbour(1) ?? neighbour(-1);
  void act("status", { status: "resolved" }).then((done) => {
    if (!done) return;
    toast(t("Resolved"), "ok", () => void act("status", { status: "open" }, id).then(() => show(id)));
    if (next && next !== id) void show(next);
  });
}

function transfer(): void {
  if (!open || open.status === "resolved") return;
  const field = document.getElementById("inbox-transfer-member") as HTMLSelectElement;
  const others = data.agents.filter((agent) => agent.id !== open?.assignee?.id);
  const states: Record<string, string> = { online: t("online"), busy: t("busy"), offline: t("offline") };
  field.replaceChildren(
    h("option", { value: "none" }, t("Back into the queue")),
    ...others.map((agent) => h("option", { value: agent.id }, `${agent.name} · ${states[agent.presence] ?? ""} · ${agent.load}/${agent.capacity}`)),
  );
  openDialog("inbox-transfer");
}

function labels(): void {
  if (!open) return;
  const choices = document.getElementById("inbox-labels-choices")!;
  const names = [...new Set([...data.lists.labels.map((label) => label.name), ...open.labels])];
  choices.replaceChildren(
    ...names.map((name) => h("label", {}, h("input", { type: "checkbox", value: name, checked: open!.labels.includes(name) }), h("span", { class: "inbox-label" }, name))),
  );
  openDialog("inbox-labels");
}

function submitted(form: string, run: () => Promise<boolean>): void {
  document.getElementById(form)!.addEventListener("submit", (event) => {
    event.preventDefault();
    const target = event.target as HTMLFormElement;
    void run().then((done) => {
      if (!done) return;
      target.closest("dialog")?.close();
      target.reset();
    });
  });
}

submitted("inbox-transfer-form", () => {
  const member = (document.getElementById("inbox-transfer-member") as HTMLSelectElement).value;
  const note = (document.getElementById("inbox-transfer-note") as HTMLTextAreaElement).value;
  return act("assignee", { member, note: member === "none" ? "" : note });
});
submitted("inbox-labels-form", async () => {
  const ticked = [...document.querySelectorAll<HTMLInputElement>("#inbox-labels-choices input:checked")].map((box) => box.value);
  const added = (document.getElementById("inbox-label-new") as HTMLInputElement).value.trim();
  const done = await act("labels", { labels: added ? [...ticked, added] : ticked });
  if (done && added && !data.lists.labels.some((label) => label.name === added)) data.lists.labels.push({ name: added, colour: "" });
  return done;
});

// --- filters and views ------------------------------------------------------------------------------

const filters = [...document.querySelectorAll<HTMLSelectElement>("[data-filter]")];
const toggleButton = document.getElementById("inbox-filter-toggle")!;
const filterBox = document.getElementById("inbox-filters")!;
const search = document.getElementById("inbox-search") as HTMLInputElement;

function showFilters(on: boolean): void {
  filterBox.hidden = !on;
  toggleButton.setAttribute("aria-expanded", String(on));
}

function filtersChanged(): void {
  const { q, status, sort, ...rest } = currentFilters();
  toggleButton.querySelector<HTMLElement>(".inbox-dot")!.hidden = Object.keys(rest).length === 0;
}

async function filter(next: Record<string, string | number>): Promise<void> {
  await load(next);
  filtersChanged();
}

function fill(query: Record<string, string | number>): void {
  for (const field of filters) field.value = String(query[field.dataset["filter"]!] || "");
  search.value = String(query["q"] ?? "");
}

const NOTHING = { status: "open", sort: "waiting", assignee: "", channel: "", language: "", emotion: "", label: "", priority: 0, q: "" };

function useView(wanted: Record<string, string | number>): void {
  const query = { ...NOTHING, ...wanted };
  fill(query);
  void filter(query);
}

function drawViews(): void {
  const menu = document.getElementById("inbox-views")!;
  const fixed: [string, Record<string, string | number>][] = [
    [t("Mine"), { assignee: "me", status: "assigned" }],
    [t("Nobody has it"), { assignee: "none", status: "waiting" }],
    [t("Angriest first"), { sort: "anger" }],
    [t("Due soonest"), { sort: "sla" }],
  ];
  const item = (name: string, wanted: Record<string, string | number>, extra?: HTMLElement): HTMLElement =>
    h("div", { class: "inbox-view" }, h("button", { type: "button", class: "menu-item", role: "menuitem", onclick: () => (menu.hidePopover(), useView(wanted)) }, name), extra ?? "");
  menu.replaceChildren(
    ...fixed.map(([name, wanted]) => item(name, wanted)),
    ...(data.lists.views.length ? [h("div", { class: "menu-head" }, t("Saved"))] : []),
    ...data.lists.views.map((view) =>
      item(
        view.name,
        view.filters,
        data.mayReply
          ? h(
              "button",
              {
                type: "button",
                class: "button button-plain button-small button-icon",
                "aria-label": t("Delete the view {name}", { name: view.name }),
                onclick: () =>
                  void tried(() => viewDelete(view.id)).then((done) => {
                    if (!done) return;
                    data.lists.views = data.lists.views.filter((other) => other !== view);
                    drawViews();
                  }),
              },
              icon("trash-2"),
            )
          : undefined,
      ),
    ),
    data.mayReply ? h("button", { type: "button", class: "menu-item", role: "menuitem", "data-dialog-open": "inbox-view" }, icon("plus"), t("Keep these filters…")) : "",
  );
}

submitted("inbox-view-form", async () => {
  const name = (document.getElementById("inbox-view-name") as HTMLInputElement).value;
  const shared = (document.getElementById("inbox-view-shared") as HTMLInputElement).checked;
  return tried(async () => {
    const view = await viewSave(name, currentFilters(), shared);
    data.lists.views = [...data.lists.views.filter((other) => other.id !== view.id), view];
    drawViews();
  });
});

for (const field of filters) field.addEventListener("change", () => void filter({ [field.dataset["filter"]!]: field.value }));
toggleButton.addEventListener("click", () => showFilters(Boolean(filterBox.hidden)));
document.getElementById("inbox-clear")!.addEventListener("click", () => useView({ status: currentQuery()["status"] ?? "open", sort: currentQuery()["sort"] ?? "waiting" }));
let typed: ReturnType<typeof setTimeout> | null = null;
search.addEventListener("input", () => {
  if (typed) clearTimeout(typed);
  typed = setTimeout(() => void filter({ q: search.value.trim() }), 300);
});
document.getElementById("inbox-search-form")!.addEventListener("submit", (event) => event.preventDefault());

// --- presence ---------------------------------------------------------------------------------------

const mine = document.getElementById("inbox-presence") as HTMLSelectElement | null;
if (mine) {
  const show = (): void => void (mine.dataset["state"] = mine.value);
  mine.value = data.me.presence;
  show();
  mine.addEventListener("change", () => {
    show();
    void tried(() => presenceSend(mine.value));
  });
  // After five minutes of silence nobody sits here, and nothing new is assigned.
  const keep = (): void => void presenceSend().catch(() => undefined);
  keep();
  setInterval(keep, 60_000);
}

// --- keyboard ---------------------------------------------------------------------------------------

function step(by: 1 | -1): void {
  const id = neighbour(by);
  if (id) void show(id);
}

shortcut("j", () => step(1));
shortcut("k", () => step(-1));
shortcut("/", () => (pane("list"), search.focus()));
shortcut("i", () => open && pane(root.dataset["pane"] === "customer" ? "talk" : "customer"));
if (data.mayReply) {
  shortcut("r", () => composer?.write(false));
  shortcut("n", () => composer?.write(true));
  shortcut("s", () => composer?.edit());
  shortcut("a", () => open && assignToMe());
  shortcut("t", transfer);
  shortcut("l", labels);
  shortcut("e", resolve);
  shortcut("b", giveBack);
  command(t("Assign this conversation to me"), "hand", assignToMe, "a");
  command(t("Resolve this conversation"), "check", resolve, "e");
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || typing(event) || document.querySelector("dialog[open], .menu:popover-open")) return;
  pane(root.dataset["pane"] === "customer" ? "talk" : "list");
});

// --- start ------------------------------------------------------------------------------------------

// What was last heard of each conversation, also of those that the filters leave out.
const heard = new Map<string, Pick<Row, "status" | "assignee" | "last_sequence">>();

/** Tells somebody who looks elsewhere what is new about a conversation, if it is for them. */
function tell(row: Row): void {
  const before = heard.get(row.id) ?? rowOf(row.id);
  heard.set(row.id, row);
  if (row.id === asked && document.hasFocus()) return;
  const mine = row.status === "assigned" && row.assignee?.id === data.me.id;
  const wrote = row.last_message?.author === "visitor" && row.last_sequence > (before?.last_sequence ?? 0);
  let title = "";
  if (row.status === "waiting" && (wrote || before?.status !== "waiting")) title = t("A customer waits");
  else if (mine && before?.assignee?.id !== data.me.id) title = t("A conversation came to you");
  else if (mine && wrote) title = t("A customer of yours writes");
  if (title) alarm(title, customerName(row.visitor), row.id, () => void show(row.id));
}

startList((id) => void show(id, true));
startAlarm();
drawViews();
filtersChanged();
showFilters(!toggleButton.querySelector<HTMLElement>(".inbox-dot")!.hidden);
document.addEventListener("visibilitychange", read);
setInterval(() => !document.hidden && drawHead(), 15_000);
subscribe("service.inbox", data.lastEventId, (event) => {
  const row = event.data as Row & { role?: string; erased?: boolean };
  if (row.erased || event.event === "conversation.erased") {
    rowErased(row.id);
    if (row.id === asked) close();
    return;
  }
  if (event.event === "sla.escalated" && row.role === data.me.role) {
    const name = t("A customer was not answered in time");
    toast(name, "warn");
    alarm(name, "", row.id, () => void show(row.id));
  }
  if (event.event === "conversation.changed") {
    tell(row);
    rowChanged(row.id);
  }
  if (row.id === asked) rereadSoon();
});
if (data.selected) void show(data.selected);
