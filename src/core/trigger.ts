import { isFailed, isFinished, isSuccessful, type State } from "./state.js";

/** A rule over the states of a task's upstreams that lets it start. `name` is what the Cloud shows. */
export interface Trigger {
  readonly name: string;
  /** True: start. A string: the task ends TriggerFailed with it as the reason. */
  readonly check: (upstream: readonly State[]) => true | string;
}

const count = (states: readonly State[], holds: (state: State) => boolean): number =>
  states.reduce((sum, state) => sum + (holds(state) ? 1 : 0), 0);

/** The triggers of Prefect 1.x that issue no signal. Skipped counts as success, Cancelled as neither; without upstreams all of them pass. */
export const triggers = {
  allSuccessful: trigger(
    "all_successful",
    (states) => count(states, isSuccessful) === states.length || "not all upstream tasks succeeded",
  ),
  allFailed: trigger(
    "all_failed",
    (states) => count(states, isFailed) === states.length || "not all upstream tasks failed",
  ),
  allFinished: trigger(
    "all_finished",
    (states) => count(states, isFinished) === states.length || "not all upstream tasks finished",
  ),
  anySuccessful: trigger(
    "any_successful",
    (states) => states.length === 0 || count(states, isSuccessful) > 0 || "no upstream task succeeded",
  ),
  anyFailed: trigger(
    "any_failed",
    (states) => states.length === 0 || count(states, isFailed) > 0 || "no upstream task failed",
  ),
} as const;

function trigger(name: string, check: Trigger["check"]): Trigger {
  return Object.freeze({ name, check });
}
