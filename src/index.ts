export type { OnPause } from "./ask-approval.js";
export { type Logger, type LogLevel, type LogLine, type TaskContext, taskContext } from "./core/context.js";
export { applyMap, type ItemOf, type Mapped, type MapSource } from "./core/control/apply-map.js";
export { type ApprovalOptions, approval } from "./core/control/approval.js";
export type { Branched } from "./core/control/branches.js";
export { merge, switchOn, when } from "./core/control/control-flow.js";
export { type Picked, type PickKey, pick } from "./core/control/pick.js";
export {
  type Resource,
  type ResourceCall,
  type ResourceOf,
  type ResourceOptions,
  resource,
  use,
} from "./core/control/resource.js";
export { type RunFlowCall, runFlow, type Subflow } from "./core/control/run-flow.js";
export { withTags } from "./core/control/with-tags.js";
export { type ErrorCode, errorCodes, isMillraceError, MillraceError } from "./core/errors.js";
export type { Build, BuildFlow } from "./core/flow-builder.js";
export type { FlowDefinition, FlowOptions } from "./core/flow-definition.js";
export { type CacheFacts, type CacheValidator, cacheValidators } from "./core/options/cache-validator.js";
export { type ExecutorOptions, executors } from "./core/options/executor.js";
export { AzureBlob, GCS, Local, S3, type StorageOptions } from "./core/options/flow-storage.js";
export type { Location, LocationNames, ResultOptions, SerializerName } from "./core/options/result-options.js";
export {
  type AzureResultOptions,
  type GcsResultOptions,
  type LocalResultOptions,
  type ResultPlaceOptions,
  results,
  type S3ResultOptions,
} from "./core/options/results.js";
export {
  type DockerRunConfig,
  type LocalRunConfig,
  type RunConfig,
  type RunConfigOptions,
  runConfigs,
  type UniversalRunConfig,
} from "./core/options/run-config.js";
export type { StateChange, StateHandler } from "./core/options/state-handler.js";
export { type JsonSchema, type ParameterOptions, parameter, type StandardSchema } from "./core/parameter.js";
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
export type { Schedule, ScheduleClock, ScheduleEvent, ScheduleRule } from "./core/schedule/schedule.js";
export { adjustments, filters } from "./core/schedule/schedule-rules.js";
export {
  type ClockOptions,
  type CombineOptions,
  type CronOptions,
  type IntervalOptions,
  schedules,
} from "./core/schedule/schedules.js";
export { type SecretOptions, secret } from "./core/secret.js";
export { type Signal, type SignalFacts, type SignalKind, signals } from "./core/signal.js";
export {
  isCancelled,
  isFailed,
  isFinished,
  isMapped,
  isPending,
  isRunning,
  isScheduled,
  isSkipped,
  isSuccessful,
  isTerminal,
  makeState,
  type ResultRecord,
  type State,
  type StateType,
  stateColors,
} from "./core/state.js";
export { type Task, type TaskOptions, task } from "./core/task.js";
export type { TaskDates } from "./core/task-dates.js";
export { type Bounds, type Trigger, type TriggerFacts, triggers } from "./core/trigger.js";
export type { Deployment, DeployOptions } from "./deploy-flow.js";
export { clearCaches } from "./engine/local/memory-results.js";
export type { Approval, PausedTaskRun } from "./engine/ports.js";
export { type Flow, flow } from "./flow.js";
export { loadFlow } from "./load-flow.js";
export type { RunAgentOptions } from "./run-agent.js";
export type { FlowRun, RunOptions } from "./run-flow.js";
export type { ServeOptions } from "./serve-flow.js";
