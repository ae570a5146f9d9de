import { toFailure } from "../../codec/failure.js";
import { authorStack } from "../../core/errors.js";
import type { Signal } from "../../core/signal.js";
import { makeState, type ResultRecord, type State, type StateType } from "../../core/state.js";
import { describeFailure, failed, failedToStore } from "../failed-state.js";
import { makeLogger } from "../logger.js";
import { placeOf } from "./result-place.js";
import { isoAt, retryDelayMs, retrying } from "./retry.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import { pausedContext } from "./task-standing.js";

/** The state that something ended with, and the value that goes with it. */
export interface TaskEnd {
  readonly state: State;
  readonly value: unknown;
  /** False: the value is to be read from the state's result when somebody needs it. */
  readonly known: boolean;
  /** What was thrown, for `retryOn`. */
  readonly thrown?: unknown;
}

export function endWith(state: State, value: unknown = undefined): TaskEnd {
  return { state, value, known: true };
}

/** The end of a task that returned, with its value written unless the task says otherwise. */
export async function endBySuccess(
  run: TaskRun,
  args: readonly unknown[],
  value: unknown,
  around: Surroundings,
  message = "Task run succeeded.",
): Promise<TaskEnd> {
  return endWithValue("Success", message, run, args, value, around);
}

/**
 * What a signal says, for a try or for a trigger or state handler in its place.
 * @param args The task's arguments, once they are known.
 */
export async function endBySignal(
  signal: Signal,
  run: TaskRun,
  args: readonly unknown[],
  around: Surroundings,
): Promise<TaskEnd> {
  const { kind, facts } = signal;
  const at = around.timestamps.now();
  switch (kind) {
    case "skip":
      return endWith(makeState("Skipped", facts.message ?? "The task skipped itself.", { at }));
    case "success":
      return endBySuccess(run, args, facts.value, around, facts.message);
    case "fail":
      return endByFailure("Failed", "The task failed by its own signal.", signal, run, args, around);
    case "triggerFail":
      return endByFailure("TriggerFailed", "The task's trigger failed by its own signal.", signal, run, args, around);
    case "validationFail":
      return endByFailure("ValidationFailed", "The task's validation failed.", signal, run, args, around);
    case "retry":
      return endWith(retryBy(signal, run, around));
    case "pause":
      return endWith(pauseBy(signal, run, at));
    case "loop": {
      const message = facts.message ?? `Task is looping (${run.loopCount})`;
      const end = await endWithValue("Looped", message, run, args, facts.value, around);
      return end.state.type === "Looped" ? { ...end, state: { ...end.state, loopCount: run.loopCount } } : end;
    }
  }
}

function endByFailure(
  type: StateType,
  message: string,
  signal: Signal,
  run: TaskRun,
  args: readonly unknown[],
  around: Surroundings,
): Promise<TaskEnd> {
  const text = signal.facts.message ?? message;
  taskLogger(run, around).error(`Task "${run.name}" ended its try with ${type}: ${text}`);
  return endWithValue(type, text, run, args, signal.facts.value, around).then((end) => ({ ...end, thrown: signal }));
}

async function endWithValue(
  type: StateType,
  message: string,
  run: TaskRun,
  args: readonly unknown[],
  value: unknown,
  around: Surroundings,
): Promise<TaskEnd> {
  const { ports, timestamps } = around;
  try {
    const isKept = value !== undefined && run.plan.task.options.checkpoint !== false;
    const result = isKept ? await ports.results.write(value, placeOf(run, around, args)) : undefined;
    return endWith(stateWith(type, message, timestamps.now(), result), value);
  } catch (error) {
    logError(run, error, `The result of task "${run.name}" could not be stored`, around);
    return { ...endWith(failedToStore(error, timestamps.now())), thrown: error };
  }
}

function stateWith(type: StateType, message: string, at: string, result: ResultRecord | undefined): State {
  return makeState(type, message, result ? { at, result } : { at });
}

function retryBy({ facts }: Signal, run: TaskRun, around: Surroundings): State {
  const { ports, timestamps } = around;
  const view = { runCount: run.runCount, now: ports.clock.now(), at: timestamps.now() };
  const message = facts.message ?? `Retrying Task (after attempt ${run.runCount}, as its code asked for)`;
  if (facts.dueAt !== undefined) return retrying(message, Math.max(0, facts.dueAt - view.now), view);
  const { options } = run.plan.task;
  return retrying(
    message,
    facts.delayMs ?? retryDelayMs(options, Math.max(1, run.runCount), ports.random ?? Math.random),
    view,
  );
}

export function pauseBy({ facts: { message, schema, ...facts } }: Signal, run: TaskRun, at: string): State {
  const dueAt = facts.delayMs === undefined ? facts.dueAt : Date.parse(at) + facts.delayMs;
  run.resumeSchema = schema;
  run.pause = makeState("Paused", message ?? "The task paused.", {
    at,
    startAt: dueAt === undefined ? null : isoAt(dueAt),
    context: pausedContext(schema),
  });
  return run.pause;
}

/** A state handler, or a function of the author's that is no task, threw. */
export function failedInHandler(thrown: unknown, what: string, at: string): State {
  return failed(`${what}: ${describeFailure(thrown)}`, thrown, at);
}

export function logError(run: TaskRun, thrown: unknown, what: string, around: Surroundings): void {
  const { name, message, stack } = toFailure(thrown);
  taskLogger(run, around).error(`${what}: ${stack === null ? `${name}: ${message}` : authorStack(stack)}`);
}

export function taskLogger(run: TaskRun, { ports, timestamps }: Surroundings) {
  return makeLogger(
    run.plan.task.name,
    run.taskRunId,
    () => timestamps.now(),
    (line) => ports.reporter.log(line),
  );
}
