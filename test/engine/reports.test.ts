import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { MillraceError } from "../../src/core/errors.js";
import { parameter } from "../../src/core/parameter.js";
import { makeState } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { planOf } from "../../src/engine/plan.js";
import { Reports } from "../../src/engine/reports.js";
import { TaskRun } from "../../src/engine/task/task-run.js";
import { define, finish, nameOf, type Recorded, Recorder, settled, start } from "./bed.js";

const inc = task("inc", (value: number) => value + 1);

/** The reports of each turn of the event loop. */
function byTurn(reports: readonly Recorded[]): string[][] {
  const turns: string[][] = [];
  for (const each of reports) turns[each.turn] = [...(turns[each.turn] ?? []), `${nameOf(each)} ${each.state.type}`];
  return turns.filter((each) => each);
}

t.test("a chain costs one round trip a task: Success travels with the next Running", async (t) => {
  const { recorder } = await finish(() => inc(inc(parameter("p", { default: 1 }))), { inTurns: true });
  t.same(byTurn(recorder.reports), [
    ["flow Running", "p Success", "inc-1 Running"],
    ["inc-1 Success", "inc-2 Running"],
    ["inc-2 Success", "flow Success"],
  ]);
});

t.test("a map travels with its first children, and the end of all with the reduce's Running", async (t) => {
  const sum = task("sum", (values: number[]) => values.length);
  const { recorder } = await finish(() => sum(inc.map([1, 2])), { inTurns: true });
  t.same(byTurn(recorder.reports), [
    ["flow Running", "inc-1 Mapped", "inc-1[0] Running", "inc-1[1] Running"],
    ["inc-1[0] Success", "inc-1[1] Success", "sum-1 Running"],
    ["sum-1 Success", "flow Success"],
  ]);
});

t.test("a retry without a delay travels with its next Running", async (t) => {
  const flaky = task("flaky", { retries: 1 }, () => {
    if (taskContext().runCount === 1) throw new Error("once");
  });
  const { recorder } = await finish(() => flaky(), { inTurns: true });
  t.same(byTurn(recorder.reports)[1], ["flaky-1 Retrying", "flaky-1 Running"]);
});

t.test("no code runs before its Running is accepted", async (t) => {
  let ran = false;
  const { outcome, recorder } = start(
    () =>
      task("watch", () => {
        ran = true;
      })(),
    { inTurns: true },
  );
  await Promise.resolve();
  while (recorder.reports.length < 2) await Promise.resolve();
  for (let index = 0; index < 20; index += 1) await Promise.resolve();
  t.equal(ran, false);
  await outcome;
  t.equal(ran, true);
});

t.test("the run resolves only when every report was accepted", async (t) => {
  const { outcome, recorder } = start(() => inc(1), { inTurns: true });
  let done = false;
  outcome.then(
    () => {
      done = true;
    },
    () => {},
  );
  while (!recorder.lines().includes("flow Success")) await settled();
  t.equal(done, false, "the last turn is not accepted yet");
  await outcome;
});

t.test("versions count up by one for each state of a task run", async (t) => {
  const { recorder } = await finish(() => inc.map([1, 2]), {
    taskRuns: [{ taskRunId: "parent", taskSlug: "inc-1", mapIndex: -1, version: 7, state: null }],
  });
  t.same(
    recorder.of("inc-1").map((each) => [each.taskRunId, each.version]),
    [["parent", 7]],
  );
  t.same(
    recorder.of("inc-1[0]").map((each) => each.version),
    [0, 1],
  );
  t.not(recorder.of("inc-1[0]")[0]?.taskRunId, recorder.of("inc-1[1]")[0]?.taskRunId);
});

const lost = new MillraceError("RUN_LEASE_LOST", "another agent has it");
const refusals = [
  "flow Running",
  "slow-1 Running",
  "quick-1 Success",
  "quick-2 Running",
  "flow Success",
  "broken-1 Failed",
];

for (const refusedLine of refusals) {
  t.test(`a refused "${refusedLine}" ends the run: nothing is started or reported any more`, async (t) => {
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", onUnhandled);
    t.teardown(() => process.off("unhandledRejection", onUnhandled));
    let signal: AbortSignal | undefined;
    let started = 0;
    const quick = task("quick", (_: unknown) => {
      started += 1;
      return 1;
    });
    const broken = task("broken", () => {
      throw new Error("x");
    });
    const slow = task("slow", async () => {
      signal = taskContext().signal;
      await new Promise<void>((resolve) => {
        if (refusedLine === "flow Success") return resolve();
        signal?.addEventListener("abort", () => resolve());
      });
      return 1;
    });
    const { outcome, recorder } = start(
      (build) => {
        const last = quick(quick(0));
        build.referenceTasks(last);
        slow();
        broken();
      },
      { inTurns: true, refuse: (each) => (`${nameOf(each)} ${each.state.type}` === refusedLine ? lost : undefined) },
    );
    await t.rejects(outcome, { code: "RUN_LEASE_LOST" });
    const before = { started, reports: recorder.reports.length };
    for (let index = 0; index < 5; index += 1) await settled();
    t.same({ started, reports: recorder.reports.length }, before);
    if (signal && refusedLine !== "flow Success") t.equal(signal.reason, lost, "running code is told");
    t.same(unhandled, []);
  });
}

t.test("a move that no task run may make is refused before it is sent", async (t) => {
  const recorder = new Recorder();
  const refused: unknown[] = [];
  const reports = new Reports(recorder, (error) => refused.push(error));
  const state = makeState("Success", null);
  const known = { taskRunId: "id", taskSlug: "inc-1", mapIndex: -1, version: 2, state };
  const run = new TaskRun(planOf(define(() => inc(1))).tasks[0]!, undefined, -1, known);
  t.equal(await reports.taskRun(run, makeState("Running", null)), "refused");
  t.match(refused, [{ code: "STATE_REFUSED", message: /"inc" \(id\): a task run that is Success stays so/ }]);
  t.same(recorder.reports, []);
});
