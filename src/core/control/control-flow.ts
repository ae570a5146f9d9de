import { currentBuild } from "../building.js";
import { MillraceError } from "../errors.js";
import type { FlowBuilder } from "../flow-builder.js";
import { asReference, type Filled, type Ref, type Reference } from "../reference.js";
import { signals } from "../signal.js";
import { type Branch, type Branched, branchOff, mergeAll } from "./branches.js";
import { ownFunction } from "./own-function.js";

/**
 * Runs the tasks that `then` calls when `condition` is true, and those that `otherwise` calls when it is not. Both functions
 * are called while the flow is built; in a run, the tasks of the branch that is not taken are Skipped, and so is what comes
 * after them. With two branches the two results are merged into one.
 *
 * A task in a branch that has `skipOnUpstreamSkip: false` runs in either case.
 * @returns The output of the branch that was taken, or nothing when neither function returns anything. With one branch it
 * is skipped when the branch is not taken.
 * @throws TASK_ARGUMENT_INVALID, FLOW_BUILD_FAILED when a branch's function is async
 * @example
 * const breakfast = when(isWeekend(day), () => pancakes(), () => toast());
 * eat(breakfast);
 */
export function when<A>(condition: Ref<boolean>, then: () => A): Branched<A>;
export function when<A, B>(condition: Ref<boolean>, then: () => A, otherwise: () => B): Branched<A | B>;
export function when(condition: Ref<boolean>, then: () => unknown, otherwise?: () => unknown): unknown {
  const build = currentBuild("when() was called");
  const on = asReference(condition, "when()");
  const branches = [{ gate: gateOf(build, "true", isTruth, [on, true]), body: then }];
  if (otherwise !== undefined) {
    branches.push({ gate: gateOf(build, "false", isTruth, [on, false]), body: otherwise });
  }
  return branchOff("when()", build, branches);
}

/** The case that a value stands for, as the key of an object. */
type CaseKey<T> = T extends string | number | boolean ? `${T}` : never;
type Cases<T> = { readonly [K in CaseKey<T>]?: () => unknown };
type CaseOutput<C> = C[keyof C] extends infer Body ? (Body extends () => infer A ? A : never) : never;
type NoOtherCases<T, C> = {
  readonly [K in keyof C]: K extends string | number ? (`${K}` extends CaseKey<T> ? unknown : never) : never;
};

/**
 * Runs the tasks of the case whose key is the value of `value` as text, and those of `otherwise` when there is no such case.
 * The others are Skipped; see {@link when}. (`switch` itself is a reserved word.)
 * @returns The output of the case that was taken, or nothing when no function returns anything.
 * @throws TASK_ARGUMENT_INVALID, FLOW_BUILD_FAILED
 * @example
 * const price = switchOn(tariff(order), { basic: () => full(order), member: () => reduced(order) }, () => askForPrice(order));
 */
export function switchOn<T extends string | number | boolean | null | undefined, C extends Cases<T>>(
  value: Ref<T>,
  cases: C & NoOtherCases<T, C>,
): Branched<CaseOutput<C>>;
export function switchOn<T extends string | number | boolean | null | undefined, C extends Cases<T>, B>(
  value: Ref<T>,
  cases: C & NoOtherCases<T, C>,
  otherwise: () => B,
): Branched<CaseOutput<C> | B>;
export function switchOn(
  value: Ref<unknown>,
  cases: Readonly<Record<string, (() => unknown) | undefined>>,
  otherwise?: () => unknown,
): unknown {
  const build = currentBuild("switchOn() was called");
  const on = asReference(value, "switchOn()");
  const given = Object.entries(cases ?? {}).flatMap(([key, body]) =>
    body === undefined ? [] : [[key, body] as const],
  );
  if (given.length === 0) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", "switchOn() was given no case.", {
      hint: "Give an object with a function for each value: switchOn(value, { a: () => …, b: () => … }).",
    });
  }
  const branches: Branch[] = given.map(([key, body]) => ({ gate: gateOf(build, key, isCase, [on, key]), body }));
  if (otherwise !== undefined) {
    const keys = given.map(([key]) => key);
    branches.push({ gate: gateOf(build, "otherwise", isNoCase, [on, keys]), body: otherwise });
  }
  return branchOff("switchOn()", build, branches);
}

/**
 * One reference for several of which only one gives a result, as the branches of a flow do: the first that was not skipped
 * and is not undefined. Skipped when all are; fails when one of them did.
 * @throws TASK_ARGUMENT_INVALID
 * @example
 * const rows = merge(fromCache, fromDatabase);
 */
export function merge<const R extends readonly [Ref<unknown>, ...Ref<unknown>[]]>(
  ...references: R
): Ref<Filled<R[number]>> {
  const build = currentBuild("merge() was called");
  if (references.length === 0) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", "merge() was given nothing.", {
      hint: "Pass the references of which one is to be taken.",
    });
  }
  return mergeAll(
    references.map((each) => asReference(each, "merge()")),
    build,
  ) as unknown as Ref<Filled<R[number]>>;
}

type Compare = (value: never, wanted: never) => void;

const isTruth = ownFunction("millrace case boolean", (value: unknown, wanted: boolean) => {
  if (Boolean(value) !== wanted)
    throw signals.skip(`The condition is ${Boolean(value)}; this branch is for ${wanted}.`);
});
const isCase = ownFunction("millrace case", (value: unknown, key: string) => {
  if (textOf(value) !== key) throw signals.skip(`The value is not "${key}", which this branch is for.`);
});
const isNoCase = ownFunction("millrace case otherwise", (value: unknown, keys: readonly string[]) => {
  const text = textOf(value);
  if (text !== undefined && keys.includes(text)) throw signals.skip("The value has a branch of its own.");
});

/** Null and undefined are no case's value. */
function textOf(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

/** Placed just before its branch's tasks, so that a flow's tasks stand in the order in which its author wrote them. */
function gateOf(build: FlowBuilder, label: string, compare: Compare, args: readonly unknown[]): () => Reference {
  return () => build.addTask({ name: `case(${label})`, options: {}, fn: compare, args, mapped: false });
}
