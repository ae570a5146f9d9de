import type { LogLine } from "../core/context.js";
import type { ResultRecord, State } from "../core/state.js";

/**
 * All that the engine needs from outside. It has two users: `flow.run()`, whose reporter accepts everything at once, and
 * a run under an agent, whose reporter is a stream to the Cloud (`execute/state-stream.ts`).
 */
export interface EnginePorts {
  readonly reporter: Reporter;
  readonly results: ResultStore;
  readonly clock: Clock;
  /** Aborted when the run must end; `signal.reason` is a MillraceError: RUN_CANCELLED, RUN_LEASE_LOST, RUN_STOPPED. */
  readonly signal: AbortSignal;
}

/** Takes the states in the order in which they happen. */
export interface Reporter {
  /**
   * Reports a task run's state. The promise resolves when the Cloud has accepted it, and rejects when it refused. The
   * engine waits for it before it starts a task's code (`Running`), and for nothing else until the flow run's end.
   */
  taskRun(change: TaskRunChange): Promise<void>;
  flowRun(change: FlowRunChange): Promise<void>;
  /** Never throws, never waits. */
  log(line: LogLine): void;
}

export interface TaskRunChange {
  taskRunId: string;
  taskSlug: string;
  /** -1 when the task is not mapped. */
  mapIndex: number;
  /** The version of the task run that this state follows; the state's own is one more. 0: the Cloud does not know the task run yet. */
  version: number;
  state: State;
}

export interface FlowRunChange {
  state: State;
}

/** Where a task's result goes so that a later run can read it. */
export interface ResultStore {
  /** Undefined values have no result. @throws VALUE_NOT_SERIALIZABLE naming the path inside the value */
  write(value: unknown, of: { flowRunId: string; taskRunId: string }): Promise<ResultRecord | undefined>;
  /** @throws RESULT_NOT_FOUND */
  read(result: ResultRecord): Promise<unknown>;
}

export interface Clock {
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason when that fires first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A task run as it stands when a flow run is taken up. */
export interface KnownTaskRun {
  taskRunId: string;
  taskSlug: string;
  mapIndex: number;
  version: number;
  /** Null: never had one. */
  state: State | null;
}

/** The flow run that the engine is asked to run. */
export interface EngineRun {
  flowRunId: string;
  flowRunName: string;
  flowId: string | null;
  parameters: Record<string, unknown>;
  scheduledStartAt: string;
  /** Every task run that the Cloud knows of; the engine makes the others itself. */
  taskRuns: readonly KnownTaskRun[];
}

/** How a flow run ended. */
export interface EngineOutcome {
  state: State;
  taskRuns: readonly FinishedTaskRun[];
  /** The build function's return value with its references filled in; undefined unless the run succeeded. */
  output: unknown;
}

export interface FinishedTaskRun {
  taskRunId: string;
  taskSlug: string;
  mapIndex: number;
  state: State;
  /** Undefined when it has none, or it was not read. */
  value: unknown;
}
