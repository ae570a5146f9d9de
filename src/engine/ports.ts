import type { LogLine } from "../core/context.js";
import type { Executor } from "../core/executor.js";
import type { LocationNames, ResultOptions } from "../core/result-options.js";
import type { ResultRecord, State } from "../core/state.js";

/**
 * All that the engine needs from outside. It has two users: `flow.run()`, whose reporter accepts everything at once, and
 * a run under an agent, whose reporter is a stream to the Cloud (`execute/state-stream.ts`).
 */
export interface EnginePorts {
  readonly reporter: Reporter;
  readonly results: ResultStore;
  readonly clock: Clock;
  readonly executor: Executor;
  readonly caches: CacheIndex;
  readonly secrets: SecretSource;
  /**
   * How long a task run may wait for its time in this process, in milliseconds, while nothing else is left to do; the run
   * is handed back when it would take longer, or waits for someone. Infinity: it waits here.
   */
  readonly maxWaitMs: number;
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

/** Whose result it is. */
export interface ResultPlace {
  readonly flowRunId: string;
  readonly taskRunId: string;
  /** The author's choice, the task's before the flow's; undefined: the store's default. */
  readonly options: ResultOptions | undefined;
  /** For templates of locations; asked only when there is one. */
  readonly names: () => LocationNames;
}

/** Where a task's result goes so that a later run can read it. */
export interface ResultStore {
  /** Undefined values have no result. @throws VALUE_NOT_SERIALIZABLE naming the path inside the value */
  write(value: unknown, place: ResultPlace): Promise<ResultRecord | undefined>;
  /** @throws RESULT_NOT_FOUND */
  read(result: ResultRecord): Promise<unknown>;
  /** The record of what lies at a task's target already, or undefined when nothing does. @throws STORAGE_FAILED */
  find(target: string, place: ResultPlace): Promise<ResultRecord | undefined>;
}

/** Finds earlier results that may stand for running a task. */
export interface CacheIndex {
  /** Cached states of the task, or of all tasks with its cache key, the newest first, 100 at most. */
  candidates(of: { taskSlug: string; cacheKey: string | undefined; sinceAt: string }): Promise<readonly State[]>;
  /** Told of each Cached state; a Cloud knows it from the report already. */
  add(of: { taskSlug: string; cacheKey: string | undefined }, state: State): void;
}

export interface SecretSource {
  /** @throws SECRET_NOT_FOUND */
  read(name: string): Promise<unknown>;
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
