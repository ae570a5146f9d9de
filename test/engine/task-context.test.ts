import t from "tap";
import { type TaskContext, taskContext } from "../../src/core/context.js";
import { signals } from "../../src/core/signal.js";
import { task } from "../../src/core/task.js";
import { finish } from "./bed.js";

/** What the context says, as data. */
const see = ({ logger: _, signal: __, parameters, ...fields }: TaskContext) => fields;
const look = task("look", { tags: ["b", "a"] }, (_item?: unknown) => {
  const context = taskContext();
  const { taskFullName, taskRunName, taskTags, projectName, runningUnderCloud, dates } = context;
  return { ...see(context), taskFullName, taskRunName, taskTags, projectName, runningUnderCloud, dates };
});

t.test("a task knows its flow run, its place in it, and the day", async (t) => {
  const { end } = await finish(() => look(), { run: { projectName: "Sales" } });
  t.match(end.output, {
    flowName: "test",
    flowRunId: "flow run",
    flowRunName: "a run",
    flowId: "flow",
    projectName: "Sales",
    runningUnderCloud: true,
    taskName: "look",
    taskFullName: "look",
    taskRunName: "look",
    taskSlug: "look-a-b-1",
    taskTags: ["b", "a"],
    mapIndex: -1,
    runCount: 1,
    loopCount: 1,
    loopResult: undefined,
    resumed: false,
    resumeInput: undefined,
    scheduledStartAt: "2026-01-01T00:00:00.000Z",
    dates: { date: "2026-01-01T00:00:00.000Z", today: "2026-01-01", yesterdayNodash: "20251231" },
  });
});

t.test("without a Cloud there is no project, and no flow id", async (t) => {
  const { end } = await finish(() => look(), { run: { flowId: null } });
  t.match(end.output, { flowId: null, projectName: null, runningUnderCloud: false });
});

t.test("a run may stand for another day than that of its start", async (t) => {
  const { end } = await finish(() => look(), { run: { date: "2025-05-05T10:00:00Z" } });
  t.match(end.output, { scheduledStartAt: "2026-01-01T00:00:00.000Z", dates: { today: "2025-05-05" } });
});

t.test("a child's names carry its place, and a name of the author's own stands beside them", async (t) => {
  const named = look.with({ taskRunName: "{flowName} of {inputs.0}", tags: [] });
  const { end } = await finish(() => [look.map(["x", "y"]), named("me")]);
  t.match(end.output, [
    [{}, { mapIndex: 1, taskFullName: "look[1]", taskRunName: "look[1]" }],
    { taskFullName: "look", taskRunName: "test of me" },
  ]);
});

t.test("a context keeps what it said, also when the task is tried again", async (t) => {
  const kept: TaskContext[] = [];
  const flaky = task("flaky", { retries: 1 }, () => {
    kept.push(taskContext());
    if (kept.length === 1) throw new Error("not yet");
  });
  await finish(() => flaky());
  t.same(
    kept.map(({ runCount }) => runCount),
    [1, 2],
  );
});

t.test("a loop's round and what the last one handed on stand in the context", async (t) => {
  const grow = task("grow", () => {
    const { loopCount, loopResult } = taskContext();
    const sum = ((loopResult as number | undefined) ?? 0) + loopCount;
    if (loopCount < 3) throw signals.loop(sum);
    return sum;
  });
  const { end } = await finish(() => grow());
  t.equal(end.output, 6);
});

t.test("logger and signal are the same each time, and tags cannot be changed", async (t) => {
  const plain = task("plain", () => {
    const context = taskContext();
    t.equal(context.logger, taskContext().logger);
    t.equal(context.signal, context.signal);
    t.equal(context.dates, context.dates);
    t.throws(() => (context.taskTags as string[]).push("x"), TypeError);
  });
  const { end } = await finish(() => plain());
  t.equal(end.state.type, "Success");
});
