import t from "tap";
import { applyMap } from "../../src/core/control/apply-map.js";
import { merge, switchOn, when } from "../../src/core/control/control-flow.js";
import { pick } from "../../src/core/control/pick.js";
import { resource, use } from "../../src/core/control/resource.js";
import { withTags } from "../../src/core/control/with-tags.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter } from "../../src/core/parameter.js";
import type { Ref } from "../../src/core/reference.js";
import { diffSpecs } from "../../src/core/spec-diff.js";
import { task } from "../../src/core/task.js";
import { build, taskOf } from "../helpers/build.js";

const isOpen = task("is open", (): boolean => true);
const mode = task("mode", (): "fast" | "safe" => "fast");
const one = task("one", () => 1);
const add = task("add", (a: number, b: number) => a + b);
const show = task("show", (value: unknown) => String(value));
const page = task("page", () => ({ rows: [1, 2], next: "b" }));

/** A task's edges as text: upstream, then the key, or "order". */
function edges(flow: FlowDefinition, slug: string): string[] {
  return taskOf(flow, slug).upstream.map(
    ({ upstream, key, mapped, flattened }) =>
      `${upstream.slug} ${key ?? "order"}${mapped ? " each" : ""}${flattened ? " flat" : ""}`,
  );
}

const slugs = (flow: FlowDefinition) => flow.tasks.map((each) => each.slug);

t.test("a branch's first tasks wait for its case, the others for them alone", async (t) => {
  const flow = build("branches", () => {
    const before = one();
    when(
      isOpen(),
      () => {
        const inside = add(before, 1);
        show(inside);
        add(inside, before);
      },
      () => {
        show("closed");
      },
    );
  });
  t.same(slugs(flow), ["one-1", "is open-1", "case(true)-1", "add-1", "show-1", "add-2", "case(false)-1", "show-2"]);
  t.same(edges(flow, "case(true)-1"), ["is open-1 0"]);
  t.same(edges(flow, "add-1"), ["one-1 0", "case(true)-1 order"]);
  t.same(edges(flow, "show-1"), ["add-1 0"]);
  t.same(edges(flow, "add-2"), ["add-1 0", "one-1 1"]);
  t.same(edges(flow, "show-2"), ["case(false)-1 order"]);
});

t.test("what both branches return is merged, and nothing is when neither returns anything", async (t) => {
  let merged: unknown;
  let none: unknown;
  const flow = build("merged", () => {
    merged = when(
      isOpen(),
      () => one(),
      () => add(1, 2),
    );
    show(merged);
    none = when(isOpen(), () => {
      one();
    });
  });
  t.same(edges(flow, "merge-1"), ["one-1 0", "add-1 1"]);
  t.match(taskOf(flow, "merge-1").options, { skipOnUpstreamSkip: false, trigger: { name: "not_all_skipped" } });
  t.same(edges(flow, "show-1"), ["merge-1 0"]);
  t.equal(none, undefined);
  t.notOk(slugs(flow).includes("merge-2"));
});

t.test("what was made outside a branch becomes the branch's own before it is merged", async (t) => {
  const flow = build("own", () => {
    const cached = one();
    when(
      isOpen(),
      () => cached,
      () => [add(1, 2), "constant"],
    );
  });
  t.same(edges(flow, "branch value-1"), ["one-1 0", "case(true)-1 order"]);
  t.same(edges(flow, "branch value-2"), ["add-1 0.0"]);
  t.same(edges(flow, "merge-1"), ["branch value-1 0", "branch value-2 1"]);
});

t.test("a branch that returns nothing beside one that does is done when its tasks are", async (t) => {
  const flow = build("half", () => {
    when(
      isOpen(),
      () => one(),
      () => {
        show(add(1, 2));
      },
    );
  });
  t.same(edges(flow, "branch done-1"), ["case(false)-1 0", "show-1 order"]);
  t.same(edges(flow, "merge-1"), ["one-1 0", "branch done-1 1"]);
});

t.test("a branch inside a branch hangs on its own case, and that on the outer one", async (t) => {
  const flow = build("nested", () => {
    const inner = isOpen();
    when(isOpen(), () => {
      const value = when(
        inner,
        () => one(),
        () => add(1, 2),
      );
      show(value);
    });
  });
  t.same(edges(flow, "case(true)-2"), ["is open-1 0", "case(true)-1 order"]);
  t.same(edges(flow, "case(false)-1"), ["is open-1 0", "case(true)-1 order"]);
  t.same(edges(flow, "one-1"), ["case(true)-2 order"]);
  t.same(edges(flow, "merge-1"), ["one-1 0", "add-1 1"], "else it would take the outer case for a result");
  t.same(edges(flow, "show-1"), ["merge-1 0", "case(true)-1 order"]);
});

t.test("switchOn has a case for each key, and one for all others", async (t) => {
  const flow = build("cases", () => {
    switchOn(mode(), { fast: () => one(), safe: () => add(1, 2) }, () => "none");
  });
  t.same(slugs(flow), [
    "mode-1",
    "case(fast)-1",
    "one-1",
    "case(safe)-1",
    "add-1",
    "case(otherwise)-1",
    "branch value-1",
    "merge-1",
  ]);
  t.same(taskOf(flow, "case(otherwise)-1").args[1], ["fast", "safe"]);
});

t.test("parameters declared in a branch belong to none", async (t) => {
  const flow = build("parameters", () => {
    when(isOpen(), () => show(parameter("day")));
  });
  t.same(edges(flow, "day"), []);
  t.same(edges(flow, "show-1"), ["day 0", "case(true)-1 order"]);
});

t.test("other constants in the cases make another flow; another release of Millrace does not", async (t) => {
  const spec = (keys: string[]) =>
    toFlowSpec(
      build("constants", () => {
        switchOn(mode() as Ref<string>, Object.fromEntries(keys.map((key) => [key, () => one()])), () => 0);
      }),
    );
  t.equal(hashFlowSpec(spec(["a", "b"])), hashFlowSpec(spec(["a", "b"])));
  const rows = diffSpecs(spec(["a", "b"]), spec(["a", "c"]));
  t.ok(rows.some((row) => row.kind === "arguments changed" && row.slug === "case(otherwise)-1"));
  t.ok(rows.some((row) => /case\([bc]\)-1/.test(row.slug)));
  t.equal(
    String(
      taskOf(
        build("text", () => when(isOpen(), () => one())),
        "case(true)-1",
      ).fn,
    ),
    "millrace case boolean",
  );
});

t.test("what the blocks of a build function cannot do is refused with what to do", async (t) => {
  const refusals: [string, () => unknown, { code: string; message: RegExp }][] = [
    ["async", () => when(isOpen(), async () => {}), { code: "FLOW_BUILD_FAILED", message: /when\(\) is async/ }],
    [
      "no function",
      () => when(isOpen(), one() as never),
      { code: "TASK_ARGUMENT_INVALID", message: /takes a function/ },
    ],
    [
      "no reference",
      () => when(true as never, () => one()),
      { code: "TASK_ARGUMENT_INVALID", message: /when\(\) takes/ },
    ],
    ["no case", () => switchOn(mode(), {}), { code: "TASK_ARGUMENT_INVALID", message: /no case/ }],
    ["nothing merged", () => (merge as () => unknown)(), { code: "TASK_ARGUMENT_INVALID", message: /merge\(\)/ }],
    ["no tags", () => withTags("a" as never, () => one()), { code: "TASK_OPTIONS_INVALID", message: /withTags/ }],
    ["no key", () => pick(page(), {} as never), { code: "TASK_ARGUMENT_INVALID", message: /pick\(\)/ }],
    ["no resource", () => use(one as never, () => {}), { code: "TASK_ARGUMENT_INVALID", message: /use\(\)/ }],
  ];
  for (const [what, body, error] of refusals) t.throws(() => build("refused", () => void body()), error, what);
  t.throws(() => when({} as never, () => {}), { code: "TASK_CALLED_OUTSIDE_FLOW" });
  t.throws(() => resource("", { setup: () => 1, cleanup: () => {} }), { code: "FLOW_INVALID_NAME" });
  t.throws(() => resource("db", { setup: () => 1 } as never), { code: "TASK_OPTIONS_INVALID", message: /`cleanup`/ });
  t.throws(() => resource("db", { setup: () => 1, cleanup: () => {}, setupOptions: { retries: -1 } }), {
    code: "TASK_OPTIONS_INVALID",
  });
});

t.test("pick makes a task for each key", async (t) => {
  const flow = build("picks", () => {
    const [rows, next] = pick(page(), "rows", "next");
    show([rows, next, pick(page(), "rows")]);
  });
  t.same(slugs(flow), ["page-1", "pick(rows)-1", "pick(next)-1", "page-2", "pick(rows)-2", "show-1"]);
  t.same(taskOf(flow, "pick(next)-1").args[1], "next");
});

t.test("withTags adds tags to what is called inside, whatever happens there", async (t) => {
  const tagged = task("tagged", { tags: ["own", "outer"] }, () => 1);
  const flow = build("tags", () => {
    withTags(["outer"], () => {
      one();
      withTags(["inner"], () => tagged());
      try {
        withTags(["lost"], () => {
          throw new Error("caught by the author");
        });
      } catch {
        one();
      }
    });
    one();
  });
  t.same(slugs(flow), ["one-outer-1", "tagged-inner-outer-own-1", "one-outer-2", "one-1"]);
  t.same(taskOf(flow, "tagged-inner-outer-own-1").options.tags, ["outer", "inner", "own"]);
  t.same(tagged.options.tags, ["own", "outer"]);
});

const database = resource("database", { setup: (url: string) => ({ url }), cleanup: (_db: { url: string }) => {} });

t.test("a resource stands around the tasks of its block", async (t) => {
  const flow = build("resource", () => {
    const url = one();
    const rows = use(database(show(url)), (db) => {
      const read = show(db);
      add(1, 2);
      return show(read);
    });
    show(rows);
  });
  t.same(edges(flow, "database.setup-1"), ["show-1 0"]);
  t.same(edges(flow, "show-2"), ["database.setup-1 0"]);
  t.same(edges(flow, "add-1"), ["database.setup-1 order"]);
  t.same(edges(flow, "show-3"), ["show-2 0"]);
  t.same(edges(flow, "database.cleanup-1"), ["database.setup-1 0", "add-1 order", "show-3 order"]);
  t.match(taskOf(flow, "database.setup-1"), { resetOnResume: true, cleansUp: false, options: { checkpoint: false } });
  t.match(taskOf(flow, "database.cleanup-1"), {
    resetOnResume: false,
    cleansUp: true,
    options: { skipOnUpstreamSkip: false, trigger: { name: "resource_cleanup" } },
  });
});

t.test("the clean-up has no say in the flow run's state, and what it waits for has", async (t) => {
  const flow = build("reference tasks", () => {
    use(database("a"), (db) => show(show(db)));
  });
  t.same(toFlowSpec(flow).referenceTasks, ["show-2"]);
  const empty = build("empty block", () => use(database("a"), () => {}));
  t.same(toFlowSpec(empty).referenceTasks, ["database.setup-1"]);
});

t.test("a resource inside another's block is cleaned up first", async (t) => {
  const flow = build("nested resources", () => {
    use(database("outer"), () => use(database("inner"), (db) => show(db)));
  });
  t.same(edges(flow, "database.setup-2"), ["database.setup-1 order"]);
  t.same(edges(flow, "database.cleanup-1"), ["database.setup-2 0", "show-1 order"]);
  t.same(edges(flow, "database.cleanup-2"), ["database.setup-1 0", "database.cleanup-1 order"]);
});

t.test("a resource in a branch is set up with the branch", async (t) => {
  const flow = build("resource in a branch", () => {
    when(isOpen(), () => use(database("a"), (db) => show(db)));
  });
  t.same(edges(flow, "database.setup-1"), ["case(true)-1 order"]);
  t.same(edges(flow, "database.cleanup-1"), ["database.setup-1 0", "show-1 order"]);
});

t.test("branches around mapped functions hold them as a whole", async (t) => {
  const flow = build("map in a branch", () => {
    const numbers = task("numbers", () => [1, 2])();
    when(isOpen(), () => applyMap((value) => show(add(value, 1)), numbers));
  });
  t.same(edges(flow, "add-1"), ["numbers-1 0 each", "case(true)-1 order"]);
  t.same(edges(flow, "show-1"), ["add-1 0 each"]);
});
