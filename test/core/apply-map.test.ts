import t from "tap";
import { applyMap } from "../../src/core/control/apply-map.js";
import { when } from "../../src/core/control/control-flow.js";
import { resource, use } from "../../src/core/control/resource.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter } from "../../src/core/parameter.js";
import { flatten, type Ref, unmapped } from "../../src/core/reference.js";
import { diffSpecs } from "../../src/core/spec-diff.js";
import { task } from "../../src/core/task.js";
import { build, taskOf } from "../helpers/build.js";

const numbers = task("numbers", () => [1, 2, 3]);
const lists = task("lists", () => [[1], [2, 3]]);
const one = task("one", () => 1);
const add = task("add", (a: number, b: number) => a + b);
const show = task("show", (value: unknown) => String(value));
const isLarge = task("is large", (value: number): boolean => value > 1);
const nested = task("nested", (value: number) => [[value]]);
const note = task("note", () => {});

function edges(flow: FlowDefinition, slug: string): string[] {
  return taskOf(flow, slug).upstream.map(
    ({ upstream, key, mapped, flattened }) =>
      `${upstream.slug} ${key ?? "order"}${mapped ? " each" : ""}${flattened ? " flat" : ""}`,
  );
}

t.test(
  "every task that the function calls is mapped over what comes of the items, and the rest is handed whole",
  async (t) => {
    const flow = build("apply", () => {
      const outside = one();
      const sums = applyMap((value) => show(add(value, outside)), numbers());
      show(sums);
    });
    t.same(edges(flow, "add-1"), ["numbers-1 0 each", "one-1 1"]);
    t.same(edges(flow, "show-1"), ["add-1 0 each"]);
    t.same(edges(flow, "show-2"), ["show-1 0"]);
    t.same(
      ["add-1", "show-1", "show-2", "one-1"].map((slug) => taskOf(flow, slug).mapped),
      [true, true, false, false],
    );
    t.same(taskOf(flow, "add-1").mappedArgs, [true, false]);
  },
);

t.test("lists that the author wrote, several lists, and unmapped values", async (t) => {
  const flow = build("sources", () => {
    applyMap((a, b, c) => show(add(a, add(b, c))), [1, 2, one()], numbers(), unmapped(5));
  });
  t.same(edges(flow, "list-1"), ["one-1 0.2"]);
  t.same(edges(flow, "add-1"), ["numbers-1 0 each"]);
  t.same(taskOf(flow, "add-1").args[1], 5);
  t.same(edges(flow, "add-2"), ["list-1 0 each", "add-1 1 each"]);
});

t.test("a task that is given nothing of the items runs once for each all the same", async (t) => {
  const flow = build("for each", () => {
    applyMap(() => {
      note();
    }, numbers());
    applyMap((value) => {
      note().after(show(value));
    }, flatten(lists()));
  });
  t.same(edges(flow, "note-1"), ["numbers-1 order each"]);
  t.same(edges(flow, "show-1"), ["lists-1 0 each flat"]);
  t.same(edges(flow, "note-2"), ["lists-1 order each flat", "show-1 order each"]);
});

t.test("after() holds for each item inside, and for all of them from outside", async (t) => {
  const flow = build("after", () => {
    const first = one();
    const shown = applyMap((value) => {
      const a = show(value);
      return add(1, 2).after(a, first);
    }, numbers());
    one().after(shown);
  });
  t.same(edges(flow, "add-1"), ["numbers-1 order each", "show-1 order each", "one-1 order"]);
  t.same(edges(flow, "one-2"), ["add-1 order"]);
});

t.test("items inside arrays and objects are gathered for each child, constants and all", async (t) => {
  const make = (unit: string) =>
    build("gather", () => {
      const outside = one();
      applyMap((value) => show({ value, unit, more: [outside, value, add(value, 1)] }), numbers());
    });
  const flow = make("cm");
  t.same(edges(flow, "gather-1"), ["numbers-1 1 each", "one-1 2", "add-1 3 each"]);
  t.same(edges(flow, "show-1"), ["gather-1 0 each"]);
  const { fn, args } = taskOf(flow, "gather-1");
  t.same(fn!(args[0], 7, 8, 9), { value: 7, unit: "cm", more: [8, 7, 9] });
  const rows = diffSpecs(toFlowSpec(flow), toFlowSpec(make("mm")));
  t.same(
    rows.map((row) => [row.kind, row.slug]),
    [["arguments changed", "gather-1"]],
  );
});

t.test("when() inside decides for each item", async (t) => {
  const flow = build("branches", () => {
    applyMap(
      (value) =>
        when(
          isLarge(value),
          () => show("large"),
          () => value,
        ),
      numbers(),
    );
  });
  t.same(edges(flow, "case(true)-1"), ["is large-1 0 each"]);
  t.same(edges(flow, "show-1"), ["numbers-1 order each", "case(true)-1 order each"]);
  t.same(edges(flow, "branch value-1"), ["numbers-1 0 each", "case(false)-1 order each"]);
  t.same(edges(flow, "merge-1"), ["show-1 0 each", "branch value-1 1 each"]);
});

t.test("a resource inside is one for each item", async (t) => {
  const file = resource("file", { setup: (value: number) => `${value}`, cleanup: () => {} });
  const flow = build("resources", () => {
    applyMap((value) => use(file(value), (path) => show(path)), numbers());
  });
  t.same(edges(flow, "file.setup-1"), ["numbers-1 0 each"]);
  t.same(edges(flow, "file.cleanup-1"), ["file.setup-1 0 each", "show-1 order each"]);
});

t.test("what would map inside a map, or take items out of it, is refused with what to do", async (t) => {
  let escaped: Ref<number> | undefined;
  const refusals: [string, () => unknown, RegExp][] = [
    ["map()", () => applyMap((value) => show.map([value]), numbers()), /"show" is mapped inside applyMap/],
    ["applyMap()", () => applyMap(() => applyMap((v) => show(v), numbers()), numbers()), /inside applyMap/],
    ["an item as output", () => applyMap((value) => value, numbers()), /no task inside it made/],
    ["a constant as output", () => applyMap(() => 5, numbers()), /no task inside it made/],
    ["flatten() of an item", () => applyMap((value) => show(flatten(value)), [[[1]]]), /flatten\(\) was given an item/],
    ["flatten() inside", () => applyMap((v) => show(flatten(nested(v))), numbers()), /flatten/],
    ["after() on an item", () => applyMap((value) => show(value.after(one())), numbers()), /which is no task/],
    ["nothing", () => (applyMap as (...args: unknown[]) => unknown)(() => one()), /mapped over nothing/],
    ["unmapped alone", () => applyMap((value) => show(value), unmapped(numbers())), /mapped over nothing/],
    ["no list", () => applyMap((value) => show(value), 5 as never), /takes a list/],
    [
      "an item outside",
      () => {
        applyMap((value) => {
          escaped = value;
          note();
        }, numbers());
        show(escaped);
      },
      /outside the function/,
    ],
  ];
  for (const [what, body, message] of refusals) {
    t.throws(() => build("refused", () => void body()), { code: "TASK_ARGUMENT_INVALID", message }, what);
  }
  t.throws(
    () => build("async", () => void applyMap(async (value) => show(value), numbers())),
    { code: "FLOW_BUILD_FAILED" },
    "async",
  );
});

t.test("parameters declared inside are one for all", async (t) => {
  const flow = build("parameters", () => {
    applyMap((value) => add(value, parameter<number>("by")), numbers());
  });
  t.equal(taskOf(flow, "by").mapped, false);
  t.same(edges(flow, "add-1"), ["numbers-1 0 each", "by 1"]);
});
