import t from "tap";
import { taskContext } from "../../src/core/context.js";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import { parameter } from "../../src/core/parameter.js";
import { flatten, unmapped } from "../../src/core/reference.js";
import { makeState, type State, type StateType } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import type { KnownTaskRun } from "../../src/engine/ports.js";
import { define, finish, knownAfter, MemoryResults, start } from "./bed.js";

const add = task("add", (a: number, b: number) => a + b);
const inc = task("inc", (value: number) => value + 1);
const list = task("list", (length: number) => Array.from({ length }, (_, index) => index));
const sum = task("sum", (values: readonly number[]) => values.reduce((a, b) => a + b, 0));

/** A result that an earlier agent stored. */
function stored(results: MemoryResults, slug: string, value: unknown, mapIndex = -1): KnownTaskRun {
  const taskRunId = `${slug}/${mapIndex}`;
  results.values.set(taskRunId, value);
  return known(slug, "Success", { result: { type: "LocalResult", location: taskRunId } }, mapIndex);
}

function known(slug: string, type: StateType, more: Partial<State> = {}, mapIndex = -1): KnownTaskRun {
  const state = makeState(type, null, more as object);
  return { taskRunId: `${slug}/${mapIndex}`, taskSlug: slug, mapIndex, version: 5, state };
}

t.test("a finished task is not run again; its value is read for the task that needs it", async (t) => {
  const results = new MemoryResults();
  const taskRuns = [stored(results, "inc-1", 41)];
  const { end, recorder } = await finish(() => inc(inc(0)), { results, taskRuns });
  t.same(recorder.lines(), ["flow Running", "inc-2 Running", "inc-2 Success", "flow Success"]);
  t.equal(end.output, 42);
  t.same(results.reads, ["inc-1/-1"]);
});

t.test("a value that nobody needs is not read, and one that several need is read once", async (t) => {
  const results = new MemoryResults();
  const taskRuns = [stored(results, "list-1", [1]), stored(results, "inc-1", 41), stored(results, "inc-2", 42)];
  await finish(
    () => {
      list(3);
      const value = inc(0);
      inc(value);
      return [add(value, 1), add(value, 2), add(value, 3)];
    },
    { results, taskRuns },
  );
  t.same(results.reads, ["inc-1/-1"]);
});

t.test("a finished state without a result stands for undefined", async (t) => {
  const give = task("give", (value: unknown) => [value]);
  const { end } = await finish(() => give(inc(0)), { taskRuns: [known("inc-1", "Success")] });
  t.same(end.output, [undefined]);
});

t.test("a result that is gone fails the task that needs it, and says so", async (t) => {
  const results = new MemoryResults();
  const taskRuns = [stored(results, "inc-1", 41)];
  results.values.clear();
  const { end, recorder } = await finish(() => [inc(inc(0)), inc(5)], { results, taskRuns });
  t.match(
    recorder.of("inc-2").map((each) => each.state),
    [
      {
        type: "Failed",
        message: 'Failed to retrieve task results: There is no result at "inc-1/-1".',
        context: { error: { code: "RESULT_NOT_FOUND" } },
      },
    ],
  );
  t.equal(recorder.of("inc-3").at(-1)?.state.type, "Success");
  t.equal(end.state.type, "Failed");
});

t.test("an output that is gone does not take the run's Success back", async (t) => {
  const results = new MemoryResults();
  const taskRuns = [stored(results, "inc-1", 41)];
  results.values.clear();
  const { end, recorder } = await finish(() => inc(0), { results, taskRuns });
  t.equal(end.state.type, "Success");
  t.equal(end.output, undefined);
  t.match(recorder.logs, [{ level: "WARNING", message: /output of flow "test" could not be read/ }]);
});

const finished: StateType[] = ["Success", "Cached", "Skipped", "Failed", "TimedOut", "TriggerFailed", "Cancelled"];
for (const type of finished) {
  t.test(`a task found ${type} stays so`, async (t) => {
    const { recorder } = await finish(() => inc(0), { taskRuns: [known("inc-1", type)] });
    t.same(recorder.of("inc-1"), []);
  });
}

t.test("a skipped upstream skips what stands behind it, unless that says otherwise", async (t) => {
  const taskRuns = [known("list-1", "Skipped")];
  const give = task("give", (value: unknown) => value);
  const { recorder, end } = await finish(
    () => {
      const skipped = list(3);
      inc(sum(skipped));
      inc.map(skipped);
      give.with({ skipOnUpstreamSkip: false })(skipped);
    },
    { taskRuns },
  );
  t.same(recorder.lines().sort(), [
    "flow Running",
    "flow Success",
    "give-1 Running",
    "give-1 Success",
    "inc-1 Skipped",
    "inc-2 Skipped",
    "sum-1 Skipped",
  ]);
  t.equal(end.state.message, "All reference tasks succeeded.");
});

t.test("a task found Running was interrupted: it is run again, and its tries count on", async (t) => {
  const count = task("count", { retries: 2 }, () => taskContext().runCount);
  const { end, recorder } = await finish(() => count(), { taskRuns: [known("count-1", "Running", { runCount: 2 })] });
  t.equal(end.output, 3);
  t.same(
    recorder.of("count-1").map((each) => [each.state.type, each.version]),
    [
      ["Running", 5],
      ["Success", 6],
    ],
  );
});

t.test("a task found Retrying waits until it is due", async (t) => {
  const count = task("count", () => taskContext().runCount);
  const taskRuns = [known("count-1", "Retrying", { runCount: 1, startAt: "2026-01-01T00:10:00.000Z" })];
  const { end, recorder } = await finish(() => count(), { taskRuns });
  t.equal(recorder.of("count-1")[0]?.state.at, "2026-01-01T00:10:00.000Z");
  t.equal(end.output, 2);
});

t.test("a task found Queued or Submitted is run, and the wrapped state tells its tries", async (t) => {
  const wrapped = makeState("Retrying", null, { runCount: 3, startAt: "2025-01-01T00:00:00.000Z" });
  const { end } = await finish(() => task("count", () => taskContext().runCount)(), {
    taskRuns: [known("count-1", "Queued", { wrapped })],
  });
  t.equal(end.output, 4);
});

t.test("a parameter that had its Success is not reported again, and has its value from the run", async (t) => {
  const results = new MemoryResults();
  const { end, recorder } = await finish(() => inc(parameter("p", { default: 1 })), {
    results,
    parameters: { p: 6 },
    taskRuns: [known("p", "Success", { result: { type: "LocalResult", location: "gone" } })],
  });
  t.same(recorder.of("p"), []);
  t.equal(end.output, 7);
  t.same(results.reads, []);
});

t.test("a Mapped parent keeps its width; only unfinished children run", async (t) => {
  const results = new MemoryResults();
  const taskRuns = [
    stored(results, "list-1", [0, 1, 2]),
    known("inc-1", "Mapped", { mapCount: 3 }),
    stored(results, "inc-1", 100, 0),
    known("inc-1", "Running", {}, 1),
  ];
  const { end, recorder } = await finish(() => sum(inc.map(list(3))), { results, taskRuns });
  t.same(recorder.lines(), [
    "flow Running",
    "inc-1[1] Running",
    "inc-1[2] Running",
    "inc-1[1] Success",
    "inc-1[2] Success",
    "sum-1 Running",
    "sum-1 Success",
    "flow Success",
  ]);
  t.equal(end.output, 100 + 2 + 3);
  t.same(
    recorder.of("inc-1[1]").map((each) => each.version),
    [5, 6],
  );
  t.same(
    recorder.of("inc-1[2]").map((each) => each.version),
    [0, 1],
  );
  t.same(results.reads, ["list-1/-1", "inc-1/0"]);
});

const builds: Record<string, BuildFlow<unknown>> = {
  "a chain": () => inc(inc(inc(1))),
  "a map over a map, with a reduce": () => sum(inc.map(inc.map(list(3)))),
  "flattened lists": () => sum(inc.map(flatten(list.map(inc.map([1, 0, 2]))))),
  "lists beside whole values": () => sum(add.map(inc.map(list(3)), unmapped(sum(list(3))))),
  "a literal list of references": () => sum(inc.map([inc(1), 5, sum(list(2))])),
  "order alone, and a map of nothing": () => sum(inc.map(list(0))).after(inc.map([1, 2])),
};

for (const [title, build] of Object.entries(builds)) {
  t.test(`${title}: cut off after any report, the next agent finishes what is left and nothing else`, async (t) => {
    const flow = define(build);
    const whole = await finish(flow, { inTurns: true });
    for (let cut = 1; cut < whole.recorder.reports.length; cut += 1) {
      const results = new MemoryResults();
      const first = start(flow, {
        results,
        inTurns: true,
        refuse: (_, count) => (count > cut ? new Error("cut") : undefined),
      });
      await first.outcome.catch(() => {});
      const accepted = first.recorder.reports.slice(0, cut);
      const taskRuns = knownAfter(accepted);
      const second = await finish(flow, { results, taskRuns });
      t.same(second.end.output, whole.end.output, `cut after ${cut}`);
      const over = new Set(
        accepted.filter((each) => /Success|Mapped/.test(each.state.type)).map((each) => each.taskRunId),
      );
      t.notOk(
        second.recorder.reports.some((each) => over.has(each.taskRunId)),
        "nothing finished is reported again",
      );
    }
  });
}
