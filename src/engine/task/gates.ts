import { inspect } from "node:util";
import type { FlowTask } from "../../core/flow-definition.js";
import type { Signal } from "../../core/signal.js";
import { isSkipped, isSuccessful, makeState, type State } from "../../core/state.js";
import { triggers } from "../../core/trigger.js";
import { describeFailure, errorContext } from "../failed-state.js";
import { findSignal } from "./find-signal.js";
import type { UpstreamStates } from "./upstream.js";

/** What a gate may look at. */
export interface GateView {
  readonly task: FlowTask;
  readonly upstream: UpstreamStates;
  /** Was the task run resumed? */
  readonly resumed: boolean;
  /** ISO 8601, for the states that are made. */
  readonly at: string;
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

/**
 * Ends TriggerFailed where the task's trigger does not let it start, or as the signal says that the trigger threw. It is
 * asked for each child of a mapped task, not for the parent; its failure is never retried.
 */
export function triggerPasses({ task, upstream, resumed, at }: GateView): State | Signal | undefined {
  const { shared, own } = upstream;
  const trigger = task.options.trigger ?? triggers.allSuccessful;
  if (trigger === triggers.allSuccessful && shared.allSuccessful && own.every(isSuccessful)) return undefined;
  try {
    const verdict: unknown = trigger.check(own.length === 0 ? shared.states : [...shared.states, ...own], { resumed });
    if (verdict === true) return undefined;
    // Its type forbids an async check, JavaScript does not: what it throws later is nobody's.
    if (verdict instanceof Promise) verdict.catch(() => {});
    const why = typeof verdict === "string" ? verdict : `it gave ${inspect(verdict)}, and neither true nor a reason`;
    return makeState("TriggerFailed", `Trigger was "${trigger.name}" but ${why}.`, { at });
  } catch (error) {
    const signal = findSignal(error);
    // To loop, a task must have run.
    if (signal && signal.kind !== "loop") return signal;
    const thrown = signal ? new Error("signals.loop() was thrown, which only a task can follow") : error;
    const message = `Trigger "${trigger.name}" threw an error: ${describeFailure(thrown)}`;
    return makeState("TriggerFailed", message, { at, context: errorContext(thrown) });
  }
}
