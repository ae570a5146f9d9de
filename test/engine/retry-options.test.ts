import t from "tap";
import { MillraceError } from "../../src/core/errors.js";
import { signals } from "../../src/core/signal.js";
import { type TaskOptions, task } from "../../src/core/task.js";
import { MAX_RETRY_DELAY_MS, retryDelayMs } from "../../src/engine/task/retry.js";
import { finish } from "./bed.js";

const half = () => 0.5;

/** The delays behind the first tries. */
const delays: [options: TaskOptions, delays: number[]][] = [
  [{}, [0, 0, 0]],
  [{ retryDelayMs: 100 }, [100, 100, 100]],
  [{ retryDelayMs: [10, 20] }, [10, 20, 20, 20]],
  [{ retryDelayMs: 100, retryBackoff: 2 }, [100, 200, 400, 800]],
  [{ retryDelayMs: [10, 50], retryBackoff: 3 }, [10, 50, 150, 450]],
  [{ retryDelayMs: 100, retryBackoff: 10, maxRetryDelayMs: 5_000 }, [100, 1_000, 5_000, 5_000]],
  [{ retryDelayMs: 1_000, retryBackoff: 1_000 }, [1_000, 1_000_000, MAX_RETRY_DELAY_MS]],
  [{ retryBackoff: 2 }, [0, 0]],
];
for (const [options, expected] of delays) {
  t.test(`${JSON.stringify(options)} waits ${expected.join(", ")} ms`, async (t) => {
    t.same(
      expected.map((_, at) => retryDelayMs(options, at + 1, half)),
      expected,
    );
  });
}

t.test("growth without end stays within the limit", async (t) => {
  t.equal(retryDelayMs({ retryDelayMs: 1, retryBackoff: 10 }, 5_000, half), MAX_RETRY_DELAY_MS);
  t.equal(retryDelayMs({ retryDelayMs: 0, retryBackoff: 10 }, 5_000, half), 0);
});

t.test("jitter spreads the wait up and down, and never beyond the limit", async (t) => {
  const options = { retryDelayMs: 1_000, retryJitter: 0.2 };
  t.equal(
    retryDelayMs(options, 1, () => 0),
    800,
  );
  t.equal(retryDelayMs(options, 1, half), 1_000);
  t.ok(retryDelayMs(options, 1, () => 0.999) < 1_200);
  t.equal(
    retryDelayMs({ ...options, maxRetryDelayMs: 1_000 }, 1, () => 0.9),
    1_000,
  );
});

t.test("a run takes its jitter from its own source", async (t) => {
  const fails = task("fails", { retries: 1, retryDelayMs: 1_000, retryJitter: 1 }, () => {
    throw new Error("x");
  });
  const { clock } = await finish(() => fails(), { ports: { random: () => 0.75 } });
  t.equal(clock.now() - clock.startedAt, 1_500);
});

class Busy extends Error {
  override name = "Busy";
}
class VeryBusy extends Busy {}

const failing = (retryOn: NonNullable<TaskOptions["retryOn"]>, thrown: () => unknown, more: TaskOptions = {}) => {
  const fails = task("fails", { retries: 1, retryOn, ...more }, () => {
    throw thrown();
  });
  return finish(() => fails());
};
const tries = ({ recorder }: Awaited<ReturnType<typeof failing>>) =>
  recorder.of("fails-1").filter((each) => each.state.type === "Running").length;

const questions: [title: string, retryOn: NonNullable<TaskOptions["retryOn"]>, thrown: () => unknown, tries: number][] =
  [
    ["its class", [Busy], () => new Busy(), 2],
    ["a class below it", [Busy], () => new VeryBusy(), 2],
    ["one of several", [TypeError, Busy], () => new Busy(), 2],
    ["a copy of it from another thread", [Busy], () => Object.assign(new Error("copy"), { name: "Busy" }), 2],
    ["another class", [TypeError], () => new Busy(), 1],
    ["a question that says yes", (error) => error instanceof Busy, () => new Busy(), 2],
    ["a question that says no", (error) => !(error instanceof Busy), () => new Busy(), 1],
    ["a thrown thing that is no error", (error) => error === 5, () => 5, 2],
    ["a signal, which is asked about too", (error) => !(error instanceof Error), () => signals.fail("no"), 2],
    ["a signal, which is of no error's class", [Error], () => signals.fail("no"), 1],
  ];
for (const [title, retryOn, thrown, expected] of questions) {
  t.test(`retryOn decides by ${title}: ${expected} tries`, async (t) => {
    t.equal(tries(await failing(retryOn, thrown)), expected);
  });
}

t.test("a retryOn that throws means no retry, and the log says so", async (t) => {
  const broken = await failing(
    () => {
      throw new TypeError("oops");
    },
    () => new Busy("b"),
  );
  t.equal(tries(broken), 1);
  t.match(broken.recorder.of("fails-1").at(-1)?.state, { type: "Failed", message: /Busy: b/ });
  t.match(
    broken.recorder.logs.map((each) => each.message),
    [/Busy: b/, /`retryOn` of task "fails" threw, so the task is not retried: TypeError: oops/],
  );
});

t.test("a try that ran out of time asks with its own error", async (t) => {
  const asked: unknown[] = [];
  const hangs = task(
    "hangs",
    { retries: 1, timeoutMs: 10, retryOn: (error) => asked.push(error) > 5 },
    () => new Promise(() => {}),
  );
  const { recorder } = await finish(() => hangs());
  t.equal(recorder.of("hangs-1").at(-1)?.state.type, "TimedOut");
  t.match(asked, [{ code: "TASK_TIMED_OUT" }]);
});

t.test("an error of Millrace is told by its class, wherever it comes from", async (t) => {
  t.equal(tries(await failing([MillraceError], () => new MillraceError("STORAGE_FAILED", "x"))), 2);
});

t.test("the tries of an earlier process count", async (t) => {
  const fails = task("fails", { retries: 3 }, () => {
    throw new Error("x");
  });
  const state = {
    type: "Retrying" as const,
    message: null,
    at: "2026-01-01T00:00:00.000Z",
    startAt: "2026-01-01T00:00:00.000Z",
    runCount: 2,
    context: { task_run_count: 2 },
  };
  const taskRuns = [{ taskRunId: "id", taskSlug: "fails-1", mapIndex: -1, version: 4, state }];
  const { recorder } = await finish(() => fails(), { taskRuns });
  t.match(
    recorder.of("fails-1").map((each) => each.state.message),
    [/Starting/, "Retrying Task (after attempt 3 of 4)", /Starting/, /Error/],
  );
});
