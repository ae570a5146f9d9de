import type { LogLine } from "../core/context.js";
import type { SubflowPort } from "../core/control/subflow.js";
import type { Executor } from "../core/options/executor.js";
import type { LocationNames, ResultOptions } from "../core/options/result-options.js";
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
  /** Flow runs that tasks make; see `runFlow`. */
  readonly subflows: SubflowPort;
  /** Tells when task runs that were answered "queued" may ask again; needed where the reporter gives that answer. */
  readonly slots?: SlotSource | undefined;
  /**
   * How long a task run may wait for its time in this process, in milliseconds, while nothing else is left to do; the run
   * is handed back when it would take longer, or waits for someone. Infinity: it waits here.
   */
  readonly maxWaitMs: number;
  /** Asks a person who is here about a task run that pauses; without it nobody is here. */
  readonly approve?: ((paused: PausedTaskRun) => Promise<Approval>) | undefined;
  /** Spreads retries; from 0 up to 1. Default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Aborted when the run must end; `signal.reason` is a MillraceError: RUN_CANCELLED, RUN_LEASE_LOST, RUN_STOPPED. */
  readonly signal: AbortSignal;
}

/** A task run that waits for someone. */
export interface PausedTaskRun {
  readonly taskRunId: string;
  readonly taskSlug: string;
  /** -1 when the task is not mapped. */
  readonly mapIndex: number;
  /** The name that people see. */
  readonly name: string;
  readonly message: string | null;
  /** Will the input be checked by a schema? */
  readonly checksInput: boolean;
  /** Fires when the answer is of no use any more. */
  readonly signal: AbortSignal;
}

/** Go on, with what is in `taskContext().resumeInput` then; or wait for somebody else. */
export type Approval = { readonly input: unknown } | "wait";

/** Takes the states in the order in which they happen. */
export interface Reporter {
  /**
   * Reports a task run's state. The promise resolves when the Cloud has accepted it, and rejects when it refused. The
   * engine waits for it before it starts a task's code (`Running`), and for nothing else until the flow run's end. To a
   * Running the answer may be "queued": a concurrency limit has no free slot, and the task run is Queued in its place.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most reporters have nothing to say, and should not have to say so.
  taskRun(change: TaskRunChange): Promise<void | "queued">;
  flowRun(change: FlowRunChange): Promise<void>;
  /** Never throws, never waits. */
  log(line: LogLine): void;
}

/** Tells of free slots of concurrency limits. */
export interface SlotSource {
  /** Resolves, as soon as there are any, with task runs that have their slots now, by id; one may be told of twice. */
  granted(): Promise<readonly string[]>;
}

export interface TaskRunChange {
  taskRunId: string;
  taskSlug: string;
  /** -1 when the task is not mapped. */
  mapIndex: number;
  /** The version of the task run that this state follows; the state's own is one more. 0: the Cloud does not know the task run yet. */
  version: number;
  state: State;
  /** The task run's name, when its author gave it one; see the option `taskRunName`. */
  name?: string;
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
  /** Cached states of the task, or of all tasks with its cache key, not older than `sinceAt`; the newest first, 100 at most. */
  candidates(of: CacheOwner & { readonly sinceAt: string }): Promise<readonly State[]>;
  /** Told of each Cached state that a run made; a Cloud knows it from the report already. */
  add(of: CacheOwner, state: State): void;
}

/** Whose cached results. */
export interface CacheOwner {
  /** The same in every run and process; see `core/ids`. */
  readonly taskId: string;
  readonly taskSlug: string;
  /** Tasks with the same key share their cached results; undefined: the task alone. */
  readonly cacheKey: string | undefined;
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
  /** Null: no Cloud knows of the run. */
  flowId: string | null;
  /** Null or left out: none. */
  projectName?: string | null;
  /** The instant that the run stands for, ISO 8601, where it is not its scheduled start. */
  date?: string | null;
  parameters: Record<string, unknown>;
  scheduledStartAt: string;
  /** The flow run's own state, where it is known: one that is finished is not run again. */
  state?: State | null;
  /** Every task run that the Cloud knows of; the engine makes the others itself. */
  taskRuns: readonly KnownTaskRun[];
}

/** How the engine came to its end. */
export type EngineEnd =
  /** The flow run is over: this is its final state. */
  | { readonly kind: "finished"; readonly state: State }
  /**
   * Task runs wait for their time, or for someone, and nothing is left to do until then: the flow run stays Running.
   * `dueAt`: when the first is due, ISO 8601; null: when someone resumes one.
   */
  | { readonly kind: "waiting"; readonly dueAt: string | null };

/** How a flow run ended. */
export interface EngineOutcome {
  end: EngineEnd;
  /** The final state; where task runs wait, the Running that the flow run stays in. */
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
