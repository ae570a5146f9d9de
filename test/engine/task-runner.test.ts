import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { MillraceError } from "../../src/core/errors.js";
import { parameter } from "../../src/core/parameter.js";
import { task } from "../../src/core/task.js";
import { finish } from "./bed.js";

class HttpError extends Error {
  override name = "HttpError";
  readonly code = "E404";
}

const thrown: { title: string; value: unknown; message: string; error: object }[] = [
  {
    title: "an error",
    value: new TypeError("x is not a function"),
    message: "TypeError: x is not a function",
    error: { name: "TypeError", message: "x is not a function", code: null, stack: /TypeError/ },
  },
  {
    title: "an error with a name and code of its own",
    value: new HttpError("not there"),
    message: "HttpError: not there",
    error: { name: "HttpError", code: "E404" },
  },
  {
    title: "an error of Millrace",
    value: new MillraceError("STORAGE_FAILED", "no disk", { hint: "Add one." }),
    message: "MillraceError: no disk",
    error: { code: "STORAGE_FAILED", hint: "Add one." },
  },
  {
    title: "a string",
    value: "oh no",
    message: "Error: oh no",
    error: { name: "Error", message: "oh no", stack: null },
  },
  { title: "undefined", value: undefined, message: "Error: thrown value undefined", error: { name: "Error" } },
];

for (const { title, value, message, error } of thrown) {
  for (const how of ["throws", "rejects with"]) {
    t.test(`a task that ${how} ${title} ends Failed, and says so in the log`, async (t) => {
      const breaks = task("breaks", () => {
        if (how === "throws") throw value;
        return Promise.reject(value);
      });
      const { recorder } = await finish(() => breaks());
      const state = recorder.of("breaks-1").at(-1)?.state;
      t.equal(state?.type, "Failed");
      t.equal(state?.message, `Error during execution of task: ${message}`);
      t.match(state?.context?.error, error);
      t.equal(recorder.logs.length, 1);
      t.match(recorder.logs[0], {
        level: "ERROR",
        name: "millrace.breaks",
        taskRunId: recorder.of("breaks-1")[0]?.taskRunId,
      });
      t.ok(recorder.logs[0]?.message.includes(value instanceof Error ? value.message : message));
      if (value instanceof Error) t.match(recorder.logs[0]?.message, /task-runner\.test/, "the stack is there");
    });
  }
}

t.test("an error's text is cut in the state, and longer in the log", async (t) => {
  const breaks = task("breaks", () => {
    throw new Error("x".repeat(100_000));
  });
  const { recorder } = await finish(() => breaks());
  const state = recorder.of("breaks-1").at(-1)?.state;
  t.ok(JSON.stringify(state).length < 30_000);
  t.ok((recorder.logs[0]?.message.length ?? 0) > 16_000);
});

t.test("a value that cannot be stored fails its task with the store's message", async (t) => {
  const { recorder, end } = await finish(() => task("gives code", () => () => 1)());
  const state = recorder.of("gives code-1").at(-1)?.state;
  t.match(state, {
    type: "Failed",
    message: "The value is a function.",
    context: { error: { code: "VALUE_NOT_SERIALIZABLE" } },
  });
  t.equal(end.taskRuns[0]?.value, undefined);
  t.match(recorder.logs[0]?.message, /could not be stored/);
});

t.test("Success carries the result's place, and none for undefined", async (t) => {
  const { recorder, results } = await finish(() => [task("a", () => 5)(), task("b", () => undefined)()]);
  const [a, b] = [recorder.of("a-1"), recorder.of("b-1")];
  t.same(a.at(-1)?.state.result, { type: "LocalResult", location: a[0]?.taskRunId });
  t.equal(results.values.get(a[0]?.taskRunId ?? ""), 5);
  t.notOk("result" in (b.at(-1)?.state ?? {}));
  t.equal(results.values.size, 1);
});

t.test("the value goes to downstream tasks as it was returned", async (t) => {
  const value = new Map([[{}, () => 1]]);
  let got: unknown;
  const take = task("take", (given: unknown) => {
    got = given;
  });
  await finish(() => take(task("make", () => value)()));
  t.equal(got, value, "the very object, though its bytes would be another");
});

t.test("a task finds its context, also behind an await", async (t) => {
  const look = task("look", { tags: ["x"] }, async (_item: string) => {
    await Promise.resolve();
    const { logger, signal, ...rest } = taskContext();
    logger.info("seen %s", "it", { a: 1 });
    logger.warn("careful");
    return { rest: { ...rest }, aborted: signal.aborted, parameters: taskContext().parameters };
  });
  const { end, recorder, flow } = await finish(() => {
    parameter("p", { default: 3 });
    return look.map(["a", "b"]);
  });
  const [, second] = end.output as { rest: object; aborted: boolean; parameters: object }[];
  const { taskRunId } = recorder.of("look-x-1[1]")[0] ?? { taskRunId: "" };
  t.match(second, {
    aborted: false,
    parameters: { p: 3 },
    rest: {
      flowName: "test",
      flowRunId: "flow run",
      flowRunName: "a run",
      flowId: "flow",
      taskId: flow.tasks.find((each) => each.slug === "look-x-1")?.id,
      taskRunId,
      taskName: "look",
      taskSlug: "look-x-1",
      mapIndex: 1,
      runCount: 1,
      scheduledStartAt: "2026-01-01T00:00:00.000Z",
    },
  });
  t.same(
    recorder.logs
      .filter((each) => each.taskRunId === taskRunId)
      .map(({ level, name, message }) => [level, name, message]),
    [
      ["INFO", "millrace.look", "seen it { a: 1 }"],
      ["WARNING", "millrace.look", "careful"],
    ],
  );
});

t.test("a task cannot change the run's parameters for others", async (t) => {
  const writes = task("writes", () => {
    (taskContext().parameters as Record<string, unknown>).p = 4;
  });
  const { recorder } = await finish(() => {
    parameter("p", { default: 3 });
    writes();
  });
  t.match(recorder.of("writes-1").at(-1)?.state, { type: "Failed", message: /TypeError/ });
});
