import t from "tap";
import { applyMap } from "../../src/core/control/apply-map.js";
import { merge, switchOn, when } from "../../src/core/control/control-flow.js";
import { pick } from "../../src/core/control/pick.js";
import { resource, use } from "../../src/core/control/resource.js";
import { parameter } from "../../src/core/parameter.js";
import { unmapped } from "../../src/core/reference.js";
import { signals } from "../../src/core/signal.js";
import { task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { flow } from "../../src/flow.js";
import { testFlow } from "../../src/testing/index.js";
import { define, finish, knownAfter } from "./bed.js";

const echo = task("echo", (value: unknown) => value);
const numbers = task("numbers", (count: number) => Array.from({ length: count }, (_, index) => index));
const isEven = task("is even", (value: number): boolean => value % 2 === 0);
const half = task("half", (value: number) => value / 2);
const negate = task("negate", (value: number) => -value);
const fails = task("fails", (_value?: unknown): number => {
  throw new Error("no luck");
});

/** A flow whose one parameter is `value`. */
const choosing = flow("choosing", () => {
  const value = parameter<number>("value");
  return when(
    isEven(value),
    () => half(value),
    () => negate(value),
  );
});

t.test("the branch that is taken runs, the other is skipped, and the merge gives the one result", async (t) => {
  const even = await testFlow(choosing, { parameters: { value: 8 } });
  t.equal(even.output, 4);
  t.same(even.ends(), {
    value: "Success",
    "is even-1": "Success",
    "case(true)-1": "Success",
    "half-1": "Success",
    "case(false)-1": "Skipped",
    "negate-1": "Skipped",
    "merge-1": "Success",
  });
  const odd = await testFlow(choosing, { parameters: { value: 3 } });
  t.equal(odd.output, -3);
  t.match(odd.states("case(true)-1").at(-1)?.message, "The condition is false; this branch is for true.");
});

t.test("with one branch, what comes after it is skipped with it", async (t) => {
  const one = flow("one branch", () => {
    const taken = when(isEven(parameter<number>("value")), () => echo("even"));
    echo(taken);
  });
  t.match((await testFlow(one, { parameters: { value: 1 } })).ends(), { "echo-1": "Skipped", "echo-2": "Skipped" });
  t.match((await testFlow(one, { parameters: { value: 2 } })).ends(), { "echo-1": "Success", "echo-2": "Success" });
});

t.test("a failure in the branch that is taken fails the merge, in the other it cannot happen", async (t) => {
  const risky = flow("risky", () =>
    when(
      isEven(parameter<number>("value")),
      () => fails(),
      () => 5,
    ),
  );
  const failed = await testFlow(risky, { parameters: { value: 2 } });
  t.match(failed.ends(), { "fails-1": "Failed", "merge-1": "TriggerFailed" });
  t.equal(failed.state.type, "Failed");
  t.equal((await testFlow(risky, { parameters: { value: 1 } })).output, 5);
});

t.test("what was made before the branches is only given by the branch that returned it", async (t) => {
  const cached = flow("cached", () => {
    const before = echo("before");
    return when(
      isEven(parameter<number>("value")),
      () => before,
      () => ({ fresh: echo("fresh"), and: [before, 1] }),
    );
  });
  t.equal((await testFlow(cached, { parameters: { value: 2 } })).output, "before");
  t.same((await testFlow(cached, { parameters: { value: 1 } })).output, { fresh: "fresh", and: ["before", 1] });
});

t.test("branches nest, and a merge inside a branch that is not taken is skipped", async (t) => {
  const nested = flow("nested", () => {
    const value = parameter<number>("value");
    const outer = isEven(value);
    const inner = isEven(half(value));
    return when(
      outer,
      () =>
        echo(
          when(
            inner,
            () => "both",
            () => "outer",
          ),
        ),
      () => {
        when(inner, () => echo("never"));
      },
    );
  });
  t.equal((await testFlow(nested, { parameters: { value: 8 } })).output, "both");
  t.equal((await testFlow(nested, { parameters: { value: 6 } })).output, "outer");
  const none = await testFlow(nested, { parameters: { value: 3 } });
  t.equal(none.output, undefined);
  t.match(none.ends(), {
    "merge-1": "Skipped",
    "echo-1": "Skipped",
    "echo-2": "Skipped",
    "branch done-1": "Success",
    "merge-2": "Success",
  });
  t.equal(none.state.type, "Success");
});

t.test("switchOn takes the case of the value as text, or none, or the one for all others", async (t) => {
  const make = (otherwise?: () => unknown) =>
    flow("switch", () => {
      const value = parameter("value") as ReturnType<typeof parameter<string | number | boolean | null>>;
      const cases = { a: () => echo("A"), 2: () => echo("two"), true: () => "yes" };
      return otherwise ? switchOn(value, cases, otherwise) : switchOn(value, cases);
    });
  const table: [unknown, unknown][] = [
    ["a", "A"],
    [2, "two"],
    ["2", "two"],
    [true, "yes"],
    ["b", "else"],
    [null, "else"],
  ];
  for (const [value, expected] of table) {
    t.equal(
      (
        await testFlow(
          make(() => "else"),
          { parameters: { value } },
        )
      ).output,
      expected,
      `${value}`,
    );
  }
  const none = await testFlow(make(), { parameters: { value: "b" } });
  t.equal(none.ends()["merge-1"], "Skipped");
});

t.test("merge takes the first result that is not undefined, null included", async (t) => {
  const skip = task("skip", (): number => {
    throw signals.skip();
  });
  const merged = flow("merged", () => [merge(skip(), echo(undefined), echo(null), echo(1)), merge(echo(0), echo(1))]);
  t.same((await testFlow(merged)).output, [null, 0]);
});

t.test("pick takes fields and elements, and says what it could not take them from", async (t) => {
  const page = task("page", () => ({ rows: [1, 2], next: "b" }));
  const picks = flow("picks", () => {
    const [rows, next] = pick(page(), "rows", "next");
    return [rows, next, pick(rows, 1), pick(rows, 7)];
  });
  t.same((await testFlow(picks)).output, [[1, 2], "b", 2, undefined]);
  const nothing = task("nothing", (): { a: number } => null as never);
  const failed = await testFlow(flow("nothing there", () => pick(nothing(), "a")));
  t.match(failed.states("pick(a)-1").at(-1), {
    type: "Failed",
    message: /pick\(\) was to take "a" from null/,
    context: { error: { code: "TASK_ARGUMENT_INVALID" } },
  });
});

t.test("applyMap runs every task for each item, and an item does not wait for the others", async (t) => {
  const began: string[] = [];
  const slow = task("slow", async (value: number) => {
    began.push(`slow ${value}`);
    if (value === 0) await new Promise((resolve) => setImmediate(resolve));
    return value;
  });
  const next = task("next", (value: number, by: number) => {
    began.push(`next ${value}`);
    return value * by;
  });
  const mapped = flow("mapped", () => {
    const factor = echo(10) as ReturnType<typeof negate>;
    return applyMap(
      (value, by) => ({ once: next(slow(value), by), more: echo({ value, by }) }),
      [0, 1, 2],
      unmapped(factor),
    );
  });
  const run = await testFlow(mapped);
  t.same(run.output, { once: [0, 10, 20], more: [0, 1, 2].map((value) => ({ value, by: 10 })) });
  t.ok(began.indexOf("next 1") < began.indexOf("next 0"), began.join(", "));
});

t.test("branches inside applyMap decide for each item", async (t) => {
  const done: number[] = [];
  const note = task("note", () => void done.push(1));
  const mapped = flow("each its own", () => {
    const values = numbers(parameter<number>("count"));
    return applyMap((value) => {
      const result = when(
        isEven(value),
        () => half(value),
        () => value,
      );
      note().after(result);
      return result;
    }, values);
  });
  const run = await testFlow(mapped, { parameters: { count: 5 } });
  t.same(run.output, [0, 1, 1, 3, 2]);
  t.match(run.ends(), { "half-1": "Mapped", "half-1[1]": "Skipped", "half-1[2]": "Success", "merge-1[1]": "Success" });
  t.equal(done.length, 5);
  const none = await testFlow(mapped, { parameters: { count: 0 } });
  t.same(none.output, []);
  t.equal(none.ends()["half-1"], "Mapped");
});

t.test("one item's failure is its own, and after() inside waits for each item by itself", async (t) => {
  const picky = task("picky", (value: number) => {
    if (value === 1) throw new Error("not this one");
    return value;
  });
  const mapped = flow("one fails", () => {
    applyMap((value) => {
      echo("after").after(picky(value));
    }, numbers(3));
  });
  t.match((await testFlow(mapped)).ends(), {
    "picky-1[1]": "Failed",
    "echo-1[0]": "Success",
    "echo-1[1]": "TriggerFailed",
    "echo-1[2]": "Success",
  });
});

interface Journal {
  lines: string[];
  flow: ReturnType<typeof flow>;
}

/** A resource that writes down what becomes of it. */
function withFolder(options: { setup?: () => string; cleanup?: () => void; body?: "fails" | "skips" }): Journal {
  const lines: string[] = [];
  const folder = resource("folder", {
    setup: (name: string) => {
      lines.push(`setup ${name}`);
      return options.setup?.() ?? { name, close: () => lines.push("closed") };
    },
    cleanup: (made) => {
      lines.push("cleanup");
      options.cleanup?.();
      if (typeof made === "object") made.close();
    },
  });
  const work = task("work", (_: unknown) => {
    lines.push("work");
    if (options.body === "fails") throw new Error("no luck");
    if (options.body === "skips") throw signals.skip();
  });
  return { lines, flow: flow("folder", () => use(folder("a"), (made) => work(made))) };
}

t.test("a resource is cleaned up when its tasks are finished, however they ended", async (t) => {
  const table = [
    [undefined, "Success", "Success"],
    ["fails", "Failed", "Failed"],
    ["skips", "Skipped", "Success"],
  ] as const;
  for (const [body, work, end] of table) {
    const journal = withFolder(body ? { body } : {});
    const run = await testFlow(journal.flow);
    t.same(journal.lines, ["setup a", "work", "cleanup", "closed"]);
    t.same(run.ends(), { "folder.setup-1": "Success", "work-1": work, "folder.cleanup-1": "Success" });
    t.equal(run.state.type, end);
  }
});

t.test("a failed clean-up does not fail the run; without a resource nothing is cleaned up", async (t) => {
  const throws = () => {
    throw new Error("no luck");
  };
  const untidy = withFolder({ cleanup: throws });
  const run = await testFlow(untidy.flow);
  t.match(run.ends(), { "folder.cleanup-1": "Failed" });
  t.equal(run.state.type, "Success");

  const failed = withFolder({ setup: throws });
  const noSetup = await testFlow(failed.flow);
  t.same(failed.lines, ["setup a"]);
  t.match(noSetup.ends(), { "folder.setup-1": "Failed", "work-1": "TriggerFailed", "folder.cleanup-1": "Skipped" });
  t.equal(noSetup.state.type, "Failed");

  const skips = withFolder({
    setup: () => {
      throw signals.skip();
    },
  });
  t.match((await testFlow(skips.flow)).ends(), { "work-1": "Skipped", "folder.cleanup-1": "Skipped" });
});

t.test("resources nest, and in a branch that is not taken there is none", async (t) => {
  const lines: string[] = [];
  const made = resource("made", {
    setup: (name: string) => {
      lines.push(`+${name}`);
      return name;
    },
    cleanup: (name) => void lines.push(`-${name}`),
  });
  const nested = flow("nested resources", () => {
    when(isEven(parameter<number>("value")), () => use(made("a"), (a) => use(made(echo(a) as never), (b) => echo(b))));
  });
  await testFlow(nested, { parameters: { value: 2 } });
  t.same(lines.splice(0), ["+a", "+a", "-a", "-a"]);
  const none = await testFlow(nested, { parameters: { value: 1 } });
  t.same(lines, []);
  t.match(none.ends(), { "made.cleanup-1": "Skipped", "made.cleanup-2": "Skipped" });
});

t.test("the clean-up's trigger tells the set-up's state from the others'", async (t) => {
  const state = (type: "Success" | "Failed" | "Skipped") => ({ type, message: null, at: "2026-01-01T00:00:00.000Z" });
  const check = (...types: ("Success" | "Failed" | "Skipped")[]) =>
    triggers.resourceCleanup.check(types.map(state), { resumed: false });
  t.equal(check("Success", "Failed", "Skipped"), true);
  t.equal(check("Success"), true);
  for (const setUp of ["Failed", "Skipped"] as const) {
    try {
      check(setUp, "Success");
      t.fail("it skips");
    } catch (signal) {
      t.match(signal, { kind: "skip" });
    }
  }
});

t.test("a run that is taken up elsewhere sets its resource up again, and cleans that one up", async (t) => {
  const lines: string[] = [];
  let made = 0;
  const folder = resource("folder", {
    setup: () => {
      made += 1;
      return { number: made, close: () => made };
    },
    cleanup: ({ number }) => void lines.push(`closed ${number}`),
  });
  const work = task("work", ({ number, close }: { number: number; close(): number }) => {
    lines.push(`work in ${number}`);
    return close();
  });
  const definition = define(() => use(folder(), (each) => work(each)));
  const first = await finish(definition);
  t.same(lines.splice(0), ["work in 1", "closed 1"]);
  const cutAt = first.recorder.reports.findIndex((each) => each.taskSlug === "work-1" && each.state.type === "Running");
  const second = await finish(definition, { taskRuns: knownAfter(first.recorder.reports.slice(0, cutAt + 1)) });
  t.same(lines.splice(0), ["work in 2", "closed 2"]);
  t.equal(second.end.output, 2);
  t.equal(first.results.values.size, 1, "the resource itself is never stored");
  const third = await finish(definition, { taskRuns: knownAfter(first.recorder.reports), results: first.results });
  t.same(lines, [], "nothing is left to do: no resource is made");
  t.equal(third.end.state.type, "Success");
});
