import type { LocationNames, ResultOptions } from "../../core/options/result-options.js";
import type { ResultPlace } from "../ports.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import { toldArguments } from "./told-arguments.js";

const ON_DISK: ResultOptions = { kind: "local", serializer: "v8", place: {} };

/** Where the author wants the result of `run` kept, for the result store. @param inputs The task's arguments, once they are known. */
export function placeOf(run: TaskRun, around: Surroundings, inputs: readonly unknown[] = []): ResultPlace {
  return {
    flowRunId: around.run.flowRunId,
    taskRunId: run.taskRunId,
    options: optionsOf(run, around),
    names: () => locationNames(run, around, inputs),
  };
}

/** A target is where the result goes, too. What a parameter was given is for people to see, and every run has it anyway: it goes where it goes by default. */
function optionsOf({ plan }: TaskRun, { flow }: Surroundings): ResultOptions | undefined {
  if (plan.task.kind === "parameter") return undefined;
  const { result = flow.options.result, target } = plan.task.options;
  return target === undefined ? result : { ...(result ?? ON_DISK), location: target };
}

export function locationNames(run: TaskRun, around: Surroundings, inputs: readonly unknown[]): LocationNames {
  const { task } = run.plan;
  return {
    flowName: around.flow.name,
    flowRunId: around.run.flowRunId,
    flowRunName: around.run.flowRunName,
    taskName: task.name,
    taskSlug: task.slug,
    taskRunId: run.taskRunId,
    mapIndex: run.mapIndex,
    runCount: run.runCount,
    scheduledStartAt: around.run.scheduledStartAt,
    parameters: around.parameters,
    inputs: toldArguments(run, inputs, around),
  };
}
