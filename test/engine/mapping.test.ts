import t from "tap";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import { parameter } from "../../src/core/parameter.js";
import { flatten, type Ref, unmapped } from "../../src/core/reference.js";
import { task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { CHILDREN_IN_FLIGHT } from "../../src/engine/ready-queue.js";
import { finish } from "./bed.js";

const add = task("add", (a: number, b: number) => a + b);
const inc = task("inc", (value: number) => value + 1);
const give = task("give", (value: unknown) => value);
const list = task("list", (length: number) => Array.from({ length }, (_, index) => index));
const gather = task("gather", (values: readonly unknown[]) => values);
const odd = task("odd", (value: number) => {
  if (value % 2 === 0) throw new Error(`${value} is even`);
  return value;
});
const fails = task("fails", (): number[] => {
  throw new Error("no list");
});

const cases: { title: string; build: BuildFlow<unknown>; output?: unknown; states: Record<string, string> }[] = [
  {
    title: "a map over a literal list",
    build: () => inc.map([1, 2, 3]),
    output: [2, 3, 4],
    states: { "inc-1": "Mapped", "inc-1[0]": "Success", "inc-1[2]": "Success" },
  },
  {
    title: "a map over another task's list",
    build: () => inc.map(list(3)),
    output: [1, 2, 3],
    states: { "inc-1": "Mapped", "list-1": "Success" },
  },
  {
    title: "a map over a parameter",
    build: () => inc.map(parameter<number[]>("xs", { default: [7] })),
    output: [8],
    states: {},
  },
  {
    title: "a map over a map",
    build: () => inc.map(inc.map(list(2))),
    output: [2, 3],
    states: { "inc-2[1]": "Success" },
  },
  {
    title: "a reduce gets the list of the children's values",
    build: () => gather(inc.map(list(3))),
    output: [1, 2, 3],
    states: {},
  },
  {
    title: "the shortest list decides how many children there are",
    build: () => add.map(list(5), [10, 20]),
    output: [10, 21],
    states: { "add-1": "Mapped" },
  },
  {
    title: "unmapped hands a value whole to every child",
    build: () => add.map(list(2), unmapped(100)),
    output: [100, 101],
    states: {},
  },
  {
    title: "unmapped hands a reference whole to every child",
    build: () => add.map(list(2), unmapped(inc(9))),
    output: [10, 11],
    states: {},
  },
  {
    title: "unmapped hands a mapped task's whole list to every child",
    build: () => task("pair", (a: number, all: number[]) => [a, all.length]).map(list(2), unmapped(inc.map(list(4)))),
    output: [
      [0, 4],
      [1, 4],
    ],
    states: {},
  },
  {
    title: "flatten makes one list of a plain task's lists",
    build: () => inc.map(flatten(give([[1, 2], [3], []]) as Ref<number[][]>)),
    output: [2, 3, 4],
    states: {},
  },
  {
    title: "flatten leaves items that are no lists as they are",
    build: () => give.map(flatten(give([[1, [2]], 3]) as Ref<number[][]>)),
    output: [1, [2], 3],
    states: {},
  },
  {
    title: "flatten makes one list of a mapped task's lists",
    build: () => inc.map(flatten(list.map([1, 0, 2]))),
    output: [1, 1, 2],
    states: { "inc-1": "Mapped" },
  },
  {
    title: "flatten serves a plain task too",
    build: () => gather(flatten(list.map([1, 2]))),
    output: [0, 0, 1],
    states: {},
  },
  {
    title: "a literal list may hold references, one for each child",
    build: () => inc.map([1, inc(10), 3]),
    output: [2, 12, 4],
    states: {},
  },
  {
    title: "a reference in a literal list concerns its own child alone",
    build: () => give.map([give(1), fails()]),
    states: { "give-2": "Mapped", "give-2[0]": "Success", "give-2[1]": "TriggerFailed" },
  },
  {
    title: "a map of nothing is Mapped and succeeds",
    build: () => gather(inc.map(list(0))),
    output: [],
    states: { "inc-1": "Mapped", "gather-1": "Success" },
  },
  {
    title: "a map of nothing is a reference task that succeeds",
    build: () => inc.map([]),
    output: [],
    states: { "inc-1": "Mapped" },
  },
  {
    title: "a failed child stops its own downstream child alone, and the reduce",
    build: () => gather(inc.map(odd.map([1, 2, 3]))),
    states: { "inc-1[0]": "Success", "inc-1[1]": "TriggerFailed", "inc-1[2]": "Success", "gather-1": "TriggerFailed" },
  },
  {
    title: "a reduce that takes what there is gets undefined for a failed child",
    build: () => gather.with({ trigger: triggers.anySuccessful })(odd.map([1, 2, 3])),
    output: [1, undefined, 3],
    states: { "gather-1": "Success" },
  },
  {
    title: "a failed child of a flattened map stops the child that stands for it alone",
    build: () => give.map(flatten(give.map(odd.map([1, 2])) as unknown as Ref<number[][]>)),
    states: { "give-2[0]": "Success", "give-2[1]": "TriggerFailed" },
  },
  {
    title: "a failed upstream leaves nothing to map over",
    build: () => inc.map(fails()),
    states: { "inc-1": "Failed" },
  },
  {
    title: "a failed upstream beside a good one leaves the decision to each child's trigger",
    build: () => add.map(list(2), fails()),
    states: { "add-1": "Mapped", "add-1[0]": "TriggerFailed", "add-1[1]": "TriggerFailed" },
  },
  {
    title: "a value that is no list cannot be mapped over",
    build: () => inc.map(give("text") as Ref<number[]>),
    states: { "inc-1": "Failed" },
  },
  {
    title: "a trigger is asked for each child, not for the parent",
    build: () => give.with({ trigger: triggers.allFailed }).map(odd.map([1, 2])),
    states: { "give-1": "Mapped", "give-1[0]": "TriggerFailed", "give-1[1]": "Success" },
  },
  {
    title: "children stand under what their parent comes .after()",
    build: () => inc.map([1, 2]).after(fails()),
    states: { "inc-1": "Mapped", "inc-1[0]": "TriggerFailed", "inc-1[1]": "TriggerFailed" },
  },
];

for (const { title, build, output, states } of cases) {
  t.test(title, async (t) => {
    const { end, recorder } = await finish(build);
    const last = Object.fromEntries(Object.keys(states).map((name) => [name, recorder.of(name).at(-1)?.state.type]));
    t.same(last, states);
    t.same(end.output, output);
    t.equal(end.state.type, output === undefined ? "Failed" : "Success");
  });
}

t.test("a parent says how many children it has, and reports nothing else", async (t) => {
  const { recorder } = await finish(() => inc.map([1, 2, 3]));
  t.match(
    recorder.of("inc-1").map((each) => each.state),
    [{ type: "Mapped", mapCount: 3 }],
  );
  t.equal(recorder.of("inc-1").length, 1);
  t.ok(recorder.lines().indexOf("inc-1 Mapped") < recorder.lines().indexOf("inc-1[0] Running"));
});

t.test("what cannot be mapped over is named", async (t) => {
  const { recorder } = await finish(() => [inc.map(give(null) as Ref<number[]>), inc.map(fails())]);
  t.match(recorder.of("inc-1").at(-1)?.state.message, 'unmappable result: "give-1" returned null, not a list.');
  t.equal(recorder.of("inc-2").at(-1)?.state.message, "No upstream states can be mapped over.");
});

t.test("a child starts as soon as its own upstream child is done", async (t) => {
  const gate = Promise.withResolvers<void>();
  const slowFirst = task("slow first", async (value: number) => {
    if (value === 0) await gate.promise;
    return value;
  });
  const last = task("last", (value: number) => {
    if (value === 2) gate.resolve();
    return value;
  });
  // It ends only if the later children are through before the first one has begun its second task.
  const { end, recorder } = await finish(() => last.map(slowFirst.map(list(3))));
  t.equal(end.state.type, "Success");
  t.ok(recorder.lines().indexOf("last-1[2] Success") < recorder.lines().indexOf("slow first-1[0] Success"));
});

t.test("a wide map goes depth first, with a bounded number of children in flight", async (t) => {
  let inFlight = 0;
  let most = 0;
  const busy = task("busy", async (value: number) => {
    inFlight += 1;
    most = Math.max(most, inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    inFlight -= 1;
    return value;
  });
  const width = CHILDREN_IN_FLIGHT * 3;
  const { end, recorder } = await finish(() => inc.map(busy.map(list(width))));
  t.equal(end.state.type, "Success");
  t.equal(most, CHILDREN_IN_FLIGHT);
  const lines = recorder.lines();
  t.ok(lines.indexOf("inc-1[0] Success") < lines.indexOf(`busy-1[${width - 1}] Running`));
  t.same(
    end.output,
    Array.from({ length: width }, (_, index) => index + 1),
  );
});
