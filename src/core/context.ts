import { AsyncLocalStorage } from "node:async_hooks";
import { MillraceError } from "./errors.js";
import type { TaskDates } from "./task-dates.js";

export type LogLevel = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** One line of a run's log. */
export interface LogLine {
  at: string;
  level: LogLevel;
  /** The logger's name, for instance `millrace.fetch page`. */
  name: string;
  message: string;
  taskRunId: string | null;
}

/** Writes lines to the run's log; further arguments are formatted as `console.log` does. */
export interface Logger {
  debug(message: unknown, ...rest: unknown[]): void;
  info(message: unknown, ...rest: unknown[]): void;
  warn(message: unknown, ...rest: unknown[]): void;
  error(message: unknown, ...rest: unknown[]): void;
}

/** What a task may know about the run it is in. */
export interface TaskContext {
  readonly logger: Logger;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly flowName: string;
  readonly flowRunId: string;
  readonly flowRunName: string;
  /** Null in `flow.run()`, which no Cloud knows of. */
  readonly flowId: string | null;
  /** Null in `flow.run()`. */
  readonly projectName: string | null;
  readonly taskId: string;
  readonly taskRunId: string;
  readonly taskName: string;
  /** With its place in the list if it is mapped, for instance `fetch page[3]`. */
  readonly taskFullName: string;
  /** What the task's option `taskRunName` makes of this run; without one its full name. */
  readonly taskRunName: string;
  readonly taskSlug: string;
  readonly taskTags: readonly string[];
  /** -1 for a task that is not mapped, otherwise the child's place in the list. */
  readonly mapIndex: number;
  /** 1 in the first try. */
  readonly runCount: number;
  /** Which round of a loop it is: 1 in the first, and outside loops. See `signals.loop`. */
  readonly loopCount: number;
  /** What the round before handed on; undefined in the first. */
  readonly loopResult: unknown;
  /** Was the task run resumed, by hand or because its pause is over? See `signals.pause`. */
  readonly resumed: boolean;
  /** Was it resumed because its pause is over, and not by hand? */
  readonly resumedByTime: boolean;
  /** What it was resumed with, as the pause's `schema` converted it; undefined when with nothing. */
  readonly resumeInput: unknown;
  /** When the flow run was due; ISO 8601, UTC. */
  readonly scheduledStartAt: string;
  readonly dates: TaskDates;
  /** Does a Cloud know of the run? False in `flow.run()`. */
  readonly runningUnderCloud: boolean;
  /**
   * The value of a secret that the flow declares with `secret()`, looked up once in a run.
   * @throws SECRET_NOT_DECLARED, SECRET_NOT_FOUND, SECRET_INVALID
   */
  secret(name: string): Promise<unknown>;
  /** Aborted when the task's time is up or its run is cancelled; hand it to fetch() and the like. */
  readonly signal: AbortSignal;
}

const storage = new AsyncLocalStorage<TaskContext>();

/**
 * The context of the task that is running.
 * @throws CONTEXT_MISSING outside a running task
 * @example
 * const load = task("load", async (url: string) => {
 *   const { logger, signal } = taskContext();
 *   logger.info("loading", url);
 *   return (await fetch(url, { signal })).json();
 * });
 */
export function taskContext(): TaskContext {
  const context = storage.getStore();
  if (context) return context;
  throw new MillraceError("CONTEXT_MISSING", "taskContext() was called outside a running task.", {
    hint: "Call it inside a task's function. A build function has no run yet.",
  });
}

/** Is the caller a running task? */
export function isInTask(): boolean {
  return storage.getStore() !== undefined;
}

/** The engine's side: runs a task's function where {@link taskContext} finds `context`. */
export function inTaskContext<T>(context: TaskContext, run: () => T): T {
  return storage.run(context, run);
}
