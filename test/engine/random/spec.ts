import fc from "fast-check";

/*
 * Random flows as plain data. A task is named by a number, taken modulo the tasks that stand before it: whatever is taken
 * out of such data while fast-check looks for a smaller example, what is left is a flow, and depends backwards only.
 */

/** Which of the tasks before it; any whole number from 0 on. */
export type Pointer = number;

export type Shape = { readonly at: Pointer; readonly flat: boolean } | { readonly number: number } | readonly Shape[];

export type MappedArgument =
  | { readonly each: Pointer; readonly flat: boolean }
  | { readonly items: readonly ({ readonly at: Pointer } | { readonly number: number })[] };

/** How a try ends that is not the last one. */
export const SETBACKS = ["throws", "rejects", "hangs", "fails", "asks for a retry"] as const;
export const FINALS = [
  ...["value", "throws", "hangs", "skips", "fails", "succeeds", "is not valid"],
  ...["fails its trigger", "fails with a value"],
] as const;

/** What a function does, try by try; everything is told by its context, so that a run taken up elsewhere does the same. */
export interface Script {
  /** Each round's first try pauses: for so many milliseconds, or until someone comes. */
  readonly pause: number | "for someone" | undefined;
  readonly setback: (typeof SETBACKS)[number];
  /** How many tries of each round are set back. More than there are retries: all of them. */
  readonly setbacks: number;
  /** How many rounds of a loop come before the last one. */
  readonly rounds: number;
  readonly final: (typeof FINALS)[number];
  readonly delivery: "thrown" | "returned" | "wrapped";
  readonly delayMs: number;
}

export type TriggerSpec =
  | {
      readonly rule:
        | "allSuccessful"
        | "allFailed"
        | "allFinished"
        | "alwaysRun"
        | "anySuccessful"
        | "anyFailed"
        | "notAllSkipped"
        | "manualOnly";
    }
  | { readonly rule: "someSuccessful" | "someFailed"; readonly atLeast?: number; readonly atMost?: number }
  | { readonly own: "is even" | "refuses" | "throws" | "skips" | "fails" | "succeeds" | "loops" };

export interface TaskSpec {
  readonly kind: "task";
  readonly over: readonly MappedArgument[];
  readonly args: readonly Shape[];
  readonly after: readonly Pointer[];
  readonly trigger: TriggerSpec;
  readonly skipOnUpstreamSkip: boolean;
  readonly retries: number;
  readonly retryDelayMs: number;
  /** False: what ends the last try is not worth a retry. */
  readonly retriesFinal: boolean;
  /** A number, a small one, nothing, or lists of such lengths. */
  readonly returns: "number" | "choice" | "undefined" | "null" | readonly number[];
  /** Child i takes the one at its place. */
  readonly scripts: readonly Script[];
  readonly checkpoint: boolean;
  readonly cached: boolean;
}

export interface Block {
  readonly steps: readonly Step[];
  readonly returns: "nothing" | "number" | { readonly at: Pointer };
}

export type Step =
  | TaskSpec
  | { readonly kind: "parameter" }
  | { readonly kind: "merge"; readonly of: readonly Pointer[] }
  | { readonly kind: "when"; readonly on: Pointer; readonly blocks: readonly Block[] }
  | { readonly kind: "switch"; readonly on: Pointer; readonly blocks: readonly Block[]; readonly otherwise: boolean }
  | {
      readonly kind: "use";
      readonly args: readonly Shape[];
      readonly setup: Script;
      readonly cleanup: "value" | "throws";
      readonly body: readonly Step[];
    };

export interface FlowSpec {
  readonly steps: readonly Step[];
  /** Empty: the terminal tasks. */
  readonly referenceTasks: readonly Pointer[];
}

/** A step of control flow is a few tasks. */
const MOST_STEPS = 200;

const pointer: fc.Arbitrary<Pointer> = fc.oneof(
  // Near tasks make chains, far ones make fans.
  { weight: 2, arbitrary: fc.nat({ max: 2 * MOST_STEPS }) },
  { weight: 1, arbitrary: fc.nat({ max: 3 }) },
);
const often = (truth: boolean, of: number): fc.Arbitrary<boolean> =>
  fc.nat({ max: of }).map((n) => (n === of ? !truth : truth));
const rarely = <T>(rest: T, ...arbitraries: fc.Arbitrary<T>[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 2 * arbitraries.length + 2, arbitrary: fc.constant(rest) },
    ...arbitraries.map((arbitrary) => ({ weight: 1, arbitrary })),
  );

const number = fc.record({ number: fc.nat({ max: 9 }) });
const reference = fc.record({ at: pointer, flat: often(false, 4) });
const shape: fc.Arbitrary<Shape> = fc.oneof(
  { weight: 4, arbitrary: reference },
  { weight: 1, arbitrary: number },
  { weight: 2, arbitrary: fc.array(fc.oneof(reference, number), { maxLength: 3 }) },
);

const over: fc.Arbitrary<MappedArgument> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ each: pointer, flat: often(false, 4) }) },
  {
    weight: 1,
    arbitrary: fc.record({ items: fc.array(fc.oneof(fc.record({ at: pointer }), number), { maxLength: 3 }) }),
  },
);

const DELAYS_MS = [0, 0, 0, 1, 10, 250] as const;
const delayMs = fc.constantFrom(...DELAYS_MS);
const count = (max: number) => rarely(0, fc.integer({ min: 1, max }));

const script = (calm: boolean): fc.Arbitrary<Script> =>
  fc.record({
    pause: calm
      ? fc.constant(undefined)
      : rarely<Script["pause"]>(undefined, fc.constantFrom<Script["pause"][]>(0, 5, 400, "for someone")),
    setback: fc.constantFrom(...SETBACKS),
    setbacks: count(3),
    rounds: calm ? fc.constant(0) : count(3),
    final: rarely<Script["final"]>("value", fc.constantFrom(...FINALS)),
    delivery: fc.constantFrom("thrown", "returned", "wrapped"),
    delayMs,
  });

const bound = fc.constantFrom(0, 0.25, 0.5, 1, 2, 3);
const trigger: fc.Arbitrary<TriggerSpec> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ rule: "allSuccessful" } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      rule: fc.constantFrom("allFailed", "allFinished", "alwaysRun", "anySuccessful", "anyFailed", "notAllSkipped"),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ rule: "manualOnly" } as const) },
  {
    weight: 1,
    arbitrary: fc.record(
      { rule: fc.constantFrom("someSuccessful", "someFailed"), atLeast: bound, atMost: bound },
      { requiredKeys: ["rule"] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      own: fc.constantFrom("is even", "refuses", "throws", "skips", "fails", "succeeds", "loops"),
    }),
  },
);

const plainTask: fc.Arbitrary<TaskSpec> = fc
  .record({
    kind: fc.constant("task" as const),
    over: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.array(over, { minLength: 1, maxLength: 2 }) },
    ),
    args: fc.array(shape, { maxLength: 3 }),
    after: rarely<Pointer[]>([], fc.array(pointer, { maxLength: 2 })),
    trigger,
    skipOnUpstreamSkip: often(true, 3),
    retries: fc.nat({ max: 2 }),
    retryDelayMs: fc.constantFrom(0, 0, 20, 300, 2_000),
    retriesFinal: often(true, 4),
    returns: fc.oneof(
      { weight: 3, arbitrary: fc.constant("number" as const) },
      { weight: 1, arbitrary: fc.constantFrom("choice" as const, "undefined" as const, "null" as const) },
      { weight: 3, arbitrary: fc.array(fc.nat({ max: 2 }), { maxLength: 4 }) },
    ),
    scripts: fc.array(script(false), { minLength: 1, maxLength: 3 }),
    checkpoint: often(true, 6),
    cached: often(false, 6),
  })
  .map((each) => (each.checkpoint ? each : inMemoryOnly(each)));

/**
 * What is kept in memory only must not pause: in a run that was taken up elsewhere nobody could resume it. And a failure is
 * final: its task does not run again for the sake of a value that went with it.
 */
function inMemoryOnly(spec: TaskSpec): TaskSpec {
  const { trigger } = spec;
  const isLeftOut = "own" in trigger ? trigger.own === "fails" : trigger.rule === "manualOnly";
  return {
    ...spec,
    trigger: isLeftOut ? { rule: "allFinished" } : trigger,
    scripts: spec.scripts.map((each) => ({ ...failingWithout(each), pause: undefined })),
  };
}

const failingWithout = (each: Script): Script =>
  each.final === "fails with a value" ? { ...each, final: "fails" } : each;

/** @param depth How deep blocks may stand in blocks. */
function step(depth: number): fc.Arbitrary<Step> {
  const simple: { weight: number; arbitrary: fc.Arbitrary<Step> }[] = [
    { weight: 30, arbitrary: plainTask },
    { weight: 1, arbitrary: fc.constant({ kind: "parameter" } as const) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("merge" as const),
        of: fc.array(pointer, { minLength: 1, maxLength: 3 }),
      }),
    },
  ];
  if (depth === 0) return fc.oneof(...simple);
  const steps = fc.array(step(depth - 1), { maxLength: 3 });
  const block: fc.Arbitrary<Block> = fc.record({
    steps,
    returns: fc.oneof(fc.constantFrom("nothing" as const, "number" as const), fc.record({ at: fc.nat({ max: 3 }) })),
  });
  const blocks = (most: number) => fc.array(block, { minLength: 1, maxLength: most });
  return fc.oneof(
    ...simple,
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("when" as const), on: pointer, blocks: blocks(2) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("switch" as const),
        on: pointer,
        blocks: blocks(3),
        otherwise: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("use" as const),
        args: fc.array(shape, { maxLength: 1 }),
        setup: script(true).map(failingWithout),
        cleanup: fc.constantFrom("value", "throws"),
        body: steps,
      }),
    },
  );
}

const stepsOf = (minLength: number, maxLength: number) => fc.array(step(2), { minLength, maxLength, size: "max" });

/** Flows of 1 to 200 steps; most of them are small, as small ones are where the rare cases meet. */
export const flowSpecs: fc.Arbitrary<FlowSpec> = fc.record({
  steps: fc.oneof(
    { weight: 14, arbitrary: stepsOf(1, 12) },
    { weight: 4, arbitrary: stepsOf(1, 40) },
    { weight: 1, arbitrary: stepsOf(1, MOST_STEPS) },
  ),
  referenceTasks: rarely<Pointer[]>([], fc.array(pointer, { maxLength: 3 })),
});

/** Which of `count` tasks a pointer means; undefined when there is none. The nearest is 0. */
export const aim = (pointed: Pointer, count: number): number | undefined =>
  count === 0 ? undefined : count - 1 - (pointed % count);

/** Arrays have an `at` of their own. */
export const isList = (shape: Shape): shape is readonly Shape[] => Array.isArray(shape);
