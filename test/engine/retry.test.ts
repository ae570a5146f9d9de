import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { task } from "../../src/core/task.js";
import { FakeClock, finish, settled, start } from "./bed.js";

const SECOND = 1_000;

/** A task that fails as often as it is told, and then returns how often it ran. */
function failsTimes(times: number, options = {}) {
  return task("flaky", options, () => {
    const { runCount } = taskContext();
    if (runCount <= times) throw new Error(`try ${runCount}`);
    return runCount;
  });
}

const cases: { title: string; fails: number; retries: number; types: string[]; tries: number }[] = [
  { title: "a task without retries fails at once", fails: 1, retries: 0, types: ["Running", "Failed"], tries: 1 },
  {
    title: "a task that fails once is tried again",
    fails: 1,
    retries: 3,
    types: ["Running", "Retrying", "Running", "Success"],
    tries: 2,
  },
  {
    title: "a task fails when its retries are used up",
    fails: 9,
    retries: 2,
    types: ["Running", "Retrying", "Running", "Retrying", "Running", "Failed"],
    tries: 3,
  },
];

for (const { title, fails, retries, types, tries } of cases) {
  for (const retryDelayMs of [0, 90 * SECOND]) {
    t.test(`${title}, with a delay of ${retryDelayMs} ms`, async (t) => {
      const { recorder, clock } = await finish(() => failsTimes(fails, { retries, retryDelayMs })());
      t.same(
        recorder.of("flaky-1").map((each) => each.state.type),
        types,
      );
      t.same(
        recorder.of("flaky-1").map((each) => each.version),
        types.map((_, index) => index),
      );
      t.equal(clock.now() - clock.startedAt, retryDelayMs * (tries - 1));
      t.equal(recorder.logs.filter((each) => each.level === "ERROR").length, Math.min(fails, tries));
    });
  }
}

t.test("Retrying says when, after how many tries, and why", async (t) => {
  const { recorder } = await finish(() => failsTimes(1, { retries: 2, retryDelayMs: 60 * SECOND })());
  const retrying = recorder.of("flaky-1")[1]?.state;
  t.match(retrying, {
    type: "Retrying",
    message: "Retrying Task (after attempt 1 of 3)",
    startAt: "2026-01-01T00:01:00.000Z",
    runCount: 1,
    context: { error: { name: "Error", message: "try 1" } },
  });
});

t.test("a child that waits for its retry leaves its place to others", async (t) => {
  const clock = new FakeClock(true);
  const first = task("first", { retries: 1, retryDelayMs: SECOND }, (value: number) => {
    if (taskContext().runCount === 1) throw new Error("again");
    return value;
  });
  const width = 600;
  const { recorder, outcome } = start(() => first.map(Array.from({ length: width }, (_, index) => index)), { clock });
  await settled();
  t.equal(recorder.reports.filter((each) => each.state.type === "Retrying").length, width, "all had their first try");
  await clock.advance(SECOND);
  t.equal((await outcome).state.type, "Success");
});

t.test("a task that takes too long ends TimedOut, and its signal fires", async (t) => {
  let signal: AbortSignal | undefined;
  const hangs = task("hangs", { timeoutMs: 30 * SECOND }, () => {
    signal = taskContext().signal;
    return new Promise(() => {});
  });
  const { end, recorder, clock } = await finish(() => hangs());
  t.match(recorder.of("hangs-1").at(-1)?.state, {
    type: "TimedOut",
    message: "Task timed out during execution.",
    context: { error: { code: "TASK_TIMED_OUT" } },
  });
  t.equal(end.state.type, "Failed");
  t.equal(clock.now() - clock.startedAt, 30 * SECOND);
  t.equal(signal?.aborted, true);
  t.match(signal?.reason, { code: "TASK_TIMED_OUT" });
  t.match(recorder.logs, [{ level: "ERROR", message: /ran longer than its timeout of 30000 ms/ }]);
});

t.test("a try that timed out is repeated, and each try has its own signal", async (t) => {
  const signals: AbortSignal[] = [];
  const slow = task("slow", { timeoutMs: SECOND, retries: 1 }, () => {
    const { signal, runCount } = taskContext();
    signals.push(signal);
    return runCount === 1 ? new Promise<string>(() => {}) : "done";
  });
  const { end, recorder } = await finish(() => slow());
  t.same(
    recorder.of("slow-1").map((each) => each.state.type),
    ["Running", "Retrying", "Running", "Success"],
  );
  t.same(
    signals.map((each) => each.aborted),
    [true, false],
  );
  t.equal(end.output, "done");
});

t.test("what a timed-out try does later changes nothing and is no unhandled rejection", async (t) => {
  const lost: unknown[] = [];
  const onLost = (error: unknown) => lost.push(error);
  process.on("unhandledRejection", onLost);
  t.teardown(() => process.off("unhandledRejection", onLost));
  const late = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const slow = task("slow", { timeoutMs: SECOND }, (index: number) => late[index]?.promise);
  const { end, recorder } = await finish(() => [slow(0), slow(1)]);
  const reported = recorder.reports.length;
  late[0]?.reject(new Error("late"));
  late[1]?.resolve("late");
  await settled();
  await settled();
  t.same(lost, []);
  t.equal(recorder.reports.length, reported);
  t.same(
    end.taskRuns.map((each) => each.state.type),
    ["TimedOut", "TimedOut"],
  );
});

t.test("a task in time has its timer called off", async (t) => {
  const clock = new FakeClock(true);
  const { end } = await finish(() => task("quick", { timeoutMs: SECOND }, async () => 1)(), { clock });
  t.equal(end.state.type, "Success");
  t.equal(clock.sleepers, 0);
});

t.test("a function that keeps the thread too long has timed out when it comes back", async (t) => {
  const clock = new FakeClock();
  const busy = task("busy", { timeoutMs: SECOND }, () => clock.burn(2 * SECOND));
  const { recorder } = await finish(() => busy(), { clock });
  t.equal(recorder.of("busy-1").at(-1)?.state.type, "TimedOut");
});
