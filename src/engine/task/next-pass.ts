import { MillraceError } from "../../core/errors.js";
import { isLooped, isPaused, isRetrying, isScheduled, type State } from "../../core/state.js";
import { failed } from "../failed-state.js";
import type { TaskEnd } from "./task-end.js";
import type { TaskRun } from "./task-run.js";
import { carriedBy } from "./task-standing.js";

/**
 * A task run has entered a state that is not its last: makes it ready for its next pass.
 * @param tried Was the state made inside a try, and not before it?
 * @returns the state to report, which says where the task run stands
 */
export function nextPass(run: TaskRun, end: TaskEnd, tried: boolean): State {
  const { state } = end;
  if (isLooped(state)) {
    run.loop = { count: run.loopCount + 1, value: end.value, known: end.known, record: state.result };
    run.runCount = 0;
    run.resumption = undefined;
    run.resumeSchema = undefined;
    return state;
  }
  if (!isScheduled(state)) return state;
  // A pause takes back what the task run was resumed with before.
  if (isPaused(state)) run.resumption = undefined;
  const { context, result } = carriedBy(run, tried ? run.runCount : run.runCount + 1);
  const kept = { ...state, context: { ...state.context, ...context }, ...(result ? { result } : {}) };
  if (isRetrying(state)) return { ...kept, runCount: run.runCount };
  // A pause is no try of its own: the task goes on with the one it was in.
  if (tried) run.runCount -= 1;
  return kept;
}

/** A task run whose Cloud holds it for finished cannot wait for a person: nobody could resume it. */
export function refusePause(run: TaskRun, at: string): State {
  const error = new MillraceError(
    "STATE_REFUSED",
    `Task run "${run.name}" paused while it ran again in a run that was taken up elsewhere.`,
    { hint: "A task with `checkpoint: false`, or that sets up a resource, must not pause." },
  );
  return failed(error.message, error, at);
}
