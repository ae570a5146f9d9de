import t from "tap";
import { unmapped } from "../../src/core/reference.js";
import { type Signal, signals } from "../../src/core/signal.js";
import type { State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { type Trigger, type TriggerFacts, triggers } from "../../src/core/trigger.js";
import { finish } from "./bed.js";

const good = task("good", () => 1);
const bad = task("bad", () => {
  throw new Error("x");
});
const skips = task("skips", () => signals.skip());
const upstreams = { good, bad, skips };
type Kind = keyof typeof upstreams;

const below = (trigger: Trigger) => task("below", { trigger, skipOnUpstreamSkip: false, retries: 2 }, () => "ran");

/** Each trigger under upstreams that succeed, fail or skip: how the task ends. */
const rows: [trigger: Trigger, upstream: readonly Kind[], type: string][] = [
  [triggers.allSuccessful, ["good", "skips"], "Success"],
  [triggers.allSuccessful, ["good", "bad"], "TriggerFailed"],
  [triggers.allFailed, ["bad", "bad"], "Success"],
  [triggers.allFailed, ["bad", "good"], "TriggerFailed"],
  [triggers.allFinished, ["bad", "good", "skips"], "Success"],
  [triggers.alwaysRun, ["bad"], "Success"],
  [triggers.anySuccessful, ["bad", "good"], "Success"],
  [triggers.anySuccessful, ["bad"], "TriggerFailed"],
  [triggers.anyFailed, ["bad", "good"], "Success"],
  [triggers.anyFailed, ["good", "skips"], "TriggerFailed"],
  [triggers.someSuccessful({ atLeast: 2 }), ["good", "skips", "bad"], "Success"],
  [triggers.someSuccessful({ atLeast: 2, atMost: 2 }), ["good", "good", "good"], "TriggerFailed"],
  [triggers.someFailed({ atLeast: 0.5 }), ["good", "bad"], "Success"],
  [triggers.someFailed({ atLeast: 0.6 }), ["good", "bad"], "TriggerFailed"],
  [triggers.notAllSkipped, ["skips", "skips"], "Skipped"],
  [triggers.notAllSkipped, ["skips", "good"], "Success"],
  [triggers.notAllSkipped, ["skips", "bad"], "TriggerFailed"],
  [triggers.notAllSkipped, [], "Skipped"],
  [triggers.someFailed({ atLeast: 1 }), [], "Success"],
];

for (const [trigger, kinds, type] of rows) {
  t.test(`${trigger.name} under ${kinds.join(", ") || "nothing"} ends ${type}`, async (t) => {
    const { recorder } = await finish(() => below(trigger)().after(...kinds.map((kind) => upstreams[kind]())));
    const types = recorder.of("below-1").map((each) => each.state.type);
    t.same(types, type === "Success" ? ["Running", "Success"] : [type], "a trigger's failure is never retried");
  });
}

const thrown: [signal: Signal, types: string[]][] = [
  [signals.skip("s"), ["Skipped"]],
  [signals.fail("f"), ["Failed"]],
  [signals.success(7), ["Success"]],
  [signals.triggerFail("t"), ["TriggerFailed"]],
  [signals.validationFail("v"), ["ValidationFailed"]],
  [signals.loop(1), ["TriggerFailed"]],
];

for (const [signal, types] of thrown) {
  t.test(`a trigger that throws signals.${signal.kind} ends its task ${types.join(", ")}, without a try`, async (t) => {
    const throws: Trigger = {
      name: "own",
      check: () => {
        throw signal;
      },
    };
    const { recorder, end } = await finish(() => below(throws)());
    t.same(
      recorder.of("below-1").map((each) => each.state.type),
      types,
    );
    if (signal.kind === "success") t.equal(end.output, 7);
  });
}

t.test("a trigger may ask to be asked again later", async (t) => {
  let asked = 0;
  const patient: Trigger = {
    name: "patient",
    check: () => {
      asked += 1;
      if (asked < 3) throw signals.retry({ delayMs: 1_000 });
      return true;
    },
  };
  const { recorder, clock } = await finish(() => below(patient)());
  t.same(
    recorder.of("below-1").map((each) => each.state.type),
    ["Retrying", "Retrying", "Running", "Success"],
  );
  t.equal(recorder.of("below-1")[2]?.state.runCount, 1, "no try has been counted");
  t.equal(clock.now() - clock.startedAt, 2_000);
});

t.test(
  "a trigger that gives neither true nor a reason does not let its task start, and says what it gave",
  async (t) => {
    const given: [verdict: unknown, shown: string][] = [
      [false, "false"],
      [undefined, "undefined"],
      [Promise.reject(new Error("async")), "Promise"],
    ];
    for (const [verdict, shown] of given) {
      const trigger: Trigger = { name: "own", check: () => verdict as string };
      const { recorder } = await finish(() => below(trigger)());
      const state = recorder.of("below-1").at(-1)?.state;
      t.equal(state?.type, "TriggerFailed");
      t.match(
        state?.message,
        new RegExp(`Trigger was "own" but it gave ${shown}.*, and neither true nor a reason`, "s"),
      );
    }
  },
);

t.test("a trigger that throws an error ends its task TriggerFailed, with the error in its context", async (t) => {
  const broken: Trigger = {
    name: "broken",
    check: () => {
      throw new TypeError("oh");
    },
  };
  const { recorder } = await finish(() => below(broken)());
  t.match(recorder.of("below-1").at(-1)?.state, {
    type: "TriggerFailed",
    message: 'Trigger "broken" threw an error: TypeError: oh',
    context: { error: { name: "TypeError", message: "oh" } },
  });
});

t.test("a trigger sees a Mapped upstream as its children, and learns whether it was resumed", async (t) => {
  const seen: { states: readonly State[]; facts: TriggerFacts }[] = [];
  const looks: Trigger = {
    name: "looks",
    check: (states, facts) => {
      seen.push({ states, facts });
      return true;
    },
  };
  const each = task("each", (item: number) => {
    if (item === 2) throw new Error("x");
  });
  await finish(() => below(looks)().after(each.map([1, 2, 3]), good()));
  t.same(
    seen.map(({ states }) => states.map((state) => state.type)),
    [["Success", "Failed", "Success", "Success"]],
  );
  t.same(seen[0]?.facts, { resumed: false });
});

t.test("the trigger of a mapped task is asked for each child, not for the parent", async (t) => {
  let asked = 0;
  const counts: Trigger = {
    name: "counts",
    check: (states) => {
      asked += 1;
      return states.every((state) => state.type === "Success") || "not so";
    },
  };
  const maybe = task("maybe", (item: number) => {
    if (item === 1) throw new Error("x");
    return item;
  });
  const { recorder } = await finish(() =>
    task("below", { trigger: counts }, (item: number) => item).map(maybe.map([0, 1, 2])),
  );
  t.equal(asked, 3);
  t.same(
    [0, 1, 2].map((index) => recorder.of(`below-1[${index}]`).at(-1)?.state.type),
    ["Success", "TriggerFailed", "Success"],
  );
  t.equal(recorder.of("below-1").at(-1)?.state.type, "Mapped");
});

t.test("a task run counts once for a trigger, in however many arguments it stands", async (t) => {
  const counts: number[] = [];
  const trigger: Trigger = { name: "counts", check: (states) => counts.push(states.length) > 0 || "never" };
  const list = task("list", () => [1]);
  const takes = task("takes", { trigger }, (..._: unknown[]) => 0);
  await finish(() => {
    const one = good();
    const many = list();
    const mapped = takes.map(many);
    takes(one, [one, many]).after(one);
    takes.map(many, many, [one], unmapped(one)).after(many);
    takes.map(mapped, mapped).after(mapped);
  });
  t.same(counts.sort(), [1, 1, 2, 2], "the list; the child; one and the list, twice");
});
