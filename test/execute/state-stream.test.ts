import t from "tap";
import { type FailureRecord, toFailure } from "../../src/codec/failure.js";
import { MillraceError } from "../../src/core/errors.js";
import { makeState, type State } from "../../src/core/state.js";
import { MAX_WAITING_LOGS, StateStream } from "../../src/execute/state-stream.js";
import { checkCall } from "../../src/threads/check-call.js";
import { MAX_MESSAGE_CHARS, MAX_REPORT_STATES } from "../../src/threads/limits.js";
import type { HostAnswer, RunHost, RunReport } from "../../src/threads/messages.js";

/** A host that answers when told to. */
class SlowHost implements RunHost {
  readonly reports: RunReport[] = [];
  #answers: ((failure: FailureRecord | null) => void)[] = [];

  report(report: RunReport): Promise<FailureRecord | null> {
    const raw = {
      id: "1",
      type: "APPLY",
      path: ["report"],
      argumentList: [{ type: "RAW", value: structuredClone(report) }],
    };
    const checked = checkCall(raw);
    if ("problem" in checked) throw new Error(checked.problem);
    this.reports.push(report);
    return new Promise((resolve) => this.#answers.push(resolve));
  }

  ask(): Promise<HostAnswer> {
    return new Promise(() => {});
  }

  stopped(): Promise<FailureRecord> {
    return new Promise(() => {});
  }

  /** Answers the report under way, and lets everything that hangs on it happen. */
  async answer(failure: FailureRecord | null = null): Promise<void> {
    this.#answers.shift()!(failure);
    await turn();
  }

  get sent(): string[][] {
    return this.reports.map(({ states }) =>
      states.map(({ taskRun, state }) => `${taskRun?.taskSlug ?? "flow"} ${state.type}`),
    );
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const change = (taskSlug: string, state: State, version = 0) => ({
  taskRunId: `id of ${taskSlug}`,
  taskSlug,
  mapIndex: -1,
  version,
  state,
});
const running = makeState("Running", null);
const success = makeState("Success", null);
const line = (message: string) =>
  ({ at: "2026-11-23T10:00:00.000Z", level: "INFO", name: "millrace.t", message, taskRunId: null }) as const;

t.test("what happens within a tick travels together, across promise callbacks", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  void stream.flowRun({ state: running });
  await null;
  await null;
  void stream.taskRun(change("a", running));
  stream.log(line("hello"));
  await turn();
  t.same(host.sent, [["flow Running", "a Running"]]);
  t.match(host.reports[0]?.logs, [{ message: "hello" }]);
  await host.answer();
  await stream.flushed();
});

t.test("one report is under way at a time, and the next one gathers meanwhile", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  const first = stream.taskRun(change("a", running));
  await turn();
  void stream.taskRun(change("b", running));
  await turn();
  void stream.taskRun(change("c", running));
  await turn();
  t.same(host.sent, [["a Running"]]);
  await host.answer();
  await first;
  t.same(host.sent, [["a Running"], ["b Running", "c Running"]]);
  await host.answer();
  await stream.flushed();
});

t.test("a task's Success and the next task's Running travel together", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  const chain = (async () => {
    await stream.taskRun(change("a", running));
    void stream.taskRun(change("a", success, 1));
    await null;
    await stream.taskRun(change("b", running));
  })();
  await turn();
  await host.answer();
  await host.answer();
  await chain;
  t.same(host.sent, [["a Running"], ["a Success", "b Running"]]);
});

t.test("each promise resolves when its own batch was accepted, and not before", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  const done: string[] = [];
  void stream.taskRun(change("a", running)).then(() => done.push("a"));
  await turn();
  void stream.taskRun(change("b", running)).then(() => done.push("b"));
  await turn();
  t.same(done, []);
  await host.answer();
  t.same(done, ["a"]);
  await host.answer();
  t.same(done, ["a", "b"]);
});

t.test("a refusal rejects its batch, all that waits, and all that comes later; it is told once", async (t) => {
  const host = new SlowHost();
  const broken: Error[] = [];
  const stream = new StateStream(host, (error) => broken.push(error));
  const rejected = [stream.taskRun(change("a", running))].map((each) => t.rejects(each, { code: "RUN_LEASE_LOST" }));
  await turn();
  rejected.push(t.rejects(stream.taskRun(change("b", running)), { code: "RUN_LEASE_LOST" }));
  await host.answer(toFailure(new MillraceError("RUN_LEASE_LOST", "taken over")));
  rejected.push(t.rejects(stream.flowRun({ state: success }), { code: "RUN_LEASE_LOST" }));
  await Promise.all(rejected);
  stream.log(line("nobody hears this"));
  await stream.flushed();
  t.match(broken, [{ code: "RUN_LEASE_LOST" }]);
  t.equal(host.reports.length, 1);
});

t.test("flushed waits for log lines too", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  stream.log(line("last words"));
  let flushed = false;
  const waiting = stream.flushed().then(() => {
    flushed = true;
  });
  await turn();
  t.notOk(flushed);
  await host.answer();
  await waiting;
});

t.test("many states go in several reports, all of them, in order", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  const count = MAX_REPORT_STATES * 2 + 5;
  const all = Array.from({ length: count }, (_, at) => stream.taskRun(change(`t${at}`, running)));
  await turn();
  for (let report = 0; report < 3; report++) await host.answer();
  await Promise.all(all);
  t.same(
    host.sent.flat(),
    Array.from({ length: count }, (_, at) => `t${at} Running`),
  );
  t.same(
    host.reports.map(({ states }) => states.length),
    [MAX_REPORT_STATES, MAX_REPORT_STATES, 5],
  );
});

t.test("lines beyond the limit are dropped, counted, and told of in the log", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  stream.log(line("first"));
  await turn();
  for (let at = 0; at < MAX_WAITING_LOGS + 7; at++) stream.log(line(`line ${at}`));
  while (host.reports.length < 100) {
    const before = host.reports.length;
    await host.answer();
    if (host.reports.length === before) break;
  }
  await stream.flushed();
  const messages = host.reports.flatMap(({ logs }) => logs.map(({ message }) => message));
  t.equal(messages.length, 1 + MAX_WAITING_LOGS + 1);
  t.match(messages.at(-1), /^7 log lines were dropped/);
});

t.test("long messages and log lines are cut, with a note", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  void stream.flowRun({ state: makeState("Failed", "x".repeat(MAX_MESSAGE_CHARS * 2)) });
  stream.log(line("y".repeat(MAX_MESSAGE_CHARS * 2)));
  await turn();
  const [{ states, logs } = { states: [], logs: [] }] = host.reports;
  for (const text of [states[0]?.state.message, logs[0]?.message]) {
    t.match(text, /characters, cut here\)$/);
    t.equal((text as string).length, MAX_MESSAGE_CHARS);
  }
  await host.answer();
});

t.test("a context that is no JSON, or too large, is made one or left out", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  const contexts = [{ at: new Date(0), map: new Map(), no: undefined }, { big: 1n }, { text: "x".repeat(2_000_000) }];
  for (const context of contexts) void stream.flowRun({ state: makeState("Failed", "m", { context }) });
  await turn();
  const sent = host.reports[0]?.states.map(({ state }) => state.context);
  t.same(sent, [{ at: "1970-01-01T00:00:00.000Z", map: {} }, undefined, undefined]);
  await host.answer();
});

t.test(
  "a context that the main thread would refuse is left out: nested too deeply, or of too many values",
  async (t) => {
    const host = new SlowHost();
    const stream = new StateStream(host);
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    for (const value of [nested(30), nested(31), new Array(19_990).fill(1), new Array(20_000).fill(1)])
      void stream.flowRun({ state: makeState("Failed", "m", { context: { value } }) });
    await turn();
    const argument = { type: "RAW", value: host.reports[0] };
    t.same(checkCall({ id: "1", type: "APPLY", path: ["report"], argumentList: [argument] }), { method: "report" });
    const kept = host.reports[0]?.states.map(({ state }) => state.context !== undefined);
    t.same(kept, [true, false, true, false]);
    await host.answer();
  },
);

t.test("a state that is too large in itself is refused with a hint, and the others go on", async (t) => {
  const host = new SlowHost();
  const stream = new StateStream(host);
  const large = makeState("Success", null, { result: { type: "PrefectResult", location: "x".repeat(2_000_000) } });
  await t.rejects(stream.taskRun(change("a", large)), { code: "STATE_REFUSED", hint: /results/ });
  void stream.taskRun(change("b", running));
  await turn();
  t.same(host.sent, [["b Running"]]);
  await host.answer();
});
