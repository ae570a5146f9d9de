import { MillraceError } from "../core/errors.js";
import type { FlowDefinition, FlowTask } from "../core/flow-definition.js";
import type { StateChange, StateHandler } from "../core/options/state-handler.js";
import type { Signal } from "../core/signal.js";
import {
  isFailed,
  isFinished,
  isScheduled,
  isStateType,
  isSuccessful,
  isTerminal,
  makeState,
  type State,
  type StateType,
} from "../core/state.js";
import { refuseFlowRunMove } from "../core/transitions.js";
import { makeLogger } from "./logger.js";
import type { EngineRun } from "./ports.js";
import { findSignal } from "./task/find-signal.js";
import { endBySignal, endWith, failedInHandler, logError, type TaskEnd } from "./task/task-end.js";
import type { TaskRun } from "./task/task-run.js";
import type { Surroundings } from "./task/task-runner.js";

/*
 * State handlers: asked of every move before it counts. What counts is reported; a try that will be repeated counts as
 * Retrying, and not as Failed before that.
 */

const THREW = "Exception raised while calling state handlers";

/** Is there anybody to tell? Where not, a move costs nothing. */
export function isHandled({ options }: FlowTask): boolean {
  return options.onFailure !== undefined || (options.stateHandlers?.length ?? 0) > 0;
}

export function isFlowHandled({ options }: FlowDefinition): boolean {
  return (
    options.onFailure !== undefined ||
    options.terminalStateHandler !== undefined ||
    (options.stateHandlers?.length ?? 0) > 0
  );
}

/** A move of a task run on its way to its handlers. */
export interface TaskMove {
  readonly run: TaskRun;
  readonly end: TaskEnd;
  readonly args: readonly unknown[];
  /** Turns a Failed that a handler made of a success into Retrying while retries are left; undefined before a try. */
  readonly retry: ((end: TaskEnd) => State) | undefined;
  /** Default: the task run's last reported state. */
  readonly from?: State;
}

/** The end that counts, once the task's handlers were told. Never throws. */
export async function tellTaskHandlers(move: TaskMove, around: Surroundings): Promise<TaskEnd> {
  const { run, end, retry } = move;
  const { stateHandlers = [], onFailure } = run.plan.task.options;
  let counts = await through(stateHandlers, move, end, around);
  if (retry && isFailed(counts.state) && isSuccessful(end.state)) {
    const retried = retry(counts);
    if (retried !== counts.state) counts = await through(stateHandlers, move, { ...counts, state: retried }, around);
  }
  return onFailure && isFailed(counts.state) ? through([onFailure], move, counts, around) : counts;
}

async function through(
  handlers: readonly StateHandler[],
  move: TaskMove,
  end: TaskEnd,
  around: Surroundings,
): Promise<TaskEnd> {
  const { run, args } = move;
  const from = move.from ?? run.state ?? makeState("Pending", null, { at: around.timestamps.now() });
  let counts = end;
  for (const handler of handlers) {
    try {
      const answer = await handler(changeOf(run, from, counts.state, around));
      if (answer !== undefined && answer !== null) counts = replace(counts, answer, run, around);
    } catch (thrown) {
      const signal = findSignal(thrown);
      if (signal) return endBySignal(signal, run, args, around).then((by) => allowed(by, end.state, run, around));
      logError(run, thrown, `A state handler of task "${run.name}" threw`, around);
      return { ...endWith(failedInHandler(thrown, THREW, around.timestamps.now())), thrown };
    }
  }
  return counts;
}

function changeOf(run: TaskRun, from: State, to: State, { flow, run: { flowRunId } }: Surroundings): StateChange {
  const { taskRunId, mapIndex, plan } = run;
  return { from, to, flowName: flow.name, flowRunId, taskSlug: plan.task.slug, taskRunId, mapIndex };
}

function replace(end: TaskEnd, answer: State, run: TaskRun, around: Surroundings): TaskEnd {
  if (answer === end.state) return end;
  const state = asState(answer, around.timestamps.now());
  // The same result is the same value; another one is read when it is needed.
  const keeps = state.result === end.state.result && isSuccessful(state) === isSuccessful(end.state);
  const replaced: TaskEnd = keeps
    ? { ...end, state }
    : { state, value: undefined, known: state.result === undefined, thrown: undefined };
  return allowed(replaced, end.state, run, around);
}

/** A handler decides how a move ends, not what kind of move it is. @throws TASK_OPTIONS_INVALID */
function allowed(end: TaskEnd, to: State, run: TaskRun, around: Surroundings): TaskEnd {
  const { type } = end.state;
  const special = type === "Mapped" || type === "Looped" || type === "Running";
  const may = special
    ? type === to.type && end.state.mapCount === to.mapCount
    : isTerminal({ type }) || isWaiting(type);
  if (may) return end;
  const error = notAllowed(`task "${run.name}"`, type, to.type);
  logError(run, error, `A state handler of task "${run.name}" cannot be followed`, around);
  return { ...endWith(failedInHandler(error, THREW, around.timestamps.now())), thrown: error };
}

const isWaiting = (type: StateType): boolean => isScheduled({ type }) && type !== "Queued";

function notAllowed(whose: string, type: StateType, to: StateType): MillraceError {
  return new MillraceError("TASK_OPTIONS_INVALID", `A state handler of ${whose} gave ${type} in place of ${to}.`, {
    hint: "A handler may give a finished state, or one that waits: Retrying, Paused, Scheduled.",
  });
}

/** What a handler gave, checked and completed. @throws TASK_OPTIONS_INVALID */
function asState(answer: unknown, at: string): State {
  const given = answer as Partial<State> | null;
  if (typeof given !== "object" || given === null || !isStateType(given.type)) {
    throw new MillraceError("TASK_OPTIONS_INVALID", "A state handler returned something that is no state.", {
      hint: "Return nothing, the state it was given, or one made of it, for instance { ...change.to, message }.",
    });
  }
  const state: State = { ...(given as State), message: given.message ?? null, at: given.at ?? at };
  if (isWaiting(state.type) && state.startAt === undefined) state.startAt = state.type === "Paused" ? null : at;
  return state;
}

/** The flow run's own move, once its handlers were told. Never throws. */
export async function tellFlowHandlers(
  flow: FlowDefinition,
  run: EngineRun,
  from: State,
  to: State,
  around: Surroundings,
): Promise<State> {
  const { stateHandlers = [], onFailure } = flow.options;
  const whose = { taskSlug: null, taskRunId: null, mapIndex: -1 };
  const change = { from, flowName: flow.name, flowRunId: run.flowRunId, ...whose };
  const ask = async (handler: StateHandler, state: State) => handler({ ...change, to: state });
  let state = to;
  for (const handler of stateHandlers) {
    const asked = await flowAnswer(() => ask(handler, state), state, flow, around);
    state = asked.state;
    if (asked.stops) break;
  }
  return onFailure && isFailed(state)
    ? (await flowAnswer(() => ask(onFailure, state), state, flow, around)).state
    : state;
}

/** What the flow's `terminalStateHandler` makes of its final state. Never throws. */
export async function askTerminalHandler(
  state: State,
  referenceStates: readonly State[],
  flow: FlowDefinition,
  around: Surroundings,
): Promise<State> {
  const { terminalStateHandler: handler } = flow.options;
  if (!handler) return state;
  return (await flowAnswer(async () => handler(state, referenceStates), state, flow, around)).state;
}

async function flowAnswer(
  // biome-ignore lint/suspicious/noConfusingVoidType: see StateHandler.
  ask: () => Promise<State | undefined | void>,
  to: State,
  flow: FlowDefinition,
  around: Surroundings,
): Promise<{ state: State; stops: boolean }> {
  const at = around.timestamps.now();
  try {
    const answer = await ask();
    if (answer === undefined || answer === null || answer === to) return { state: to, stops: false };
    return { state: allowedForFlow(asState(answer, at), to, flow), stops: false };
  } catch (thrown) {
    const signal = findSignal(thrown);
    const bySignal = signal && flowStateOf(signal, at);
    if (bySignal) return { state: bySignal, stops: true };
    const error = signal ? noFlowSignal(signal, flow) : thrown;
    flowLogger(flow, around).error(`A state handler of flow "${flow.name}" failed:`, error);
    return { state: failedInHandler(error, THREW, at), stops: true };
  }
}

function allowedForFlow(state: State, to: State, flow: FlowDefinition): State {
  const isSame = state.type === to.type;
  if (isSame || (isFinished(state) && refuseFlowRunMove("Running", state.type) === null)) return state;
  throw notAllowed(`flow "${flow.name}"`, state.type, to.type);
}

function flowStateOf({ kind, facts }: Signal, at: string): State | undefined {
  const message = facts.message ?? null;
  if (kind === "success") return makeState("Success", message, { at });
  if (kind === "fail") return makeState("Failed", message, { at });
  if (kind === "triggerFail") return makeState("TriggerFailed", message, { at });
  if (kind === "validationFail") return makeState("ValidationFailed", message, { at });
  return undefined;
}

function noFlowSignal({ kind }: Signal, { name }: FlowDefinition): MillraceError {
  return new MillraceError(
    "TASK_OPTIONS_INVALID",
    `A state handler of flow "${name}" threw signals.${kind}(), which a flow run has no state for.`,
    { hint: "A flow's handler may throw signals.fail, signals.success and signals.validationFail." },
  );
}

export function flowLogger(flow: FlowDefinition, { ports, timestamps }: Surroundings) {
  return makeLogger(
    flow.name,
    null,
    () => timestamps.now(),
    (line) => ports.reporter.log(line),
  );
}
