import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { contrast, readableOn, textOn } from "../src/widget/colour";
import { type Inline, parse, safeUrl } from "../src/widget/markdown";
import { keeper, NotNow, Outbox, type Outgoing, Refused, told } from "../src/widget/outbox";
import { inLanguage, languageOf, received, type ToHost } from "../src/widget/protocol";
import { buttonsOf, Conversation } from "../src/widget/talk";
import type { Message, Talk } from "../src/widget/wire";

function text(parts: Inline[]): string {
  return parts.map((part) => ("text" in part ? part.text : "inner" in part ? text(part.inner) : part.kind === "cite" ? `<${part.number}>` : "\n")).join("");
}

describe("markdown", () => {
  it("reads paragraphs, lists, headings, code and tables", () => {
    const blocks = parse("# Returns\n\nSend it **back**\nwithin `30` days.\n\n- one\n- two\n  more\n\n3. third\n\n```\n<b>\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |");
    assert.deepEqual(
      blocks.map((block) => block.kind),
      ["heading", "paragraph", "list", "list", "code", "table"],
    );
    const [, paragraph, list, third, code, table] = blocks;
    assert.ok(paragraph?.kind === "paragraph" && text(paragraph.inner) === "Send it back\nwithin 30 days.");
    assert.ok(list?.kind === "list" && !list.ordered && text(list.items[1] ?? []) === "two\nmore");
    assert.ok(third?.kind === "list" && third.ordered && third.start === 3);
    assert.ok(code?.kind === "code" && code.text === "<b>");
    assert.ok(table?.kind === "table" && table.rows.length === 1);
  });

  it("makes a citation only of numbers that are cited", () => {
    const [block] = parse("Thirty days.[1] See [2] and a[3].", new Set([1, 3]));
    assert.ok(block?.kind === "paragraph");
    assert.equal(text(block.inner), "Thirty days.<1> See [2] and a<3>.");
  });

  it("links only to addresses that a click may open", () => {
    for (const bad of ["javascript:alert(1)", "data:text/html,x", "JaVaScRiPt:1", " javascript:1", "//x", "vbscript:x", "java\nscript:1", ""]) {
      assert.equal(safeUrl(bad), null, bad);
    }
    const [block] = parse("[x](javascript:alert(1)) [y](https://a.example/b_(c)) https://a.example/?q=1.");
    assert.ok(block?.kind === "paragraph");
    const links = block.inner.filter((part) => part.kind === "link");
    assert.deepEqual(links.map((link) => link.url), ["https://a.example/b_(c)", "https://a.example/?q=1"]);
    assert.ok(text(block.inner).startsWith("[x](javascript:alert(1))"));
  });

  it("ends an address before Chinese punctuation", () => {
    const [block] = parse("请看https://a.example/退货。谢谢");
    assert.ok(block?.kind === "paragraph");
    assert.equal(block.inner.find((part) => part.kind === "link")?.url, new URL("https://a.example/退货").href);
  });

  it("keeps what is no markup, and comes to an end with what was made to be slow", () => {
    const [block] = parse("2 * 3 * 4 and snake_case and <img src=x onerror=alert(1)>");
    assert.ok(block?.kind === "paragraph" && text(block.inner) === "2 * 3 * 4 and snake_case and <img src=x onerror=alert(1)>");
    for (const hostile of ["*".repeat(4000), "[".repeat(4000), "`".repeat(4000), "**a".repeat(1300), "[a](".repeat(1000), "_ _".repeat(1300)]) {
      assert.ok(parse(hostile).length > 0);
    }
  });
});

describe("colours", () => {
  it("chooses a text that can be read on any colour", () => {
    for (const colour of ["#000000", "#ffffff", "#808080", "#4450c4", "#ffcc00", "#0f7350", "#e91e63"]) {
      assert.ok(contrast(colour, textOn(colour)) >= 4.5, colour);
      for (const ground of ["#ffffff", "#191b1e"]) assert.ok(contrast(readableOn(colour, ground), ground) >= 4.5, colour);
    }
  });
});

describe("messages between windows", () => {
  const source = {};
  const data = { mark: "rootstock.widget", type: "loaded" };
  it("are believed from exactly one window and one origin", () => {
    const hear = (event: object) => received<ToHost>(event as MessageEvent, source, "https://a.example");
    assert.ok(hear({ data, source, origin: "https://a.example" }));
    assert.equal(hear({ data, source: {}, origin: "https://a.example" }), null);
    assert.equal(hear({ data, source, origin: "https://a.example.evil" }), null);
    assert.equal(hear({ data, source, origin: "null" }), null);
    for (const other of [null, "x", { type: "loaded" }, { mark: "rootstock.widget" }]) {
      assert.equal(hear({ data: other, source, origin: "https://a.example" }), null);
    }
  });

  it("speak the language of the page", () => {
    assert.deepEqual(["zh", "zh-Hans-CN", "ZH-tw", "en-GB", "", "fr"].map(languageOf), ["zh", "zh", "zh", "en", "en", "en"]);
    assert.equal(inLanguage({ en: "Hello" }, "zh"), "Hello");
  });
});

/** A server that may be away, and timers that the test runs. */
function post(outcomes: (Error | null)[] = []) {
  const storage = new Map<string, string>();
  const sent: Outgoing[] = [];
  const timers: (() => void)[] = [];
  let ids = 0;
  const environment = {
    keeper: {
      getItem: (name: string) => storage.get(name) ?? null,
      setItem: (name: string, value: string) => void storage.set(name, value),
      removeItem: (name: string) => void storage.delete(name),
    },
    newId: () => `id-${++ids}`,
    now: () => "2026-01-01T00:00:00Z",
    setTimeout: (run: () => void) => timers.push(run),
    clearTimeout: () => undefined,
    send: async (message: Outgoing) => {
      sent.push(message);
      const outcome = outcomes.shift();
      if (outcome) throw outcome;
    },
    changed: () => undefined,
  };
  return { environment, sent, timers, storage, outbox: () => new Outbox("o", environment) };
}

const settle = () => new Promise((done) => setTimeout(done, 5));

describe("the outbox", () => {
  it("sends in order, one at a time, and keeps nothing that was taken", async () => {
    const { outbox, sent, storage } = post();
    const box = outbox();
    box.add({ body: "a", attachments: [] });
    box.add({ body: "b", attachments: [] });
    await settle();
    assert.deepEqual(sent.map((one) => one.body), ["a", "b"]);
    assert.equal(box.messages.length, 0);
    assert.equal(storage.size, 0);
  });

  it("sends again with the same id when the line was cut, before what was written later", async () => {
    const { outbox, sent, timers } = post([new NotNow("offline")]);
    const box = outbox();
    box.add({ body: "a", attachments: [] });
    await settle();
    box.add({ body: "b", attachments: [] });
    await settle();
    timers.forEach((run) => run());
    await settle();
    assert.deepEqual(sent.map((one) => one.body), ["a", "a", "b"]);
    assert.equal(sent[0]?.client_id, sent[1]?.client_id);
  });

  it("goes on after a reload", async () => {
    const { outbox, sent } = post([new NotNow("offline")]);
    outbox().add({ body: "a", attachments: ["f"] });
    await settle();
    const again = outbox();
    assert.equal(again.messages[0]?.body, "a");
    await again.flush();
    assert.deepEqual(sent.map((one) => one.client_id), ["id-1", "id-1"]);
  });

  it("says why something was refused and lets the rest pass", async () => {
    const { outbox, sent } = post([new Refused("too long")]);
    const box = outbox();
    box.add({ body: "a", attachments: [] });
    box.add({ body: "b", attachments: [] });
    await settle();
    assert.deepEqual(box.messages.map((one) => [one.body, one.refused]), [["a", "too long"]]);
    box.retry("id-1");
    await settle();
    assert.equal(sent.length, 3);
    assert.equal(box.messages.length, 0);
  });

  it("works where the browser gives no storage, and forgives what is in it", async () => {
    const page: [string, string | null][] = [];
    const none = keeper(
      () => {
        throw new Error("forbidden");
      },
      told({ before: "0" }, (name, value) => page.push([name, value])),
    );
    assert.equal(none.getItem("before"), "0");
    none.setItem("a", "1");
    assert.equal(none.getItem("a"), "1");
    none.removeItem("a");
    none.removeItem("a");
    assert.equal(none.getItem("a"), null);
    assert.deepEqual(page, [["a", "1"], ["a", null]]); // prettier-ignore
    const { outbox, storage } = post();
    for (const broken of ["{", "null", '[{"x":1}]', "[null]"]) {
      storage.set("o", broken);
      assert.equal(outbox().messages.length, 0, broken);
    }
  });
});

const TALK: Talk = { id: "t", status: "assistant", agent: null, last_sequence: 0, visitor_read: 0, people_read: 0, csat: null };

function message(sequence: number, values: Partial<Message> = {}): Message {
  const author = sequence % 2 ? ("visitor" as const) : ("assistant" as const);
  return {
    id: `m${sequence}`, sequence, author, agent: null, body: `body ${sequence}`, state: "done", citations: [], choices: [], kind: "",
    created_at: "2026-01-01T00:00:00Z", client_id: "", in_reply_to: null, attachments: [], thumb: null, ...values,
  }; // prettier-ignore
}

describe("the conversation", () => {
  const begun = () => {
    const conversation = new Conversation();
    conversation.load(TALK, [message(1), message(2, { state: "streaming", body: "" })]);
    return conversation;
  };
  const piece = (index: number, piece: string, attempt = 1) => ({ message: "m2", attempt, index, text: piece });

  it("puts an answer together from its pieces, each once", () => {
    const conversation = begun();
    assert.equal(conversation.apply("chunk", piece(0, "Thir")), "text");
    assert.equal(conversation.apply("chunk", piece(1, "ty ")), "text");
    assert.equal(conversation.apply("chunk", piece(1, "ty ")), null);
    conversation.apply("chunk", piece(2, "days"));
    assert.equal(conversation.message("m2")?.body, "Thirty days");
  });

  it("begins anew when another worker takes over, and no longer hears the first", () => {
    const conversation = begun();
    conversation.apply("chunk", piece(0, "Half an ans"));
    conversation.apply("message", message(2, { state: "streaming", body: "" }));
    conversation.apply("chunk", piece(0, "All of", 2));
    assert.equal(conversation.apply("chunk", piece(1, "wer", 1)), null);
    conversation.apply("chunk", piece(1, " it", 2));
    assert.equal(conversation.message("m2")?.body, "All of it");
  });

  it("goes on with an answer that was loaded half written", () => {
    const conversation = new Conversation();
    conversation.load(TALK, [message(2, { state: "streaming", body: "Thirty" })]);
    conversation.apply("chunk", piece(4, " days"));
    assert.equal(conversation.message("m2")?.body, "Thirty days");
    conversation.apply("message", message(2, { body: "Thirty days.[1]" }));
    assert.equal(conversation.apply("chunk", piece(5, "x")), null);
    assert.equal(conversation.message("m2")?.body, "Thirty days.[1]");
  });

  it("takes pieces of a text that was loaded further than they go", () => {
    const conversation = begun();
    conversation.apply("chunk", piece(0, "Thir"));
    conversation.apply("message", message(2, { state: "streaming", body: "Thirty days" }));
    conversation.apply("chunk", piece(1, "ty "));
    assert.equal(conversation.message("m2")?.body, "Thirty days");
    conversation.apply("chunk", piece(2, "days "));
    conversation.apply("chunk", piece(3, "at home"));
    assert.equal(conversation.message("m2")?.body, "Thirty days at home");
  });

  it("shows of several answers to a question the last", () => {
    const conversation = new Conversation();
    conversation.load(TALK, [message(1), message(2, { in_reply_to: "m1" }), message(4, { in_reply_to: "m1" })]);
    assert.deepEqual(conversation.shown.map((one) => one.id), ["m1", "m4"]);
  });

  it("knows what is unread, and never goes back", () => {
    const conversation = begun();
    assert.equal(conversation.unread, 1);
    conversation.apply("read", { side: "visitor", sequence: 2 });
    assert.equal(conversation.unread, 0);
    assert.equal(conversation.apply("read", { side: "visitor", sequence: 1 }), null);
    conversation.apply("status", { status: "assigned", agent: "Mei" });
    assert.equal(conversation.talk?.agent, "Mei");
    conversation.apply("rated", { message: "m2", thumb: 1 });
    assert.equal(conversation.message("m2")?.thumb, 1);
  });

  it("makes buttons of choices and not of marks", () => {
    assert.deepEqual(buttonsOf([{ label: "Yes", value: "y" }, { label: "No" }, { kind: "hand-off" }]), [
      { label: "Yes", value: "y" },
      { label: "No", value: "No" },
    ]);
  });
});
