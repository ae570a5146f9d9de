import { signals } from "./signal.js";
import { isFailed, isFinished, isSkipped, isSuccessful, type State } from "./state.js";

/** What a trigger may know of the task run besides the states. */
export interface TriggerFacts {
  /** Was the task run resumed, by hand or because its pause is over? */
  readonly resumed: boolean;
}

/** A rule over the states of a task's upstreams that lets it start. `name` is what the Cloud shows. */
export interface Trigger {
  readonly name: string;
  /**
   * True: start. A string: the task ends TriggerFailed with it as the reason. A signal thrown: the task ends as it says.
   * The states stand in the order of the arguments that they belong to, those of `.after()` behind them; a Mapped upstream
   * stands as its children.
   */
  readonly check: (upstream: readonly State[], facts: TriggerFacts) => true | string;
}

/** How many states must hold: a whole number of 1 or more, or a fraction of all below 1. Both ends count. */
export interface Bounds {
  readonly atLeast?: number;
  readonly atMost?: number;
}

const count = (states: readonly State[], holds: (state: State) => boolean): number =>
  states.reduce((sum, state) => sum + (holds(state) ? 1 : 0), 0);

const allSuccessful = trigger(
  "all_successful",
  (states) => count(states, isSuccessful) === states.length || "not all upstream tasks succeeded",
);

const allFinished = trigger(
  "all_finished",
  (states) => count(states, isFinished) === states.length || "not all upstream tasks finished",
);

/**
 * The triggers of Prefect 1.x (section 3.4 of the protocol notes). Skipped counts as success, Cancelled as neither; without
 * upstreams all of them pass but `manualOnly`, which waits, and `notAllSkipped`, which skips.
 * @example
 * const cleanUp = task("clean up", { trigger: triggers.allFinished }, () => drop());
 * const report = task("report", { trigger: triggers.someFailed({ atLeast: 2 }) }, () => mail());
 */
export const triggers = {
  /** The default. */
  allSuccessful,
  allFailed: trigger(
    "all_failed",
    (states) => count(states, isFailed) === states.length || "not all upstream tasks failed",
  ),
  allFinished,
  /** Another name for `allFinished`. */
  alwaysRun: allFinished,
  anySuccessful: trigger(
    "any_successful",
    (states) => states.length === 0 || count(states, isSuccessful) > 0 || "no upstream task succeeded",
  ),
  anyFailed: trigger(
    "any_failed",
    (states) => states.length === 0 || count(states, isFailed) > 0 || "no upstream task failed",
  ),
  someSuccessful: (bounds: Bounds): Trigger => some("some_successful", "succeeded", isSuccessful, bounds),
  someFailed: (bounds: Bounds): Trigger => some("some_failed", "failed", isFailed, bounds),
  /** Pauses until someone resumes the task run. */
  manualOnly: trigger("manual_only", (_states, { resumed }) => {
    if (resumed) return true;
    throw signals.pause('Trigger function is "manual_only"');
  }),
  /** Skips when all upstreams were skipped; otherwise as `allSuccessful`. */
  notAllSkipped: trigger("not_all_skipped", (states, facts) => {
    if (states.every(isSkipped)) throw signals.skip("All upstream tasks were skipped.");
    return allSuccessful.check(states, facts);
  }),
  /**
   * For a task that cleans up what its first argument set up: starts when all upstreams are finished, however they ended,
   * and skips when nothing was set up. See `resource()`.
   */
  resourceCleanup: trigger("resource_cleanup", ([setUp, ...others]) => {
    if (setUp && isSkipped(setUp)) throw signals.skip("The resource's set-up was skipped.");
    if (setUp && !isSuccessful(setUp)) throw signals.skip("The resource's set-up did not succeed.");
    return others.every(isFinished) || "not all upstream tasks finished";
  }),
} as const;

function trigger(name: string, check: Trigger["check"]): Trigger {
  return Object.freeze({ name, check });
}

function some(name: string, verb: string, holds: (state: State) => boolean, bounds: Bounds): Trigger {
  const { atLeast, atMost } = bounds;
  const inNumbers = (bound: number, all: number) => (bound < 1 ? bound * all : bound);
  const told = [atLeast === undefined ? [] : `at_least=${atLeast}`, atMost === undefined ? [] : `at_most=${atMost}`];
  return trigger(`${name}(${told.flat().join(", ")})`, (states) => {
    if (states.length === 0) return true;
    const found = count(states, holds);
    if (atLeast !== undefined && found < inNumbers(atLeast, states.length))
      return `${found} of ${states.length} upstream tasks ${verb}, fewer than ${atLeast}`;
    if (atMost !== undefined && found > inNumbers(atMost, states.length))
      return `${found} of ${states.length} upstream tasks ${verb}, more than ${atMost}`;
    return true;
  });
}
