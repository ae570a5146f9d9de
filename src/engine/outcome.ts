import { toFailure } from "../codec/failure.js";
import { isFailed, isSuccessful, makeState, type State } from "../core/state.js";
import { makeLogger } from "./logger.js";
import type { FlowPlan } from "./plan.js";
import type { EngineEnd, EngineOutcome, FinishedTaskRun } from "./ports.js";
import type { TaskRun } from "./task/task-run.js";
import type { Surroundings } from "./task/task-runner.js";
import { expandStates } from "./task/upstream.js";
import { inMemory, type Values } from "./task/values.js";

/** The flow run's final state: its reference tasks decide, the children in place of a Mapped one. */
export function finalFlowState(referenceTasks: readonly TaskRun[], at: string): State {
  const states = expandStates(referenceTasks);
  if (states.some(isFailed)) return makeState("Failed", "Some reference tasks failed.", { at });
  if (states.every(isSuccessful)) return makeState("Success", "All reference tasks succeeded.", { at });
  return makeState("Success", "No reference tasks failed.", { at });
}

/** What runFlow answers. @param state The flow run's last. */
export async function gatherOutcome(
  end: EngineEnd,
  state: State,
  plan: FlowPlan,
  around: Surroundings,
  values: Values,
): Promise<EngineOutcome> {
  const output = end.kind === "finished" && isSuccessful(state) ? await fillOutput(plan, around, values) : undefined;
  const taskRuns: FinishedTaskRun[] = [];
  const add = (run: TaskRun) => {
    if (!run.state) return;
    const { taskRunId, mapIndex, plan: planned, state: runState } = run;
    taskRuns.push({
      taskRunId,
      taskSlug: planned.task.slug,
      mapIndex,
      state: runState,
      value: inMemory(run) ? run.value : undefined,
    });
  };
  for (const run of around.tasks) {
    add(run);
    run.children?.forEach(add);
  }
  return { end, state, taskRuns, output };
}

async function fillOutput(plan: FlowPlan, around: Surroundings, values: Values): Promise<unknown> {
  const { tasks, flow, timestamps, ports } = around;
  try {
    await values.load(plan.output.references.map((each) => tasks[plan.indexOf.get(each.flowTask)!]!));
    return plan.output.fill(around.readReference);
  } catch (error) {
    // The run has its final state; that a result of an earlier agent cannot be read now does not take it back.
    const logger = makeLogger(
      flow.name,
      null,
      () => timestamps.now(),
      (line) => ports.reporter.log(line),
    );
    logger.warn(`The output of flow "${flow.name}" could not be read: ${toFailure(error).message}`);
    return undefined;
  }
}
