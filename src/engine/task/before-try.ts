import { toFailure } from "../../codec/failure.js";
import { fillLocation } from "../../core/options/location.js";
import type { StandardSchema } from "../../core/parameter.js";
import { makeState, type State } from "../../core/state.js";
import { failedToRetrieve } from "../failed-state.js";
import { ask } from "../parameters.js";
import { findCached, findTarget } from "./caching.js";
import { locationNames } from "./result-place.js";
import { endWith, type TaskEnd, taskLogger } from "./task-end.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import { pausedContext, type Resumption } from "./task-standing.js";

/** Is there anything to do between the trigger and the first try's Running? Mostly not, and then nothing is awaited. */
export function needsPreparation({ plan, loop, resumption, resumeSchema }: TaskRun): boolean {
  const { target, cacheForMs, taskRunName } = plan.task.options;
  if (target !== undefined || cacheForMs !== undefined || taskRunName !== undefined) return true;
  return loop?.known === false || (resumption?.unchecked === true && resumeSchema !== undefined);
}

/**
 * Names the task run, looks for a result that stands for running it, reads its loop's last value and checks what it was
 * resumed with: the end that makes a try needless, or undefined.
 */
export async function prepareTry(
  run: TaskRun,
  args: readonly unknown[],
  around: Surroundings,
): Promise<TaskEnd | undefined> {
  const { target, cacheForMs, taskRunName } = run.plan.task.options;
  if (taskRunName !== undefined) nameTaskRun(run, args, taskRunName, around);
  const stands =
    (target === undefined ? undefined : await findTarget(run, args, around)) ??
    (cacheForMs === undefined ? undefined : await findCached(run, args, around));
  if (stands) return standIn(run, stands);
  if (run.loop && !run.loop.known) {
    try {
      run.loop.value = await around.ports.results.read(run.loop.record!);
      run.loop.known = true;
    } catch (error) {
      return endWith(failedToRetrieve(error, around.timestamps.now()));
    }
  }
  const { resumption, resumeSchema } = run;
  if (!resumption?.unchecked || !resumeSchema) return undefined;
  const refused = await checkInput(resumption, resumeSchema);
  return refused === undefined ? undefined : endWith(pausedAgain(run, refused, around));
}

/** A cached value may have been read already, to see that it can be. */
function standIn(run: TaskRun, state: State): TaskEnd {
  if (run.valueKnown) return { state, value: run.value, known: true };
  return { state, value: undefined, known: state.result === undefined };
}

function nameTaskRun(
  run: TaskRun,
  args: readonly unknown[],
  taskRunName: NonNullable<TaskRun["plan"]["task"]["options"]["taskRunName"]>,
  around: Surroundings,
): void {
  try {
    const name = fillLocation(taskRunName, locationNames(run, around, args)).trim();
    if (name !== "") run.givenName = name;
  } catch (error) {
    // A name is for people: a run does not fail for want of one.
    taskLogger(run, around).warn(`The task run keeps the name "${run.name}": ${toFailure(error).message}`);
  }
}

/** Asks the schema, and puts what it made of the input into the resumption. @returns why it was refused, if it was */
export async function checkInput(resumption: Resumption, schema: StandardSchema<unknown>): Promise<string | undefined> {
  const answer = await ask(schema, resumption.given);
  if ("issues" in answer) {
    return answer.issues.map(({ path, message }) => (path === "" ? message : `at ${path}: ${message}`)).join("; ");
  }
  resumption.input = answer.value;
  resumption.unchecked = false;
  return undefined;
}

/** The pause goes on, and says why. */
export function pausedAgain({ pause, resumeSchema }: TaskRun, why: string, around: Surroundings): State {
  const asked = pause?.message ? ` ${pause.message}` : "";
  return makeState("Paused", `What it was resumed with is not valid: ${why}.${asked}`, {
    at: around.timestamps.now(),
    startAt: pause?.startAt ?? null,
    context: pausedContext(resumeSchema),
  });
}
