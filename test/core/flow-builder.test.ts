import t from "tap";
import { parameter } from "../../src/core/parameter.js";
import { flatten, type Ref, unmapped } from "../../src/core/reference.js";
import { task } from "../../src/core/task.js";
import { build, taskOf } from "../helpers/build.js";

const one = task("one", () => 1);
const add = task("add", (a: number, b: number) => a + b);
const sum = task("sum", (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0));
const show = task("show", (value: unknown) => String(value));
const words = task("words", (text: string) => text.split(" "));

t.test("calling a task records an edge for each reference, with the place it goes to", async (t) => {
  const flow = build("edges", () => {
    const a = one();
    const b = one();
    add(a, b);
    show({ left: a, rest: [b, 7, { deep: a }] });
  });
  t.same(
    flow.edges.map((edge) => [edge.upstream.slug, edge.key, edge.downstream.slug, edge.mapped, edge.flattened]),
    [
      ["one-1", "0", "add-1", false, false],
      ["one-2", "1", "add-1", false, false],
      ["one-1", "0.left", "show-1", false, false],
      ["one-2", "0.rest.0", "show-1", false, false],
      ["one-1", "0.rest.2.deep", "show-1", false, false],
    ],
  );
});

t.test("slugs are name, sorted tags and a counter in order of definition", async (t) => {
  const tagged = task("one", { tags: ["b", "a"] }, () => 1);
  const flow = build("slugs", () => {
    one();
    tagged();
    one();
    tagged.with({ tags: ["a", "b"] })();
    one.with({ slug: "mine" })();
    parameter("day");
  });
  t.same(
    flow.tasks.map((each) => each.slug),
    ["one-1", "one-a-b-1", "one-2", "one-a-b-2", "mine", "day"],
  );
});

t.test("a counted slug steps aside for one that is taken", async (t) => {
  const flow = build("taken", () => {
    parameter("one-1");
    one.with({ slug: "one-2" })();
    one();
    one();
  });
  t.same(
    flow.tasks.map((each) => each.slug),
    ["one-1", "one-2", "one-3", "one-4"],
  );
});

t.test("task ids depend on the flow's name and the slug, and on nothing else", async (t) => {
  const first = build("ids", () => add(one(), one()));
  const again = build("ids", () => add(one(), one()));
  const other = build("others", () => add(one(), one()));
  const ids = (flow: typeof first) => flow.tasks.map((each) => each.id);
  t.same(ids(first), ids(again));
  t.equal(ids(first).filter((id) => ids(other).includes(id)).length, 0);
  t.equal(taskOf(first, "one-1").id, "5cb2dd21-1b3a-54db-9757-162a5876ead2", "ids of deployed flows may never change");
});

t.test("a mapped task has mapped edges, and whole ones for what is unmapped", async (t) => {
  const flow = build("maps", () => {
    const numbers = sum.map([[1], [2]]);
    add.map(numbers, unmapped(one()));
    add.map([one(), 2, 3], unmapped(4));
    sum(numbers);
    show.map(flatten(words.map(["a b", "c"])));
  });
  const edges = (slug: string) => taskOf(flow, slug).upstream.map((edge) => [edge.key, edge.mapped, edge.flattened]);
  t.same(edges("add-1"), [
    ["0", true, false],
    ["1", false, false],
  ]);
  t.same(edges("add-2"), [["0.0", false, false]], "a reference inside a list belongs to one child");
  t.same(taskOf(flow, "add-2").mappedArgs, [true, false]);
  t.same(edges("sum-2"), [["0", false, false]], "passed on as it is, the list arrives whole");
  t.same(edges("show-1"), [["0", true, true]]);
  t.same(
    flow.tasks.filter((each) => each.mapped).map((each) => each.slug),
    ["sum-1", "add-1", "add-2", "words-1", "show-1"],
  );
});

t.test("after() orders without data, once however often it is said", async (t) => {
  const flow = build("order", () => {
    const first = one();
    const second = one();
    const last = add(1, 2).after(first, second).after(first);
    show(last).after(last);
  });
  t.same(
    taskOf(flow, "add-1").upstream.map((edge) => [edge.upstream.slug, edge.key]),
    [
      ["one-1", null],
      ["one-2", null],
    ],
  );
  t.same(
    taskOf(flow, "show-1").upstream.map((edge) => edge.key),
    ["0", null],
    "data and order are two edges",
  );
});

t.test("a task defined before what it waits for comes after it", async (t) => {
  const flow = build("late", () => {
    const early = one();
    early.after(add(1, 2));
  });
  t.same(
    flow.tasks.map((each) => each.slug),
    ["add-1", "one-1"],
  );
});

t.test("the build's answer is the output, and reference tasks are those named", async (t) => {
  const flow = build("output", (build) => {
    const a = one();
    build.referenceTasks(a);
    show(a);
    return { a, fixed: 3 };
  });
  t.same(
    flow.referenceTasks.map((each) => each.slug),
    ["one-1"],
  );
  t.match(flow.output, { fixed: 3 });
});

t.test("a reference of another flow is refused wherever it is used", async (t) => {
  let foreign: Ref<number> | undefined;
  build("first", () => {
    foreign = one();
  });
  const uses: [string, (build: { referenceTasks(...tasks: Ref<unknown>[]): void }) => unknown][] = [
    ["an argument", () => add(foreign!, 1)],
    ["inside an argument", () => show([{ a: foreign! }])],
    ["after()", () => one().after(foreign!)],
    ["the output", () => [one(), foreign]],
    ["a reference task", (build) => build.referenceTasks(foreign!)],
  ];
  for (const [what, body] of uses) {
    t.throws(
      () => build("second", body),
      { code: "REFERENCE_FOREIGN", message: /"second" uses a reference to "one-1"/ },
      what,
    );
  }
});

t.test("what is no reference is refused where one is needed", async (t) => {
  t.throws(() => build("x", () => one().after("one-1" as unknown as Ref<unknown>)), { code: "TASK_ARGUMENT_INVALID" });
  t.throws(() => build("x", (build) => build.referenceTasks(one as unknown as Ref<unknown>)), {
    code: "TASK_ARGUMENT_INVALID",
  });
  t.throws(() => build("x", () => flatten([[1]] as unknown as Ref<number[][]>)), {
    code: "TASK_ARGUMENT_INVALID",
    message: /flatten\(\)/,
  });
});

t.test("a task mapped over what is no list, or over nothing, is refused", async (t) => {
  const anything = add as unknown as { map(...args: unknown[]): unknown };
  t.throws(() => build("x", () => anything.map(1, 2)), {
    code: "TASK_ARGUMENT_INVALID",
    message: /argument 0 of \.map\(\) is number/,
  });
  t.throws(() => build("x", () => anything.map(unmapped(1), unmapped(2))), {
    code: "TASK_ARGUMENT_INVALID",
    message: /mapped over nothing/,
  });
  t.throws(() => build("x", () => anything.map()), { code: "TASK_ARGUMENT_INVALID" });
});

t.test("doubles of slugs and parameters are refused", async (t) => {
  t.throws(() => build("x", () => [one.with({ slug: "a" })(), one.with({ slug: "a" })()]), {
    code: "FLOW_NAME_TAKEN",
    message: /slug "a"/,
  });
  t.throws(() => build("x", () => [parameter("a"), parameter("a")]), { code: "PARAMETER_DUPLICATE", message: /"a"/ });
  t.throws(() => build("x", () => [one(), parameter("one-1")]), { code: "PARAMETER_DUPLICATE" });
});

t.test("a flow without tasks is refused", async (t) => {
  t.throws(() => build("nothing", () => {}), { code: "FLOW_EMPTY", message: /"nothing"/ });
});

t.test("tasks and parameters are called while a flow is being built, and at no other time", async (t) => {
  t.throws(() => one(), {
    code: "TASK_CALLED_OUTSIDE_FLOW",
    message: /Task "one" was called where no flow is being built/,
    hint: /fn/,
  });
  t.throws(() => one.map(), { code: "TASK_CALLED_OUTSIDE_FLOW" });
  t.throws(() => parameter("a"), { code: "TASK_CALLED_OUTSIDE_FLOW", message: /parameter\("a"\)/ });
  let kept: Ref<number> | undefined;
  build("done", () => {
    kept = one();
    one();
  });
  t.throws(() => kept!.after(kept!), {
    code: "TASK_CALLED_OUTSIDE_FLOW",
    message: /after\(\) was called when flow "done" was built/,
  });
});

t.test("what a build function throws is named, with where", async (t) => {
  const cause = new RangeError("no such region");
  const failing = () =>
    build("regions", () => {
      one();
      throw cause;
    });
  t.throws(failing, {
    code: "FLOW_BUILD_FAILED",
    message: 'The build function of flow "regions" threw RangeError: no such region',
    cause,
    hint: /^It was thrown at .*flow-builder\.test/,
  });
  t.throws(
    () =>
      build("x", () => {
        throw "text";
      }),
    { code: "FLOW_BUILD_FAILED", message: /threw text/ },
  );
  t.throws(() => one(), { code: "TASK_CALLED_OUTSIDE_FLOW" }, "the failed build is over");
});

t.test("an async build function is refused, and its rejection is not left alone", async (t) => {
  const late = async () => {
    one();
    throw new Error("later");
  };
  t.throws(() => build("async", late), { code: "FLOW_BUILD_FAILED", message: /is async/, hint: /synchronously/ });
  await new Promise((resolve) => setImmediate(resolve));
});

t.test("a flow may be built while another is being built", async (t) => {
  let inner: ReturnType<typeof build> | undefined;
  const outer = build("outer", () => {
    one();
    inner = build("inner", () => add(1, 2));
    one();
  });
  t.same(
    outer.tasks.map((each) => each.slug),
    ["one-1", "one-2"],
  );
  t.same(
    inner?.tasks.map((each) => each.slug),
    ["add-1"],
  );
});
