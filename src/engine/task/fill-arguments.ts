import type { FlowTask } from "../../core/flow-definition.js";
import type { Reference } from "../../core/reference.js";
import { isSuccessful } from "../../core/state.js";
import type { ArgumentPlan } from "../plan.js";
import type { TaskRun } from "./task-run.js";
import { flatItems } from "./upstream.js";
import { inMemory } from "./values.js";

/** Reads a reference: the value of its task in this run, unnested where the author wrote flatten(). */
export type ReadReference = (reference: Reference) => unknown;

/** The values must be in memory; see Values.load. @param onFlatten Told of each output that is flattened. */
export function referenceReader(
  tasks: readonly TaskRun[],
  indexOf: ReadonlyMap<FlowTask, number>,
  onFlatten: (upstream: TaskRun) => void,
): ReadReference {
  return (reference) => {
    const run = tasks[indexOf.get(reference.flowTask)!]!;
    inMemory(run);
    if (!reference.flattened) return run.value;
    if (isSuccessful(run.state!)) onFlatten(run);
    return Array.isArray(run.value) ? run.value.flat(1) : run.value;
  };
}

/**
 * The arguments for one task run's function. What all children of a mapped task get whole is filled in once.
 * @param afresh True: with a reader that no other call has, whose answers are not kept.
 */
export function fillArguments(run: TaskRun, tasks: readonly TaskRun[], read: ReadReference, afresh = false): unknown[] {
  const { args } = run.plan;
  const { parent } = run;
  if (!parent) return args.map((arg) => fillWhole(arg, read));
  const shared =
    (afresh ? undefined : parent.sharedArgs) ??
    args.slice(0, run.plan.task.args.length).map((arg) => fillWhole(arg, read));
  if (!afresh) parent.sharedArgs = shared;
  const filled = [...shared];
  for (let at = 0; at < filled.length; at += 1) {
    const arg = args[at]!;
    if (arg.kind === "each") filled[at] = itemOf(run, parent, at, tasks[arg.upstream]!, arg.flattened);
    else if (arg.kind === "items") filled[at] = arg.templates[run.mapIndex]?.fill(read);
  }
  return filled;
}

function fillWhole(arg: ArgumentPlan, read: ReadReference): unknown {
  return arg.kind === "whole" ? arg.template.fill(read) : undefined;
}

function itemOf(run: TaskRun, parent: TaskRun, at: number, upstream: TaskRun, flattened: boolean): unknown {
  // An upstream that did not succeed has no items; its child runs only where the trigger lets it.
  if (!isSuccessful(upstream.state!)) return undefined;
  if (flattened) return flatItems(parent, at, upstream)[run.mapIndex]?.value;
  if (upstream.children) return upstream.children[run.mapIndex]?.value;
  return (upstream.value as readonly unknown[] | undefined)?.[run.mapIndex];
}
