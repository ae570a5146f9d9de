import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { signals } from "../../src/core/signal.js";
import { makeState } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { finish, knownAfter, MemoryResults, start } from "./bed.js";

/** Adds 1 in each of `rounds` rounds; `trouble` may throw in one of them. */
function counts(rounds: number, options = {}, trouble: (loopCount: number, runCount: number) => void = () => {}) {
  return task("counts", options, () => {
    const {
      loopCount,
      loopResult = 0,
      runCount,
    } = taskContext() as unknown as {
      loopCount: number;
      loopResult?: number;
      runCount: number;
    };
    trouble(loopCount, runCount);
    const sum = loopResult + 1;
    if (loopCount < rounds) throw signals.loop(sum);
    return sum;
  });
}

const types = (reports: readonly { state: { type: string } }[]) => reports.map((each) => each.state.type);

t.test("a looping task hands its value from round to round, and reports each", async (t) => {
  const { recorder, end, results } = await finish(() => counts(3)());
  t.equal(end.output, 3);
  t.same(types(recorder.of("counts-1")), ["Running", "Looped", "Running", "Looped", "Running", "Success"]);
  const looped = recorder.of("counts-1")[3]!.state;
  t.match(looped, { loopCount: 2, message: "Task is looping (2)", result: { type: "LocalResult" } });
  t.ok(results.values.has(recorder.of("counts-1")[0]!.taskRunId), "the value was kept");
  t.same(
    recorder.of("counts-1").map((each) => each.version),
    [0, 1, 2, 3, 4, 5],
  );
});

t.test("a returned signal loops too, with its own message", async (t) => {
  const twice = task("twice", () => (taskContext().loopCount === 1 ? signals.loop(1, "one more") : "done"));
  const { recorder, end } = await finish(() => twice());
  t.equal(recorder.of("twice-1")[1]?.state.message, "one more");
  t.equal(end.output, "done");
});

t.test("10,000 rounds neither pile up nor take long", async (t) => {
  const { end } = await finish(() => counts(10_000)());
  t.equal(end.output, 10_000);
});

t.test("children loop each for itself", async (t) => {
  const climbs = task("climbs", (top: number) => {
    const { loopCount } = taskContext();
    return loopCount < top ? signals.loop(loopCount) : loopCount * 10;
  });
  const { end } = await finish(() => climbs.map([1, 3, 2]));
  t.same(end.output, [10, 30, 20]);
});

t.test("a retry inside a loop keeps the round and its value; each round has all its retries", async (t) => {
  const fails = (loopCount: number, runCount: number) => {
    if (loopCount >= 2 && runCount === 1) throw new Error(`round ${loopCount}`);
  };
  const { recorder, end } = await finish(() => counts(3, { retries: 1 }, fails)());
  t.equal(end.output, 3);
  t.same(types(recorder.of("counts-1")), [
    ...["Running", "Looped"],
    ...["Running", "Retrying", "Running", "Looped"],
    ...["Running", "Retrying", "Running", "Success"],
  ]);
  const { taskRunId } = recorder.of("counts-1")[0]!;
  t.match(recorder.of("counts-1")[3]?.state, {
    runCount: 1,
    context: { _loop_count: 2, task_run_count: 1 },
    result: { location: taskRunId },
  });
  t.match(recorder.of("counts-1")[2]?.state, { type: "Running", context: { _loop_count: 2 }, result: {} });
});

/** Runs until `cut` reports were accepted, then again from there with what the Cloud knows. */
async function cutAt(cut: number) {
  const results = new MemoryResults();
  const rounds: string[] = [];
  const trouble = (loopCount: number, runCount: number) => {
    rounds.push(`${loopCount}.${runCount}`);
    if (loopCount === 2 && runCount === 1) throw new Error("once");
  };
  const flow = () => counts(3, { retries: 1 }, trouble)();
  const refuse = (_: unknown, count: number) => (count > cut ? new Error("cut") : undefined);
  const first = start(flow, { results, refuse });
  await first.outcome.catch(() => {});
  const taskRuns = knownAfter(first.recorder.reports.slice(0, cut));
  const before = rounds.length;
  const { end, recorder } = await finish(flow, { results, taskRuns });
  return { output: end.output, rounds: rounds.slice(before), recorder };
}

// Accepted: flow Running, 1 Running, Looped, 2 Running, Retrying, Running, Looped, 3 Running, Success.
const cuts: [cut: number, last: string, rounds: string[]][] = [
  [3, "Looped in round 1", ["2.1", "2.2", "3.1"]],
  [4, "Running in round 2", ["2.2", "3.1"]],
  [5, "Retrying in round 2", ["2.2", "3.1"]],
  [7, "Looped in round 2", ["3.1"]],
];
for (const [cut, last, rounds] of cuts) {
  t.test(`a run taken up elsewhere goes on in its round: behind ${last}`, async (t) => {
    const resumed = await cutAt(cut);
    t.equal(resumed.output, 3);
    t.same(resumed.rounds, rounds);
  });
}

t.test("a loop whose values are kept in memory only begins anew in a run taken up elsewhere", async (t) => {
  const flow = () => counts(3, { checkpoint: false })();
  const first = start(flow, { refuse: (_, count) => (count > 6 ? new Error("cut") : undefined) });
  await first.outcome.catch(() => {});
  t.same(types(first.recorder.reports.slice(1, 6)), ["Running", "Looped", "Running", "Looped", "Running"]);
  const { end, recorder } = await finish(flow, { taskRuns: knownAfter(first.recorder.reports.slice(0, 6)) });
  t.equal(end.output, 3);
  t.same(types(recorder.of("counts-1")), ["Running", "Looped", "Running", "Looped", "Running", "Success"]);
});

t.test("a loop whose values are kept in memory only waits for its retries here, however long", async (t) => {
  const fails = (loopCount: number, runCount: number) => {
    if (loopCount === 2 && runCount === 1) throw new Error("once");
  };
  const options = { checkpoint: false, retries: 1, retryDelayMs: 3_600_000 };
  const { end, clock } = await finish(() => counts(3, options, fails)(), { ports: { maxWaitMs: 0 } });
  t.equal(end.output, 3);
  t.equal(clock.now() - clock.startedAt, 3_600_000);
});

t.test("a loop's value that is gone fails the task, and says so", async (t) => {
  const state = makeState("Looped", null, { loopCount: 1, result: { type: "LocalResult", location: "gone" } });
  const taskRuns = [{ taskRunId: "id", taskSlug: "counts-1", mapIndex: -1, version: 3, state }];
  const { recorder } = await finish(() => counts(3)(), { taskRuns });
  t.match(recorder.of("counts-1"), [
    { version: 3, state: { type: "Failed", message: /^Failed to retrieve task results: There is no result/ } },
  ]);
});
