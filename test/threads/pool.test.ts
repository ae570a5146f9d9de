import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { ThreadPool, type ThreadPoolOptions } from "../../src/threads/pool.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";
import { RecordingHost, requestFor, savedFixture } from "../helpers/run-request.js";

await temporaryHome(t);
const never = new AbortController().signal;

function openPool(
  t: { teardown(fn: () => Promise<void>): void },
  options: Partial<ThreadPoolOptions> = {},
): ThreadPool {
  const env = { PATH: process.env.PATH!, MILLRACE_HOME: process.env.MILLRACE_HOME! };
  const pool = new ThreadPool({ threads: 2, env, ...options });
  t.teardown(() => pool.close());
  return pool;
}

interface RunOptions {
  parameters?: Record<string, unknown>;
  freshThread?: boolean;
  maxHeapMb?: number;
  signal?: AbortSignal;
  host?: RecordingHost;
}

async function run(pool: ThreadPool, fixture: string, options: RunOptions = {}) {
  const {
    parameters = {},
    freshThread = false,
    maxHeapMb = null,
    signal = never,
    host = new RecordingHost(),
  } = options;
  const reply = await pool.run(await requestFor(fixture, parameters), host, { freshThread, maxHeapMb, signal });
  return { reply, host };
}

t.test("a flow runs on a thread, and its states come in order", async (t) => {
  const { reply, host } = await run(openPool(t), "hello", { parameters: { name: "Ada" } });
  t.same(reply, { outcome: "done", state: "Success" });
  const { states } = host;
  t.same(states, [
    "Running",
    "name:Success",
    "greet-1:Running",
    "greet-1:Success",
    "shout-1:Running",
    "shout-1:Success",
    "Success",
  ]);
  t.ok(host.reports.length <= 3, "a task's Success travels with the next one's Running");
});

t.test("a thread serves the next run of the same flow, and freshThread gives a run its own", async (t) => {
  const pool = openPool(t);
  const lines = [];
  for (const freshThread of [false, false, true, false]) {
    const { host } = await run(pool, "counts-runs", { freshThread });
    lines.push(host.logs[0]!.replace(/ on.*/, ""));
  }
  t.same(lines, ["run 1", "run 2", "run 1", "run 3"]);
  t.same(pool.counts, { busy: 0, idle: 1 });
});

t.test("a thread on which the flow did not load is not used again", async (t) => {
  const pool = openPool(t, { threads: 1 });
  await savedFixture("loads-when-ready");
  const notReady = join(process.env.MILLRACE_HOME!, "not-ready");
  await writeFile(notReady, "");
  t.match((await run(pool, "loads-when-ready")).reply, {
    outcome: "not started",
    failure: { code: "FLOW_LOAD_FAILED", message: /starting up/ },
  });
  t.same(pool.counts, { busy: 0, idle: 0 });
  await rm(notReady);
  t.same((await run(pool, "loads-when-ready")).reply, { outcome: "done", state: "Success" });
});

t.test("a run that waits for a thread is stopped by its signal at once", async (t) => {
  const pool = openPool(t, { threads: 1 });
  const busy = new AbortController();
  const waits = new AbortController();
  const host = new RecordingHost();
  const first = run(pool, "sleeps", { signal: busy.signal, host });
  await eventually(() => host.states.includes("sleep-1:Running"));
  const second = run(pool, "hello", { signal: waits.signal });
  second.catch(() => {});
  await requestFor("hello");
  waits.abort(new Error("stop the second"));
  await t.rejects(second, { message: "stop the second" });
  t.same(pool.counts, { busy: 1, idle: 0 }, "while the first one goes on");
  await t.rejects(run(pool, "hello", { signal: waits.signal }), { message: "stop the second" });
  busy.abort(new Error("stop the first"));
  await t.rejects(first, { message: "stop the first" });
});

t.test("a run that is stopped just when it is woken passes its turn on", async (t) => {
  const stop = new AbortController();
  const pool = openPool(t, { threads: 1, onReplaced: () => stop.abort(new Error("stop")) });
  await Promise.all([savedFixture("leaks-timer"), savedFixture("hello")]);
  const first = run(pool, "leaks-timer");
  const second = t.rejects(run(pool, "hello", { signal: stop.signal }), { message: "stop" });
  const third = run(pool, "hello");
  t.same((await first).reply, { outcome: "done", state: "Success" });
  await second;
  t.same((await third).reply, { outcome: "done", state: "Success" });
});

t.test("all flows together stay under one cap, and the longest idle thread makes room", async (t) => {
  const pool = openPool(t);
  for (const fixture of ["hello", "counts-runs", "sleeps"])
    await run(pool, fixture, { parameters: fixture === "sleeps" ? { ms: 1 } : {} });
  t.same(pool.counts, { busy: 0, idle: 2 });
  const { host } = await run(pool, "counts-runs");
  t.match(host.logs[0], /^run 2/, "the one that was used since is still there");
  const many = Array.from({ length: 10 }, (_, at) => run(pool, at % 2 ? "hello" : "counts-runs"));
  t.ok(
    (await Promise.all(many)).every(({ reply }) => reply.outcome === "done"),
    "more runs than threads wait their turn",
  );
});

t.test("an idle thread is ended after a while", async (t) => {
  const pool = openPool(t, { idleThreadMs: 20 });
  await run(pool, "hello");
  await eventually(() => pool.counts.idle === 0);
  t.same((await run(pool, "hello")).reply, { outcome: "done", state: "Success" });
});

t.test("a busy loop is stopped by the signal while a neighbour goes on", async (t) => {
  const pool = openPool(t);
  const stop = new AbortController();
  const neighbour = run(pool, "sleeps", { parameters: { ms: 500 } });
  const host = new RecordingHost();
  const loop = run(pool, "busy-loop", { signal: stop.signal, host });
  await eventually(() => host.states.includes("spin-1:Running"));
  stop.abort(new Error("enough"));
  await t.rejects(loop, { message: "enough" });
  t.same((await neighbour).reply, { outcome: "done", state: "Success" });
  t.same((await run(pool, "hello")).reply, { outcome: "done", state: "Success" });
});

const deaths: Record<string, { fixture: string; maxHeapMb?: number; error: object }> = {
  "process.exit": {
    fixture: "exits-process",
    error: { code: "WORKER_EXITED", message: /process\.exit\(3\)/, details: { exitCode: 3 } },
  },
  "an uncaught error": {
    fixture: "throws-uncaught",
    error: {
      code: "WORKER_UNCAUGHT",
      cause: {
        name: "RangeError",
        message: "the socket fell over",
        code: "E_SOCKET",
        stack: /throws-uncaught\.ts:\d+/,
      },
    },
  },
  "a lost promise": {
    fixture: "loses-promise",
    error: {
      code: "WORKER_UNCAUGHT",
      cause: { name: "TypeError", message: "nobody awaits this", stack: /loses-promise\.ts:\d+/ },
    },
  },
  "too large a heap": {
    fixture: "grows-heap",
    maxHeapMb: 32,
    error: { code: "WORKER_OUT_OF_MEMORY", message: /32 MiB/, details: { maxHeapMb: 32 } },
  },
};

for (const [what, { fixture, error, ...options }] of Object.entries(deaths)) {
  t.test(`${what} ends its own run with the true cause, and the neighbour goes on`, async (t) => {
    const pool = openPool(t);
    const neighbour = run(pool, "sleeps", { parameters: { ms: 300 } });
    await t.rejects(run(pool, fixture, options), error as Error);
    t.same((await neighbour).reply, { outcome: "done", state: "Success" });
    t.same((await run(pool, "hello")).reply, { outcome: "done", state: "Success" });
  });
}

t.test("a thread on which a run left a timer and a listener is replaced", async (t) => {
  const left: unknown[] = [];
  const pool = openPool(t, { onReplaced: (flowName, leftovers) => left.push(flowName, leftovers) });
  t.same((await run(pool, "leaks-timer")).reply, { outcome: "done", state: "Success" });
  t.same(left, ["leaks timer", ["1 Timeout", "1 listener of exit"]]);
  t.same(pool.counts, { busy: 0, idle: 0 });
});

t.test(
  "an error that comes after its run's end does not touch the next run, and the thread is replaced behind it",
  async (t) => {
    const left: unknown[] = [];
    const pool = openPool(t, { threads: 1, onReplaced: (_, leftovers) => left.push(leftovers) });
    t.same((await run(pool, "throws-late", { parameters: { delayMs: 30 } })).reply, {
      outcome: "done",
      state: "Success",
    });
    t.same(left, [], "an unreferenced timer is not seen");
    t.same((await run(pool, "throws-late", { parameters: { waitMs: 100 } })).reply, {
      outcome: "done",
      state: "Success",
    });
    t.same(left, [["an error after its run had ended"]]);
  },
);

t.test("a flow that handles uncaught errors itself goes on; its handler costs it the thread", async (t) => {
  const left: unknown[] = [];
  const pool = openPool(t, { onReplaced: (_, leftovers) => left.push(leftovers) });
  const { reply, host } = await run(pool, "handles-uncaught");
  t.same(reply, { outcome: "done", state: "Success" });
  t.same(host.logs, ["handled: out of nowhere"]);
  t.same(left, [["1 listener of uncaughtException"]]);
});

t.test("process.exit() that comes after its run's end does not touch the next run", async (t) => {
  const left: unknown[] = [];
  const pool = openPool(t, { threads: 1, onReplaced: (_, leftovers) => left.push(leftovers) });
  await run(pool, "exits-late", { parameters: { exit: "exit" } });
  t.same((await run(pool, "exits-late", { parameters: { waitMs: 100 } })).reply, { outcome: "done", state: "Success" });
  t.same(left, [["an error after its run had ended"]]);
});

t.test("a run whose thread dies of an earlier run before it began runs on another one", async (t) => {
  const pool = openPool(t, { threads: 1 });
  await run(pool, "exits-late", { parameters: { exit: "reallyExit", blockMs: 200 } });
  // The thread is blocked by then, and gone before it takes the next run up.
  await new Promise((resolve) => setTimeout(resolve, 60));
  const { reply, host } = await run(pool, "exits-late");
  t.same(reply, { outcome: "done", state: "Success" });
  t.equal(host.states.filter((state) => state === "Running").length, 1);
});

t.test("closing the pool ends the runs on it", async (t) => {
  const pool = openPool(t);
  const host = new RecordingHost();
  const running = run(pool, "sleeps", { host });
  const rejected = t.rejects(running);
  await eventually(() => host.states.includes("sleep-1:Running"));
  await pool.close();
  await rejected;
  await t.rejects(run(pool, "hello"), { code: "RUN_STOPPED" });
});
