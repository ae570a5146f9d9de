import t from "tap";
import type { FlowOptions } from "../../src/core/flow-definition.js";
import { type TaskOptions, task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { build } from "../helpers/build.js";

t.test("a task keeps its function, name and options, frozen", async (t) => {
  const options: TaskOptions = { retries: 2, tags: ["a"] };
  const double = task("double", options, (value: number) => value * 2);
  options.retries = 9;
  t.equal(double.fn(4), 8);
  t.equal(double.taskName, "double");
  t.same(double.options, { retries: 2, tags: ["a"] });
  t.ok(Object.isFrozen(double.options));
});

t.test("with() makes another task and leaves the first alone", async (t) => {
  const first = task("first", { retries: 1, timeoutMs: 50 }, () => 1);
  const second = first.with({ retries: 5, trigger: triggers.anyFailed });
  t.same(first.options, { retries: 1, timeoutMs: 50 });
  t.equal(second.options.retries, 5);
  t.equal(second.options.timeoutMs, 50);
  t.equal(second.fn, first.fn);
  t.throws(() => first.with({ retries: -1 }), { code: "TASK_OPTIONS_INVALID" });
});

t.test("options outside their range are refused by name and value", async (t) => {
  const cases: [unknown, RegExp][] = [
    [{ retries: -1 }, /`retries` must be a whole number of 0 or more, and is -1/],
    [{ retries: 1.5 }, /`retries`/],
    [{ retries: "3" }, /`retries` .* is "3"/],
    [{ retries: Number.NaN }, /`retries` .* is NaN/],
    [{ retries: Number.POSITIVE_INFINITY }, /`retries`/],
    [{ retryDelayMs: -5 }, /`retryDelayMs`/],
    [{ retryDelayMs: 2 ** 31 }, /`retryDelayMs` .*24\.8 days/],
    [{ timeoutMs: 0 }, /`timeoutMs` must be more than 0/],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, /`timeoutMs`/],
    [{ timeoutMs: 2 ** 31 }, /`timeoutMs`/],
    [{ tags: "etl" }, /`tags` must be a list/],
    [{ tags: [""] }, /`tags`/],
    [{ tags: [3] }, /`tags`/],
    [{ slug: "" }, /`slug`/],
    [{ trigger: "all" }, /`trigger` must be one of/],
    [{ trigger: () => true }, /`trigger` .* is a function/],
    [{ skipOnUpstreamSkip: "no" }, /`skipOnUpstreamSkip`/],
    [{ retry: 3 }, /has no option `retry`/],
    [null, /takes its options as an object, and was given null/],
    [[], /takes its options as an object/],
    ["retries", /takes its options as an object/],
  ];
  for (const [options, message] of cases) {
    t.throws(
      () => task("bad", options as TaskOptions, () => 1),
      { code: "TASK_OPTIONS_INVALID", message },
      String(message),
    );
  }
});

t.test("options at the edge of their range are taken", async (t) => {
  const edges: TaskOptions[] = [
    {},
    { retries: 0, retryDelayMs: 0, tags: [], skipOnUpstreamSkip: false },
    { retryDelayMs: 0.5, timeoutMs: 0.5 },
    { timeoutMs: 2 ** 31 - 1, retryDelayMs: 2 ** 31 - 1 },
    { trigger: { name: "mine", check: () => true }, slug: "x" },
    { retries: undefined, tags: undefined } as unknown as TaskOptions,
  ];
  for (const options of edges) t.doesNotThrow(() => task("good", options, () => 1), JSON.stringify(options));
});

t.test("a name for task runs with a place that there is not is called a template, as a target is", async (t) => {
  for (const option of ["taskRunName", "target"])
    t.throws(() => task("x", { [option]: "{day}" }, () => 1), {
      code: "RESULT_LOCATION_INVALID",
      message: 'The template "{day}" names "day", and there is no "day".',
    });
});

t.test("a task needs a name and a function", async (t) => {
  for (const name of ["", "  ", undefined, 7]) {
    t.throws(() => task(name as string, () => 1), { code: "FLOW_INVALID_NAME" }, String(name));
  }
  t.throws(() => task("x", undefined as unknown as () => void), {
    code: "TASK_OPTIONS_INVALID",
    message: /has no function/,
  });
  t.throws(() => task("x", {}, "code" as unknown as () => void), {
    code: "TASK_OPTIONS_INVALID",
    message: /has no function/,
  });
});

t.test("options of a flow are checked as those of a task", async (t) => {
  const cases: [unknown, RegExp][] = [
    [{ maxHeapMb: 1 }, /Flow "x": `maxHeapMb` must be a number of MiB, 16 or more, and is 1/],
    [{ maxHeapMb: "1g" }, /`maxHeapMb`/],
    [{ external: "sharp" }, /`external`/],
    [{ freshThread: 1 }, /`freshThread`/],
    [{ description: 4 }, /`description`/],
    [{ schedule: "* * * * *" }, /`schedule` must be one of `schedules`/],
    [{ cadence: "daily" }, /Flow "x" has no option `cadence`/],
  ];
  const one = task("one", () => 1);
  for (const [options, message] of cases) {
    t.throws(
      () => build("x", () => one(), options as FlowOptions),
      { code: "TASK_OPTIONS_INVALID", message },
      String(message),
    );
  }
  t.doesNotThrow(() =>
    build("x", () => one(), { maxHeapMb: 64, external: ["sharp"], freshThread: true, description: "" }),
  );
});
