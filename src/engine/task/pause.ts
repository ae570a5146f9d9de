import { isPaused, makeState, type State } from "../../core/state.js";
import { describeFailure, failed } from "../failed-state.js";
import type { PausedTaskRun } from "../ports.js";
import { endWith, logError, type TaskEnd } from "./task-end.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import { checksInput, resumedContext } from "./task-standing.js";

/** Does it wait for a person, with no time of its own? */
export function isLeftAlone(state: State): boolean {
  return isPaused(state) && (state.startAt ?? null) === null;
}

function untilAborted(signal: AbortSignal): Promise<"wait"> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve("wait"), { once: true }));
}

/**
 * Asks whoever is here about a paused task run. Never throws.
 * @param calledOff Fires when the answer is not needed any more.
 * @returns Resume with the person's input; Failed when asking failed; "wait" when nobody here can say
 */
export async function approvalEnd(
  run: TaskRun,
  paused: State,
  calledOff: AbortSignal,
  around: Surroundings,
): Promise<TaskEnd | "wait"> {
  const { ports, timestamps } = around;
  const question: PausedTaskRun = {
    taskRunId: run.taskRunId,
    taskSlug: run.plan.task.slug,
    mapIndex: run.mapIndex,
    name: run.name,
    message: paused.message,
    checksInput: checksInput(paused),
    signal: AbortSignal.any([calledOff, around.over, around.stop]),
  };
  try {
    const answer = await Promise.race([ports.approve!(question), untilAborted(question.signal)]);
    if (answer === "wait") return "wait";
    const at = timestamps.now();
    const context = resumedContext(paused, answer.input);
    const { result } = paused;
    return endWith(makeState("Resume", "Resumed.", { at, startAt: at, context, ...(result ? { result } : {}) }));
  } catch (error) {
    // Called off, and whoever asks said so by throwing.
    if (question.signal.aborted) return "wait";
    logError(run, error, `Asking about the paused task "${run.name}" failed`, around);
    return endWith(failed(`Asking about the paused task failed: ${describeFailure(error)}`, error, timestamps.now()));
  }
}
