import { MillraceError } from "../errors.js";
import type { FlowBuilder } from "../flow-builder.js";
import type { FlowTask } from "../flow-definition.js";
import { terminalTasks } from "../graph.js";
import { type Filled, isReference, makeReference, type Ref, type Reference } from "../reference.js";
import { signals } from "../signal.js";
import { isSkipped } from "../state.js";
import { type Trigger, triggers } from "../trigger.js";
import { ownFunction } from "./own-function.js";

/** What a branching gives for branches whose functions return `A`: nothing where all return nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function of nothing but calls returns void.
export type Branched<A> = [A] extends [void] ? void : Ref<FilledBranch<A>>;
type FilledBranch<A> = Exclude<Filled<A>, void> | (void extends A ? undefined : Extract<Filled<A>, undefined>);

/** One branch: the task that lets it run, and the function that calls its tasks. */
export interface Branch {
  readonly gate: () => Reference;
  readonly body: () => unknown;
}

interface PlacedBranch {
  readonly gate: Reference;
  readonly value: unknown;
  readonly tasks: readonly FlowTask[];
}

const branchValue = ownFunction("millrace branch value", (value: unknown) => value);
const nothing = ownFunction("millrace branch done", () => undefined);
const firstResult = ownFunction("millrace merge", (...values: unknown[]) =>
  values.find((value) => value !== undefined),
);

/** Calls each branch's function behind its gate, and brings what they return together in one reference. */
export function branchOff(what: string, build: FlowBuilder, branches: readonly Branch[]): Reference | undefined {
  const placed = branches.map(({ gate, body }) => {
    const opened = gate();
    const { value, tasks } = build.placedBy(() => callNow(what, body));
    guard(opened, tasks, tasks);
    return { gate: opened, value, tasks };
  });
  if (placed.every(({ value }) => value === undefined)) return undefined;
  const values = placed.map((each) => outputOf(each, build));
  return values.length === 1 ? values[0]! : mergeAll(values, build);
}

/** A block of a build function is called at once, as the build function itself. @throws FLOW_BUILD_FAILED */
export function callNow<T>(what: string, body: () => T): T {
  if (typeof body !== "function") {
    throw new MillraceError("TASK_ARGUMENT_INVALID", `${what} was given ${typeof body} where it takes a function.`, {
      hint: "Wrap what belongs into the block in () => { … }.",
    });
  }
  const value = body();
  if (!(value instanceof Promise)) return value;
  value.catch(() => {});
  throw new MillraceError("FLOW_BUILD_FAILED", `A function given to ${what} is async.`, {
    hint: "Build the flow synchronously; put what must be awaited into a task.",
  });
}

/**
 * Lets `tasks` run only behind `gate`. Where one of `inside` comes before a task and hands a skip on, the gate is behind
 * that one already. A task that runs in spite of skipped upstreams, as merge() does, must not count the gate as one of them.
 */
function guard(gate: Reference, tasks: readonly FlowTask[], inside: readonly FlowTask[]): void {
  const within = new Set(inside);
  const handsOn = (task: FlowTask) => task.options.skipOnUpstreamSkip !== false;
  for (const task of tasks) {
    const before = task.upstream.map((edge) => edge.upstream).filter((upstream) => within.has(upstream));
    if (!(handsOn(task) ? before.some(handsOn) : before.length > 0)) task.runAfter(gate);
  }
}

/** A branch's value as that of a task of its own, so that it is skipped with the branch: what was made outside would not be. */
function outputOf({ gate, value, tasks }: PlacedBranch, build: FlowBuilder): Reference {
  if (isReference(value) && !value.flattened && tasks.includes(value.flowTask)) return value;
  if (value === undefined) return doneOf(gate, tasks, build);
  const secret = isReference(value) && value.flowTask.kind === "secret";
  const options = secret ? { checkpoint: false } : {};
  const call = { name: "branch value", fn: branchValue, args: [value], mapped: false, options, resetOnResume: secret };
  const reference = build.addTask(call);
  guard(gate, [reference.flowTask], tasks);
  return reference;
}

const branchDone: Trigger = {
  name: "branch_done",
  check: ([gate, ...others], facts) => {
    if (gate && isSkipped(gate)) throw signals.skip("The branch was not taken.");
    return triggers.allSuccessful.check(others, facts);
  },
};

/** Undefined, once the tasks of a branch that returns nothing are finished, some of them skipped perhaps. */
function doneOf(gate: Reference, tasks: readonly FlowTask[], build: FlowBuilder): Reference {
  const options = { trigger: branchDone, skipOnUpstreamSkip: false };
  const reference = build.addTask({ name: "branch done", options, fn: nothing, args: [gate], mapped: false });
  for (const task of terminalTasks(tasks)) reference.flowTask.runAfter(makeReference(task));
  return reference;
}

/** The first of several results that there is. */
export function mergeAll(references: readonly Ref<unknown>[], build: FlowBuilder): Reference {
  const options = { trigger: triggers.notAllSkipped, skipOnUpstreamSkip: false };
  return build.addTask({ name: "merge", options, fn: firstResult, args: references, mapped: false });
}
