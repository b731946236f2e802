// The right pane: who this is, what it was about, what they said before, and what is kept of them.
import { h, icon } from "../lib/dom";
import { formatMoment } from "../lib/format";
import { t } from "../lib/i18n";
import { openDialog } from "../shell/dialogs";
import { type Conversation, type Customer, customerName, data, emotionIcon, languageName, priorityName, urlOf } from "./model";

const pane = document.getElementById("inbox-customer")!;

function time(at: string | null): Node | string {
  return at ? h("time", { datetime: at }, formatMoment(new Date(at))) : "—";
}

function fact(name: string, value: Node | string | null): (Node | null)[] {
  return value ? [h("dt", {}, name), h("dd", {}, value)] : [];
}

/** What is typed to erase a customer: their name, else the end of their id. */
export function eraseWord(customer: Customer): string {
  return customer.name.trim() || customer.id.replaceAll("-", "").slice(-8);
}

function erase(customer: Customer): void {
  const form = document.getElementById("inbox-erase-form") as HTMLFormElement;
  const word = eraseWord(customer);
  form.action = urlOf("erase", customer.id);
  form.reset();
  form.dataset["confirmName"] = word;
  form.querySelector<HTMLButtonElement>(".button-danger")!.disabled = true;
  document.getElementById("inbox-erase-word")!.textContent = word;
  openDialog("inbox-erase");
}

function attribute(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

/** `onOpen` opens another conversation of the customer, `onPriority` changes how urgent this one is. */
export function customerShow(conversation: Conversation, onOpen: (id: string) => void, onBack: () => void, onPriority: (priority: number) => void): void {
  const { customer } = conversation;
  const mood = emotionIcon(conversation.emotion);
  const priority = h("select", { id: "inbox-priority", "aria-label": t("Priority"), disabled: !data.mayReply, onchange: () => onPriority(Number(priority.value)) });
  for (const level of [0, 1, 2, 3]) priority.append(h("option", { value: level, selected: level === conversation.priority }, priorityName(level)));
  const history = customer.conversations.map((row) =>
    h(
      "li",
      {},
      h("button", { type: "button", class: "inbox-history", onclick: () => onOpen(row.id) }, h("span", {}, row.intent ? row.intent.replaceAll("_", " ") : data.statuses[row.status] ?? ""), time(row.created_at)),
    ),
  );
  const attributes = Object.entries(customer.attributes);
  pane.replaceChildren(
    h(
      "div",
      { class: "inbox-customer-head" },
      h("button", { type: "button", class: "button button-plain button-icon inbox-back", "aria-label": t("Back to the conversation"), onclick: onBack }, icon("arrow-left")),
      h("h2", {}, customerName(customer)),
      customer.verified ? h("span", { class: "badge badge-ok" }, icon("badge-check"), t("Verified")) : h("span", { class: "badge badge-quiet" }, t("Not verified")),
    ),
    conversation.summary || conversation.reason
      ? h(
          "section",
          { class: "inbox-handoff" },
          h("h3", {}, t("At the hand-off")),
          conversation.reason && h("p", {}, icon("corner-down-right"), conversation.reason),
          conversation.summary && h("p", { class: "inbox-summary" }, conversation.summary),
        )
      : "",
    h(
      "section",
      {},
      h("h3", {}, t("This conversation")),
      h(
        "dl",
        { class: "inbox-facts" },
        ...[
          ...fact(t("Priority"), priority),
          ...fact(t("Mood"), conversation.emotion ? h("span", { class: "inbox-mark", "data-emotion": conversation.emotion }, mood, data.emotions[conversation.emotion] ?? "") : null),
          ...fact(t("Wants"), conversation.intent.replaceAll("_", " ")),
          ...fact(t("Language"), languageName(conversation.language)),
          ...fact(t("Channel"), conversation.channel?.name ?? null),
          ...fact(t("Page"), conversation.page.title || conversation.page.url),
          ...fact(t("Began"), time(conversation.created_at)),
          ...fact(t("Rating"), conversation.csat ? `${t("{n} of 5", { n: conversation.csat })} ${conversation.csat_comment}` : null),
          ...fact(t("Labels"), conversation.labels.length ? h("span", { class: "row" }, ...conversation.labels.map((label) => h("span", { class: "inbox-label" }, label))) : null),
        ].filter((node): node is Node => node !== null),
      ),
    ),
    h(
      "section",
      {},
      h("h3", {}, t("Customer")),
      h(
        "dl",
        { class: "inbox-facts" },
        ...[
          ...fact(t("E-mail"), customer.email),
          ...fact(t("Number"), customer.external_id),
          ...fact(t("First seen"), time(customer.first_seen_at)),
          ...fact(t("Last seen"), customer.last_seen_at ? time(customer.last_seen_at) : null),
          ...attributes.flatMap(([name, value]) => fact(name.replaceAll("_", " "), attribute(value))),
        ].filter((node): node is Node => node !== null),
      ),
    ),
    h("section", {}, h("h3", {}, t("Earlier conversations")), history.length ? h("ul", { class: "inbox-histories" }, ...history) : h("p", { class: "faint" }, t("This is the first."))),
    data.mayReply
      ? h(
          "section",
          { class: "row" },
          h("a", { class: "button button-small", href: urlOf("export", customer.id), download: "" }, icon("download"), t("Export")),
          data.mayErase ? h("button", { type: "button", class: "button button-small button-danger", onclick: () => erase(customer) }, icon("trash-2"), t("Erase…")) : "",
        )
      : "",
  );
}
