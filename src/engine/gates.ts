import type { FlowTask } from "../core/flow-definition.js";
import { isFailed, isSkipped, isSuccessful, makeState, type State } from "../core/state.js";
import { triggers } from "../core/trigger.js";
import { describeFailure, errorContext } from "./failed-state.js";
import type { UpstreamStates } from "./upstream.js";

/** What a gate may look at. */
export interface GateView {
  readonly task: FlowTask;
  readonly upstream: UpstreamStates;
  /** How often the task was tried. */
  readonly runCount: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The same as ISO 8601, for the states that are made. */
  readonly at: string;
}

/** A gate before the task's code: lets the task run on (undefined), or ends it with a state. */
export type Gate = (view: GateView) => State | undefined;

/** A gate behind the task's code: takes the state that it ended with, and returns the one that counts. */
export type AfterGate = (state: State, view: GateView) => State;

/** Asked in this order before a task, or a child of a mapped one, runs. */
export const gatesBeforeRunning: readonly Gate[] = [upstreamSkipped, triggerPasses];

/** Asked before a mapped task gets its children. The trigger is asked for each child, not for the parent. */
export const gatesBeforeMapping: readonly Gate[] = [upstreamSkipped];

/** Asked in this order after each try. */
export const gatesAfterRunning: readonly AfterGate[] = [retryLeft];

/** The first gate's answer that ends the task run. */
export function passGates(gates: readonly Gate[], view: GateView): State | undefined {
  for (const gate of gates) {
    const ended = gate(view);
    if (ended) return ended;
  }
  return undefined;
}

/** Ends Skipped behind a skipped upstream, unless the task says otherwise. */
export function upstreamSkipped({ task, upstream, at }: GateView): State | undefined {
  if (task.options.skipOnUpstreamSkip === false) return undefined;
  if (!upstream.shared.anySkipped && !upstream.own.some(isSkipped)) return undefined;
  return makeState(
    "Skipped",
    "An upstream task was skipped. If this task should run all the same, set `skipOnUpstreamSkip: false`.",
    { at },
  );
}

/** Ends TriggerFailed where the task's trigger does not let it start. */
export function triggerPasses({ task, upstream, at }: GateView): State | undefined {
  const { shared, own } = upstream;
  const trigger = task.options.trigger ?? triggers.allSuccessful;
  if (trigger === triggers.allSuccessful && shared.allSuccessful && own.every(isSuccessful)) return undefined;
  try {
    const verdict = trigger.check(own.length === 0 ? shared.states : [...shared.states, ...own], { resumed: false });
    if (verdict === true) return undefined;
    return makeState("TriggerFailed", `Trigger was "${trigger.name}" but ${verdict}.`, { at });
  } catch (error) {
    const message = `Trigger "${trigger.name}" threw an error: ${describeFailure(error)}`;
    return makeState("TriggerFailed", message, { at, context: errorContext(error) });
  }
}

/** A failed try that may be repeated becomes Retrying. */
export function retryLeft(state: State, { task, runCount, now, at }: GateView): State {
  const { retries = 0 } = task.options;
  const retryDelayMs = typeof task.options.retryDelayMs === "number" ? task.options.retryDelayMs : 0;
  if (!isFailed(state) || runCount > retries) return state;
  return makeState("Retrying", `Retrying Task (after attempt ${runCount} of ${retries + 1})`, {
    at,
    startAt: new Date(now + retryDelayMs).toISOString(),
    runCount,
    ...(state.context ? { context: state.context } : {}),
  });
}
