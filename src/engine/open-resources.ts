import { isSuccessful, makeState } from "../core/state.js";
import { failedInCode } from "./failed-state.js";
import { callFunction } from "./task/task-call.js";
import { endWith, logError, type TaskEnd } from "./task/task-end.js";
import type { TaskRun } from "./task/task-run.js";
import type { Surroundings } from "./task/task-runner.js";

/** A resource that was set up in this process and not given back yet. */
export interface OpenResource {
  /** The task run that would give it back; for a child that was not made yet, its parent. */
  readonly cleanup: TaskRun;
  readonly resource: unknown;
}

/** In the order in which they are to be given back: one inside another's block comes first. */
export function openResources(tasks: readonly TaskRun[], running: ReadonlySet<TaskRun>): OpenResource[] {
  const open: OpenResource[] = [];
  for (const cleanup of tasks) {
    if (!cleanup.plan.task.cleansUp || cleanup.complete) continue;
    const arg = cleanup.plan.args[0]!;
    const setup = tasks[arg.kind === "each" ? arg.upstream : cleanup.plan.valueUpstreams[0]!]!;
    const setups = cleanup.isParent ? (setup.children ?? []) : [setup];
    setups.forEach((each, index) => {
      const own = cleanup.isParent ? (cleanup.children?.[index] ?? cleanup) : cleanup;
      const isUp = each.done && each.valueKnown && isSuccessful(each.state!) && each.state!.type !== "Skipped";
      if (isUp && !(own.done && own !== cleanup) && !running.has(own))
        open.push({ cleanup: own, resource: each.value });
    });
  }
  return open;
}

/** Gives a resource back outside the flow's order, since the run is over for this process. Never throws. */
export async function closeResource({ cleanup, resource }: OpenResource, around: Surroundings): Promise<TaskEnd> {
  const settled = await callFunction(cleanup, [resource], around);
  const { timestamps } = around;
  if (settled.kind === "returned")
    return endWith(makeState("Success", "Task run succeeded.", { at: timestamps.now() }));
  const error = settled.kind === "threw" ? settled.error : new Error("The clean-up ran longer than its timeout.");
  logError(cleanup, error, `A resource could not be given back by task "${cleanup.name}"`, around);
  return endWith(failedInCode(error, timestamps.now()));
}
