import type { MillraceError } from "../../core/errors.js";
import type { FlowDefinition } from "../../core/flow-definition.js";
import { isSignal, type Signal } from "../../core/signal.js";
import { isFailed, makeState, type State } from "../../core/state.js";
import { failedInCode, timedOut } from "../failed-state.js";
import type { EnginePorts, EngineRun } from "../ports.js";
import type { Timestamps } from "../timestamps.js";
import { checkInput, pausedAgain } from "./before-try.js";
import type { ReadReference } from "./fill-arguments.js";
import { findSignal } from "./find-signal.js";
import type { GateView } from "./gates.js";
import { retryLeft } from "./retry.js";
import { callFunction, timeoutError } from "./task-call.js";
import { endBySignal, endBySuccess, endWith, logError, pauseBy, type TaskEnd } from "./task-end.js";
import type { TaskRun } from "./task-run.js";
import type { Settled } from "./timeout.js";
import { upstreamStates } from "./upstream.js";

/** The flow run that a task run stands in. */
export interface Surroundings {
  readonly flow: FlowDefinition;
  readonly run: EngineRun;
  readonly ports: EnginePorts;
  readonly timestamps: Timestamps;
  /** The task runs that are no children, by their place in the plan. */
  readonly tasks: readonly TaskRun[];
  readonly readReference: ReadReference;
  /** As converted by their schemas. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Aborted when the run ends before its tasks have. */
  readonly stop: AbortSignal;
  /** Aborted when the run has ended, however it did. */
  readonly over: AbortSignal;
}

/*
 * One pass of a task run, in the order of section 3.3 of the protocol notes. The flow runner calls the parts, as some of
 * them wait:
 *
 *   due? → upstream skipped? → values loaded → (a mapped parent gets its children, and ends here) → trigger passes? →
 *   named → target or cache → loop value, input of a resume → Running → the author's function, against its timeout →
 *   result written → cached → retry left? → looping
 *
 * Each state is told to the state handlers before it counts. A task run that is tried again, resumed or looping begins at
 * the top.
 */

/** What the gates before a try look at. */
export function viewOf(run: TaskRun, { tasks, timestamps }: Surroundings): GateView {
  return {
    task: run.plan.task,
    upstream: upstreamStates(run, tasks),
    resumed: run.resumed,
    at: timestamps.now(),
  };
}

/** One try of a task run whose Running was accepted. Never throws. */
export async function tryTask(run: TaskRun, args: readonly unknown[], around: Surroundings): Promise<TaskEnd> {
  const end = await endOfTry(run, args, around);
  if (around.stop.aborted) return end;
  return isFailed(end.state) ? { ...end, state: retryOf(end, run, around) } : end;
}

/** Retrying in place of a failure, while retries are left; otherwise the very same state. */
export function retryOf({ state, thrown }: TaskEnd, run: TaskRun, around: Surroundings): State {
  const { ports, timestamps } = around;
  return retryLeft(state, thrown, {
    options: run.plan.task.options,
    runCount: run.runCount,
    now: ports.clock.now(),
    at: timestamps.now(),
    random: ports.random ?? Math.random,
    onBadQuestion: (error) =>
      logError(run, error, `\`retryOn\` of task "${run.name}" threw, so the task is not retried`, around),
  });
}

async function endOfTry(run: TaskRun, args: readonly unknown[], around: Surroundings): Promise<TaskEnd> {
  const resumption = run.resumption;
  // The pause was in another process: its schema is in the code alone, which says it when it pauses again.
  const asksAgain = resumption?.unchecked === true;
  if (resumption && asksAgain) resumption.hidden = true;
  let settled = await callFunction(run, args, around);
  if (resumption && asksAgain) {
    resumption.hidden = false;
    const pause = signalOf(settled);
    if (pause?.kind === "pause") {
      const { schema } = pause.facts;
      pauseBy(pause, run, around.timestamps.now());
      const refused = schema ? await checkInput(resumption, schema) : undefined;
      if (refused !== undefined) return endWith(pausedAgain(run, refused, around));
      if (!schema) resumption.input = resumption.given;
      resumption.unchecked = false;
      if (around.stop.aborted) return endWith(cancelled(around.timestamps.now()));
      settled = await callFunction(run, args, around);
    }
  }
  const signal = signalOf(settled);
  // Whatever a task throws once it was told to stop, it did not fail.
  if (around.stop.aborted && settled.kind !== "returned" && !(signal && isFinal(signal)))
    return endWith(cancelled(around.timestamps.now()));
  if (signal) return endBySignal(signal, run, args, around);
  return settled.kind === "returned" ? endBySuccess(run, args, settled.value, around) : fail(run, settled, around);
}

function signalOf(settled: Settled): Signal | undefined {
  if (settled.kind === "threw") return findSignal(settled.error);
  return settled.kind === "returned" && isSignal(settled.value) ? settled.value : undefined;
}

const isFinal = ({ kind }: Signal): boolean => kind === "skip" || kind === "success";

/** The state of a task run that its flow run's cancellation ended. */
export function cancelled(at: string): State {
  return makeState("Cancelled", "The flow run was cancelled.", { at });
}

function fail(run: TaskRun, settled: Settled & { kind: "threw" | "timed out" }, around: Surroundings): TaskEnd {
  const at = around.timestamps.now();
  const error = settled.kind === "threw" ? settled.error : timeoutError(run);
  logError(run, error, `Error during execution of task "${run.name}"`, around);
  const state = settled.kind === "threw" ? failedInCode(error, at) : timedOut(error as MillraceError, at);
  return { ...endWith(state), thrown: error };
}
