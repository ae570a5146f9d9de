import type { ExecutorOptions } from "./options/executor.js";
import type { StorageOptions } from "./options/flow-storage.js";
import type { ResultOptions } from "./options/result-options.js";
import type { RunConfig } from "./options/run-config.js";
import type { StateHandler } from "./options/state-handler.js";
import type { ParameterOptions } from "./parameter.js";
import type { Reference } from "./reference.js";
import type { Schedule } from "./schedule/schedule.js";
import type { SecretOptions } from "./secret.js";
import type { State } from "./state.js";
import type { TaskFunction, TaskOptions } from "./task.js";

/**
 * A built flow: what `flow()` makes of the author's build function, and what the engine runs. Tasks stand in an order in
 * which every task comes after its upstreams.
 */
export interface FlowDefinition {
  readonly name: string;
  readonly options: FlowOptions;
  readonly tasks: readonly FlowTask[];
  readonly edges: readonly Edge[];
  /** The tasks whose states decide the flow run's; empty means: the tasks that nothing waits for. */
  readonly referenceTasks: readonly FlowTask[];
  /** What the build function returned: a value that may hold references. */
  readonly output: unknown;
  /** The file that called `flow()`, as a path; undefined when it could not be found out. */
  readonly sourceFile: string | undefined;
}

/** Options of a flow; all of them optional. */
export interface FlowOptions {
  description?: string;
  /** Packages to leave outside the saved flow, resolved from the project folder where it runs (native ones are found without this). */
  external?: readonly string[];
  /** True gives every run a worker thread of its own. Default false: a thread serves many runs of the same saved flow, one at a time. */
  freshThread?: boolean;
  /** The most V8 heap a run's thread may use, in MiB. It does not cover Buffers. Default: V8's own. */
  maxHeapMb?: number;
  /** When runs are made without anybody asking; see `schedules`. */
  schedule?: Schedule;
  /** Where the tasks of a run run. Default `executors.concurrent()`. */
  executor?: ExecutorOptions;
  /** Where and how its tasks' results are kept; see `results`. */
  result?: ResultOptions;
  /** Where a deploy keeps the saved flow: `new S3({ … })` and its fellows. Default: on the disk of the machine that deploys. */
  storage?: StorageOptions;
  /** What kind of agent may take its runs, and with which environment; see `runConfigs`. Default: any kind. */
  runConfig?: RunConfig;
  /** Told of every move of the flow run, in this order. */
  stateHandlers?: readonly StateHandler[];
  /** Told when a run has failed. */
  onFailure?: StateHandler;
  /** Has the last word on a run's final state, given the reference tasks' states. */
  terminalStateHandler?: (
    state: State,
    referenceStates: readonly State[],
    // biome-ignore lint/suspicious/noConfusingVoidType: see StateHandler.
  ) => State | undefined | void | Promise<State | undefined | void>;
}

/** A task at its place in one flow. */
export interface FlowTask {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly kind: "task" | "parameter" | "secret";
  readonly options: Readonly<TaskOptions>;
  /** The author's function; undefined for a parameter or secret. */
  readonly fn: TaskFunction | undefined;
  readonly parameter: ParameterOptions<unknown> | undefined;
  /** Of a secret, whose name is the task's. */
  readonly secret?: SecretOptions<unknown> | undefined;
  /** The arguments as the author wrote them: values, references, and arrays and objects holding both. */
  readonly args: readonly unknown[];
  /** For each argument of a mapped task, whether it is mapped over (false: handed whole to every child). */
  readonly mappedArgs: readonly boolean[];
  readonly mapped: boolean;
  /** Is its value bound to this process, so that a run that resumes elsewhere runs it again though it is finished? */
  readonly resetOnResume: boolean;
  /** Does it only clean up after others? Then it has no say in the flow run's state. */
  readonly cleansUp: boolean;
  /** Edges into this task, in the order of its arguments. */
  readonly upstream: readonly Edge[];
  /** Adds an edge that carries no data. */
  runAfter(reference: Reference): void;
}

/** "Downstream waits for upstream", and if `key` is set, takes its output at that place of its arguments. */
export interface Edge {
  readonly upstream: FlowTask;
  readonly downstream: FlowTask;
  /** Where the output goes, for instance `0`, or `1.rows.2` inside an argument; null carries order alone. */
  readonly key: string | null;
  /** Is the output mapped over, one item for each child? Without a key: each child waits for its own upstream child. */
  readonly mapped: boolean;
  readonly flattened: boolean;
}
