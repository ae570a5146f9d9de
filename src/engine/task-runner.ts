import { toFailure } from "../codec/failure.js";
import { authorStack, MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { isFailed, makeState, type State } from "../core/state.js";
import { failedInCode, failedToStore, timedOut } from "./failed-state.js";
import { fillArguments, type ReadReference } from "./fill-arguments.js";
import { type GateView, gatesAfterRunning, gatesBeforeMapping, gatesBeforeRunning, passGates } from "./gates.js";
import { makeLogger } from "./logger.js";
import type { EnginePorts, EngineRun } from "./ports.js";
import { placeOf } from "./result-place.js";
import { RunningTaskContext } from "./task-context.js";
import type { TaskRun } from "./task-run.js";
import { TaskSignal } from "./task-signal.js";
import { type Settled, settle, settleInTime } from "./timeout.js";
import type { Timestamps } from "./timestamps.js";
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
}

/** How one try ended: with a final state, or Retrying. */
export interface TryEnd {
  readonly state: State;
  readonly value: unknown;
}

/*
 * One task run, in order: upstream skipped? → trigger passes? → (the flow runner loads values and reports Running) →
 * arguments filled in → the author's function, against its timeout → result written → retry left? A mapped parent stops
 * behind the first gate. A task run that is tried again begins at the top.
 */

/** The gates before the task's code, or before a mapped task's children: undefined lets it run on. */
export function passGatesOf(run: TaskRun, around: Surroundings): State | undefined {
  return passGates(run.isParent ? gatesBeforeMapping : gatesBeforeRunning, viewOf(run, around));
}

function viewOf(run: TaskRun, { tasks, ports, timestamps }: Surroundings): GateView {
  return {
    task: run.plan.task,
    upstream: upstreamStates(run, tasks),
    runCount: run.runCount,
    now: ports.clock.now(),
    at: timestamps.now(),
  };
}

/** One try of a task run whose Running was accepted. Never throws. */
export async function tryTask(run: TaskRun, around: Surroundings): Promise<TryEnd> {
  const settled = await callFunction(run, around);
  // Whatever a task throws once it was told to stop, it did not fail.
  if (settled.kind !== "returned" && around.stop.aborted)
    return { state: cancelled(around.timestamps.now()), value: undefined };
  const end = settled.kind === "returned" ? await storeValue(run, settled.value, around) : fail(run, settled, around);
  if (!isFailed(end.state) || around.stop.aborted) return end;
  const view = viewOf(run, around);
  return { state: gatesAfterRunning.reduce((state, gate) => gate(state, view), end.state), value: end.value };
}

/** The state of a task run that its flow run's cancellation ended. */
export function cancelled(at: string): State {
  return makeState("Cancelled", "The flow run was cancelled.", { at });
}

const NEVER = new AbortController().signal;

async function callFunction(run: TaskRun, around: Surroundings): Promise<Settled> {
  const signal = new TaskSignal();
  run.signal = signal;
  const { fn, options } = run.plan.task;
  const context = new RunningTaskContext(run, signal, around);
  const { executor } = around.ports;
  const hardStop = NEVER;
  const call = () =>
    executor.call({ fn: fn!, args: fillArguments(run, around.tasks, around.readReference), context, hardStop });
  if (options.timeoutMs === undefined) return settle(call);
  const settled = await settleInTime(call, options.timeoutMs, around.ports.clock);
  if (settled.kind === "timed out") signal.abort(timeoutError(run));
  return settled;
}

async function storeValue(run: TaskRun, value: unknown, around: Surroundings): Promise<TryEnd> {
  const { ports, timestamps } = around;
  try {
    const result = value === undefined ? undefined : await ports.results.write(value, placeOf(run, around));
    const at = timestamps.now();
    return { state: makeState("Success", "Task run succeeded.", result ? { at, result } : { at }), value };
  } catch (error) {
    logError(run, error, `The result of task "${run.name}" could not be stored`, around);
    return { state: failedToStore(error, timestamps.now()), value: undefined };
  }
}

function fail(run: TaskRun, settled: Settled & { kind: "threw" | "timed out" }, around: Surroundings): TryEnd {
  const at = around.timestamps.now();
  const error = settled.kind === "threw" ? settled.error : timeoutError(run);
  logError(run, error, `Error during execution of task "${run.name}"`, around);
  const state = settled.kind === "threw" ? failedInCode(error, at) : timedOut(error as MillraceError, at);
  return { state, value: undefined };
}

function timeoutError({ name, plan }: TaskRun): MillraceError {
  return new MillraceError(
    "TASK_TIMED_OUT",
    `Task "${name}" ran longer than its timeout of ${plan.task.options.timeoutMs} ms.`,
    {
      hint: "Raise the task's `timeoutMs`, and hand `taskContext().signal` to what it waits for.",
    },
  );
}

function logError(run: TaskRun, thrown: unknown, what: string, { ports, timestamps }: Surroundings): void {
  const { name, message, stack } = toFailure(thrown);
  makeLogger(
    run.plan.task.name,
    run.taskRunId,
    () => timestamps.now(),
    (line) => ports.reporter.log(line),
  ).error(`${what}: ${stack === null ? `${name}: ${message}` : authorStack(stack)}`);
}
