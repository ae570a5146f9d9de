import t from "tap";
import { task } from "../../src/core/task.js";
import { runFlow } from "../../src/engine/flow-runner.js";
import { type LocalPortsOptions, localPorts, systemClock } from "../../src/engine/local/local-ports.js";
import { define } from "./bed.js";

const inc = task("inc", (value: number) => value + 1);

function run(build: () => unknown, options: LocalPortsOptions = {}) {
  const scheduledStartAt = new Date().toISOString();
  const local = { flowRunId: "run", flowRunName: "run", flowId: null, parameters: {}, scheduledStartAt, taskRuns: [] };
  return runFlow(define(build), local, localPorts(options));
}

t.test("a flow runs with no Cloud, and its states can be watched", async (t) => {
  const seen: string[] = [];
  const { output, state } = await run(() => inc.map([1, 2]), {
    onState: ({ taskSlug, mapIndex, state }) => seen.push(`${taskSlug} ${mapIndex} ${state.type}`),
  });
  t.same(output, [2, 3]);
  t.equal(state.type, "Success");
  t.equal(seen[0], "null -1 Running");
  t.equal(seen.at(-1), "null -1 Success");
});

t.test("a value of any kind may pass between tasks", async (t) => {
  const call = task("call", (f: () => number) => f());
  t.equal((await run(() => call(task("make", () => () => 4)()))).output, 4);
});

t.test("a retry really waits, and a timeout really fires", async (t) => {
  let tries = 0;
  const slow = task("slow", { retries: 1, retryDelayMs: 20, timeoutMs: 20 }, () => {
    tries += 1;
    return tries === 1 ? new Promise<number>(() => {}) : tries;
  });
  const from = performance.now();
  const { output } = await run(() => slow());
  t.equal(output, 2);
  t.ok(performance.now() - from >= 38);
});

t.test("an aborted signal cancels the run", async (t) => {
  const stop = new AbortController();
  const never = task("never", () => {
    setImmediate(() => stop.abort());
    return new Promise<number>(() => {});
  });
  const quick = never.with({ timeoutMs: 50 });
  t.equal((await run(() => quick(), { signal: stop.signal })).state.type, "Cancelled");
});

t.test("a long chain of tasks that never wait lets the host's timers run", async (t) => {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  t.teardown(() => clearInterval(timer));
  const burn = task("burn", (value: number) => {
    const until = performance.now() + 1;
    while (performance.now() < until);
    return value + 1;
  });
  await run(() => {
    let last = burn(0);
    for (let index = 0; index < 100; index += 1) last = burn(last);
    return last;
  });
  t.ok(turns >= 4, `${turns} turns`);
});

t.test("the clock's sleep ends with its signal's reason, also one that fired before", async (t) => {
  const stop = new AbortController();
  const sleep = systemClock.sleep(60_000, stop.signal);
  const reason = new Error("enough");
  stop.abort(reason);
  await t.rejects(sleep, reason);
  await t.rejects(systemClock.sleep(1, stop.signal), reason);
});

t.test("the clock sleeps longer than one timer can", async (t) => {
  const stop = new AbortController();
  let woke = false;
  const sleep = systemClock.sleep(2 ** 33, stop.signal).then(() => {
    woke = true;
  });
  await systemClock.sleep(20, new AbortController().signal);
  t.equal(woke, false);
  stop.abort(new Error("enough"));
  await t.rejects(sleep, /enough/);
});
