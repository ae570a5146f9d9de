export { type Logger, type LogLevel, type LogLine, type TaskContext, taskContext } from "./core/context.js";
export { type ErrorCode, errorCodes, isMillraceError, MillraceError } from "./core/errors.js";
export type { Build, BuildFlow } from "./core/flow-builder.js";
export type { FlowDefinition, FlowOptions } from "./core/flow-definition.js";
export { type ParameterOptions, parameter, type StandardSchema } from "./core/parameter.js";
export {
  type Filled,
  flatten,
  type Input,
  type MapInput,
  type MappedRef,
  type Ref,
  type Unmapped,
  unmapped,
} from "./core/reference.js";
export type { ResultRecord, State, StateType } from "./core/state.js";
export { type Task, type TaskOptions, task } from "./core/task.js";
export { type Trigger, triggers } from "./core/trigger.js";
export type { Deployment, DeployOptions } from "./deploy-flow.js";
export { type Flow, flow } from "./flow.js";
export { loadFlow } from "./load-flow.js";
export type { RunAgentOptions } from "./run-agent.js";
export type { FlowRun, RunOptions } from "./run-flow.js";
