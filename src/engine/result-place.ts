import type { LocationNames } from "../core/result-options.js";
import type { ResultPlace } from "./ports.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";

/** Where the author wants the result of `run` kept, for the result store. @param inputs The task's arguments, once they are known. */
export function placeOf(run: TaskRun, around: Surroundings, inputs: readonly unknown[] = []): ResultPlace {
  return {
    flowRunId: around.run.flowRunId,
    taskRunId: run.taskRunId,
    options: run.plan.task.options.result ?? around.flow.options.result,
    names: () => locationNames(run, around, inputs),
  };
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
    inputs,
  };
}
