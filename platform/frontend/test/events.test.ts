import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ConnectionState, type Environment, EventClient, type Socket } from "../src/lib/events";

/** A server that keeps numbered events, and a clock that the test moves. */
class World implements Environment {
  time = 0;
  isOnline = true;
  refuse = false;
  kept = new Map<string, number[]>();
  firstKept = 1;
  sockets: FakeSocket[] = [];
  asked: { stream: string; last_event_id: number | null }[] = [];
  answersPing = true;
  private timers = new Map<number, { at: number; run: () => void }>();
  private nextTimer = 1;

  connect(): Socket {
    if (this.refuse) throw new Error("refused");
    const socket = new FakeSocket(this);
    this.sockets.push(socket);
    return socket;
  }
  random(): number {
    return 0.999;
  }
  now(): number {
    return this.time;
  }
  setTimeout(run: () => void, delay: number): unknown {
    const id = this.nextTimer++;
    this.timers.set(id, { at: this.time + delay, run });
    return id;
  }
  clearTimeout(timer: unknown): void {
    this.timers.delete(timer as number);
  }
  online(): boolean {
    return this.isOnline;
  }
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].run();
    }
    this.time = end;
  }
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    assert.ok(socket, "nothing connected");
    return socket;
  }
  head(stream: string): number {
    return this.kept.get(stream)?.at(-1) ?? 0;
  }
  /** Appends n events and sends them to whoever listens, unless they are lost on the way. */
  append(stream: string, n: number, lost: (id: number) => boolean = () => false): void {
    for (let i = 0; i < n; i++) {
      const id = this.head(stream) + 1;
      this.kept.set(stream, [...(this.kept.get(stream) ?? []), id]);
      if (!lost(id)) for (const socket of this.sockets) socket.push(stream, id);
    }
  }
}

class FakeSocket implements Socket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  subscribed = new Set<string>();

  constructor(private readonly world: World) {}
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  fail(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  close(): void {
    this.readyState = 3;
  }
  frame(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  push(stream: string, id: number): void {
    if (this.readyState === 1 && this.subscribed.has(stream)) {
      this.frame({ type: "event", stream, id, event: "e", data: { id }, at: "" });
    }
  }
  send(text: string): void {
    const frame = JSON.parse(text) as { action: string; stream: string; last_event_id: number | null };
    if (frame.action === "ping") {
      if (this.world.answersPing) this.frame({ type: "pong" });
      return;
    }
    if (frame.action === "unsubscribe") {
      this.subscribed.delete(frame.stream);
      return;
    }
    this.world.asked.push({ stream: frame.stream, last_event_id: frame.last_event_id });
    const start = frame.last_event_id ?? this.world.head(frame.stream);
    this.subscribed.add(frame.stream);
    this.frame({ type: "subscribed", stream: frame.stream, last_event_id: start });
    if (start + 1 < this.world.firstKept) {
      this.frame({ type: "reset", stream: frame.stream, last_event_id: this.world.head(frame.stream) });
      return;
    }
    for (const id of this.world.kept.get(frame.stream) ?? []) if (id > start) this.push(frame.stream, id);
  }
}

function listen(client: EventClient, stream: string, last: number | null) {
  const seen: number[] = [];
  const resets: number[] = [];
  const stop = client.subscribe(stream, last, (event) => seen.push(event.id), (id) => resets.push(id));
  return { seen, resets, stop };
}

function setUp() {
  const world = new World();
  const client = new EventClient(world);
  const states: ConnectionState[] = [];
  client.watch((state) => states.push(state));
  return { world, client, states };
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("event client", () => {
  it("replays from the last event and goes on", () => {
    const { world, client } = setUp();
    world.append("s", 3);
    const { seen } = listen(client, "s", 1);
    world.socket.open();
    world.append("s", 2);
    assert.deepEqual(seen, [2, 3, 4, 5]);
  });

  it("starts at now without a last event, and from there after a cut", () => {
    const { world, client } = setUp();
    world.append("s", 3);
    const { seen } = listen(client, "s", null);
    world.socket.open();
    world.socket.fail();
    world.append("s", 2);
    world.advance(1_000);
    world.socket.open();
    assert.deepEqual(seen, [4, 5]);
    assert.deepEqual(world.asked.at(-1), { stream: "s", last_event_id: 3 });
  });

  it("gives each event once over a connection that is cut again and again", () => {
    const { world, client } = setUp();
    const { seen } = listen(client, "s", 0);
    world.socket.open();
    for (let round = 0; round < 20; round++) {
      world.append("s", 7);
      world.socket.fail();
      world.append("s", 5);
      world.advance(40_000);
      world.socket.open();
    }
    assert.deepEqual(seen, upTo(240));
  });

  it("drops repeats", () => {
    const { world, client } = setUp();
    const { seen } = listen(client, "s", 0);
    world.socket.open();
    world.append("s", 3);
    world.socket.push("s", 2);
    world.socket.push("s", 3);
    assert.deepEqual(seen, [1, 2, 3]);
  });

  it("asks again for what was lost on the way, and keeps the order", () => {
    const { world, client } = setUp();
    const { seen } = listen(client, "s", 0);
    world.socket.open();
    world.append("s", 10, (id) => id === 4 || id === 5 || id === 9);
    world.append("s", 1);
    assert.deepEqual(seen, upTo(11));
  });

  it("ignores what was still under way when it asked again", () => {
    const { world, client } = setUp();
    const { seen } = listen(client, "s", 0);
    world.socket.open();
    world.append("s", 2);
    const socket = world.socket;
    const send = socket.send.bind(socket);
    let held = "";
    socket.send = (text) => {
      held = text;
    };
    world.append("s", 3, (id) => id === 3); // 3 is lost; 4 asks again; 5 comes before the answer
    socket.send = send;
    socket.send(held);
    assert.deepEqual(seen, upTo(5));
  });

  it("tells each listener of a reset and goes on from there", () => {
    const { world, client } = setUp();
    world.append("s", 50);
    world.firstKept = 40;
    const { seen, resets } = listen(client, "s", 10);
    world.socket.open();
    world.append("s", 2);
    assert.deepEqual(resets, [50]);
    assert.deepEqual(seen, [51, 52]);
  });

  it("serves two listeners of one stream each from its own place", () => {
    const { world, client } = setUp();
    world.append("s", 5);
    const first = listen(client, "s", 4);
    world.socket.open();
    const second = listen(client, "s", 1);
    world.append("s", 1);
    assert.deepEqual(first.seen, [5, 6]);
    assert.deepEqual(second.seen, [2, 3, 4, 5, 6]);
    assert.equal(world.sockets.length, 1);
  });

  it("waits longer after each failure, at most 30 s, and starts afresh after a success", () => {
    const { world, client } = setUp();
    listen(client, "s", null);
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      const before = world.sockets.length;
      const start = world.time;
      world.socket.fail();
      while (world.sockets.length === before) world.advance(50);
      waits.push(world.time - start);
    }
    assert.ok(waits.every((wait, i) => i === 0 || wait >= (waits[i - 1] ?? 0) - 50), String(waits));
    assert.ok(Math.max(...waits) <= 30_050, String(waits));
    world.socket.open();
    world.socket.fail();
    const before = world.sockets.length;
    world.advance(600);
    assert.equal(world.sockets.length, before + 1);
  });

  it("keeps trying when connecting throws", () => {
    const { world, client, states } = setUp();
    world.refuse = true;
    listen(client, "s", null);
    world.advance(5_000);
    world.refuse = false;
    world.advance(30_000);
    world.socket.open();
    assert.equal(states.at(-1), "open");
  });

  it("notices within 20 s that nobody answers", () => {
    const { world, client, states } = setUp();
    const { seen } = listen(client, "s", 0);
    world.socket.open();
    world.advance(120_000);
    assert.equal(world.sockets.length, 1, "answered pings keep it");
    world.answersPing = false;
    world.advance(20_000);
    assert.equal(states.at(-1), "reconnecting");
    world.answersPing = true;
    world.append("s", 2);
    world.advance(1_000);
    world.socket.open();
    assert.deepEqual(seen, [1, 2]);
  });

  it("does not wait when the network comes back", () => {
    const { world, client, states } = setUp();
    listen(client, "s", 0);
    world.socket.open();
    world.isOnline = false;
    client.sleep();
    assert.equal(states.at(-1), "offline");
    world.advance(60_000);
    assert.equal(world.sockets.length, 1);
    world.isOnline = true;
    client.wake();
    assert.equal(world.sockets.length, 2);
  });

  it("finds out soon after waking whether an open socket still lives", () => {
    const { world, client, states } = setUp();
    listen(client, "s", 0);
    world.socket.open();
    world.answersPing = false;
    client.wake();
    world.advance(7_000);
    assert.equal(states.at(-1), "reconnecting");
  });

  it("stops when the session has ended", () => {
    const { world, client, states } = setUp();
    listen(client, "s", 0);
    world.socket.open();
    world.socket.fail(4401);
    world.advance(120_000);
    client.wake();
    assert.equal(states.at(-1), "signed-out");
    assert.equal(world.sockets.length, 1);
  });

  it("closes the socket with the last listener", () => {
    const { world, client, states } = setUp();
    const a = listen(client, "a", 0);
    const b = listen(client, "b", 0);
    world.socket.open();
    a.stop();
    assert.deepEqual([...world.socket.subscribed], ["b"]);
    b.stop();
    assert.equal(states.at(-1), "idle");
    assert.equal(world.socket.readyState, 3);
    world.advance(60_000);
    assert.equal(world.sockets.length, 1);
  });

  it("goes on when a listener throws", () => {
    const { world, client } = setUp();
    const errors: unknown[] = [];
    const report = console.error;
    console.error = (error) => errors.push(error);
    try {
      client.subscribe("s", 0, () => assert.fail("a page's mistake"), () => undefined);
      const { seen } = listen(client, "s", 0);
      world.socket.open();
      world.append("s", 3);
      assert.deepEqual(seen, [1, 2, 3]);
      assert.equal(errors.length, 3);
    } finally {
      console.error = report;
    }
  });
});
