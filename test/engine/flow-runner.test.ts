import t from "tap";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import { parameter } from "../../src/core/parameter.js";
import { task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { finish } from "./bed.js";

const add = task("add", (a: number, b: number) => a + b);
const one = task("one", () => 1);
const gather = task("gather", (value: unknown) => value);
const fails = task("fails", (): number => {
  throw new TypeError("no good");
});

interface Case {
  title: string;
  build: BuildFlow<unknown>;
  parameters?: Record<string, unknown>;
  /** All reports in order. */
  reports?: string[];
  flow: [type: string, message: string];
  output?: unknown;
}

const SUCCEEDED: Case["flow"] = ["Success", "All reference tasks succeeded."];
const FAILED: Case["flow"] = ["Failed", "Some reference tasks failed."];

const cases: Case[] = [
  {
    title: "a task runs, and its value is the output",
    build: () => add(1, 2),
    reports: ["flow Running", "add-1 Running", "add-1 Success", "flow Success"],
    flow: SUCCEEDED,
    output: 3,
  },
  {
    title: "a downstream task gets its upstream's value",
    build: () => add(add(1, 2), 10),
    reports: ["flow Running", "add-1 Running", "add-1 Success", "add-2 Running", "add-2 Success", "flow Success"],
    flow: SUCCEEDED,
    output: 13,
  },
  {
    title: "references are found inside arrays and objects",
    build: () => gather({ list: [one(), { deep: add(1, 1) }], plain: "x" }),
    flow: SUCCEEDED,
    output: { list: [1, { deep: 2 }], plain: "x" },
  },
  {
    title: "the output may be an object of references",
    build: () => ({ a: one(), b: [add(2, 2)] }),
    flow: SUCCEEDED,
    output: { a: 1, b: [4] },
  },
  {
    title: "parameters report Success alone, before the tasks start",
    build: () => add(parameter<number>("left", { default: 5 }), parameter<number>("right")),
    parameters: { right: 2 },
    reports: ["flow Running", "left Success", "right Success", "add-1 Running", "add-1 Success", "flow Success"],
    flow: SUCCEEDED,
    output: 7,
  },
  {
    title: "a task behind .after() waits, and takes no value",
    build: () => {
      const first = one();
      return add(1, 1).after(first);
    },
    reports: ["flow Running", "one-1 Running", "one-1 Success", "add-1 Running", "add-1 Success", "flow Success"],
    flow: SUCCEEDED,
    output: 2,
  },
  {
    title: "a task behind a failed one ends TriggerFailed, and so does the next",
    build: () => add(add(fails(), 1), 1),
    reports: [
      "flow Running",
      "fails-1 Running",
      "fails-1 Failed",
      "add-1 TriggerFailed",
      "add-2 TriggerFailed",
      "flow Failed",
    ],
    flow: FAILED,
  },
  {
    title: "a failed task behind .after() stops its downstream too",
    build: () => one().after(fails()),
    reports: ["flow Running", "fails-1 Running", "fails-1 Failed", "one-1 TriggerFailed", "flow Failed"],
    flow: FAILED,
  },
  {
    title: "reference tasks decide the final state in place of the last tasks",
    build: (build) => {
      const good = one();
      build.referenceTasks(good);
      fails().after(good);
      return good;
    },
    reports: ["flow Running", "one-1 Running", "one-1 Success", "fails-1 Running", "fails-1 Failed", "flow Success"],
    flow: SUCCEEDED,
    output: 1,
  },
  {
    title: "a task that wants its upstream to fail runs, with undefined in the value's place",
    build: () => gather.with({ trigger: triggers.allFailed })([fails(), 1]),
    flow: SUCCEEDED,
    output: [undefined, 1],
  },
  {
    title: "independent tasks start together",
    build: () => [one(), one()],
    reports: ["flow Running", "one-1 Running", "one-2 Running", "one-1 Success", "one-2 Success", "flow Success"],
    flow: SUCCEEDED,
    output: [1, 1],
  },
];

for (const { title, build, parameters, reports, flow, output } of cases) {
  t.test(title, async (t) => {
    const { end, recorder } = await finish(build, parameters ? { parameters } : {});
    if (reports) t.same(recorder.lines(), reports);
    t.same([end.state.type, end.state.message], flow);
    t.same(end.output, output);
    t.equal(recorder.reports.at(-1)?.state, end.state, "the last report is the flow run's final state");
  });
}

type PlainTrigger = "allSuccessful" | "allFailed" | "allFinished" | "anySuccessful" | "anyFailed";
const verdicts: [name: PlainTrigger, upstreams: ("good" | "bad")[], starts: boolean][] = [
  ["allSuccessful", ["good", "good"], true],
  ["allSuccessful", ["good", "bad"], false],
  ["allFailed", ["bad", "bad"], true],
  ["allFailed", ["good", "bad"], false],
  ["allFinished", ["good", "bad"], true],
  ["anySuccessful", ["good", "bad"], true],
  ["anySuccessful", ["bad", "bad"], false],
  ["anyFailed", ["good", "bad"], true],
  ["anyFailed", ["good", "good"], false],
];

for (const [name, upstreams, starts] of verdicts) {
  t.test(`${name} behind ${upstreams.join(" and ")} ${starts ? "starts" : "ends TriggerFailed"}`, async (t) => {
    const { recorder } = await finish(() => {
      const states = upstreams.map((each) => (each === "good" ? one() : fails()));
      return gather.with({ trigger: triggers[name] })(states);
    });
    t.same(
      recorder.of("gather-1").map((each) => each.state.type),
      starts ? ["Running", "Success"] : ["TriggerFailed"],
    );
    if (!starts) t.match(recorder.of("gather-1")[0]?.state.message, /^Trigger was "\w+" but .*\.$/);
  });
}

t.test("a trigger that throws ends its task TriggerFailed with the error", async (t) => {
  const check = () => {
    throw new RangeError("cannot tell");
  };
  const { end, recorder } = await finish(() =>
    one
      .with({ trigger: { name: "odd", check } })()
      .after(one()),
  );
  const ended = recorder.reports.find((each) => each.state.type === "TriggerFailed")?.state;
  t.match(ended, { message: /RangeError: cannot tell/, context: { error: { name: "RangeError" } } });
  t.equal(end.state.type, "Failed");
});

t.test("a trigger failure is not retried", async (t) => {
  const { recorder } = await finish(() => one.with({ retries: 3 })().after(fails()));
  t.same(
    recorder.of("one-1").map((each) => each.state.type),
    ["TriggerFailed"],
  );
});

t.test("a chain of 5,000 trigger failures needs no stack", async (t) => {
  const { end } = await finish(() => {
    let last = fails();
    for (let index = 0; index < 5_000; index += 1) last = add(last, 1);
    return last;
  });
  t.equal(end.state.type, "Failed");
  t.equal(end.taskRuns.filter((each) => each.state.type === "TriggerFailed").length, 5_000);
});

t.test("the outcome lists every task run with its value", async (t) => {
  const { end } = await finish(() => add(one(), 4));
  t.same(
    end.taskRuns.map(({ taskSlug, mapIndex, state, value }) => [taskSlug, mapIndex, state.type, value]),
    [
      ["one-1", -1, "Success", 1],
      ["add-1", -1, "Success", 5],
    ],
  );
});
