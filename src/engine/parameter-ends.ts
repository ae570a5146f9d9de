import type { FlowTask } from "../core/flow-definition.js";
import { makeState, type ResultRecord, type State } from "../core/state.js";
import { failedToStore } from "./failed-state.js";
import type { ResolvedParameters } from "./parameters.js";
import { SECRET_RESULT } from "./secrets.js";
import { placeOf } from "./task/result-place.js";
import type { TaskRun } from "./task/task-run.js";
import type { Surroundings } from "./task/task-runner.js";

/** How a parameter's or secret's task run ends; without a state it had its own already. */
export interface ParameterEnd {
  readonly run: TaskRun;
  readonly state: State | undefined;
  readonly value: unknown;
}

/**
 * The ends of all parameters and secrets, which run no code, with the parameters' results written. A secret's result says
 * that it is one, and nothing more. What is written is the value as it was given, for people to see:
 * it is plain data, and each run converts it by itself.
 */
export function parameterEnds(
  tasks: readonly TaskRun[],
  parameters: ResolvedParameters,
  around: Surroundings,
): Promise<ParameterEnd[]> {
  const { ports, timestamps } = around;
  const endSecret = (run: TaskRun): ParameterEnd => {
    if (run.done) return { run, state: undefined, value: undefined };
    const result: ResultRecord = { type: SECRET_RESULT, location: run.plan.task.name };
    return {
      run,
      state: makeState("Success", "Task run succeeded.", { at: timestamps.now(), result }),
      value: undefined,
    };
  };
  const end = async (run: TaskRun): Promise<ParameterEnd> => {
    const { name } = run.plan.task;
    const value = parameters.values[name];
    if (run.done) return { run, state: undefined, value };
    try {
      const result = await ports.results.write(parameters.given[name], placeOf(run, around));
      const at = timestamps.now();
      return { run, state: makeState("Success", "Task run succeeded.", result ? { at, result } : { at }), value };
    } catch (error) {
      return { run, state: failedToStore(error, timestamps.now()), value: undefined };
    }
  };
  const ofKind = (kind: FlowTask["kind"]) => tasks.filter((each) => each.plan.task.kind === kind);
  return Promise.all([...ofKind("parameter").map(end), ...ofKind("secret").map(endSecret)]);
}
