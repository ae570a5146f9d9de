import { isMapped, isSuccessful, isTerminal } from "../core/state.js";
import type { FlowPlan } from "./plan.js";
import type { KnownTaskRuns, TaskRun } from "./task/task-run.js";

/*
 * Some values live in one process alone: a resource that a task set up, and the results of tasks with `checkpoint: false`.
 * When a run is taken up elsewhere, their tasks run again though they are finished, as long as a task below still needs
 * them. The Cloud has their final states, which are never overwritten: what happens now is told to the log.
 */

/** Makes such task runs unfinished again. @returns those that will run again */
export function takeBackVolatile(
  { tasks: planned }: FlowPlan,
  runs: readonly TaskRun[],
  known: KnownTaskRuns,
): readonly TaskRun[] {
  const again: TaskRun[] = [];
  for (let at = planned.length - 1; at >= 0; at -= 1) {
    const run = runs[at]!;
    if (!isVolatile(run)) continue;
    const { onDecided, onComplete, inItemsOf } = planned[at]!;
    const isNeeded = [...onDecided, ...onComplete, ...inItemsOf].some((below) => isOpen(runs[below]!, known));
    if (!isNeeded) continue;
    run.unreported = true;
    again.push(run);
    // A Mapped parent is taken up again in any case; its children are taken back when they are made.
    if (!run.plan.task.mapped) takeBack(run);
  }
  return again;
}

/** For a child whose parent runs again. */
export function takeBackChild(child: TaskRun): void {
  if (!isVolatile(child)) return;
  child.unreported = true;
  takeBack(child);
}

function takeBack(run: TaskRun): void {
  run.state = null;
  run.done = false;
  run.valueKnown = false;
}

function isVolatile({ plan: { task }, done, state }: TaskRun): boolean {
  if (!done || !state || !isSuccessful(state) || state.type === "Skipped") return false;
  if (isMapped(state)) return task.mapped && (task.resetOnResume || task.options.checkpoint === false);
  return task.resetOnResume || (task.options.checkpoint === false && state.result === undefined);
}

function isOpen(run: TaskRun, known: KnownTaskRuns): boolean {
  if (!run.done || run.unreported) return true;
  if (!run.isParent || run.state?.type !== "Mapped") return false;
  const { slug } = run.plan.task;
  for (let index = 0; index < (run.state.mapCount ?? 0); index += 1) {
    const child = known.get(slug, index)?.state;
    if (!child || !isTerminal(child)) return true;
  }
  return false;
}
