import { AsyncLocalStorage } from "node:async_hooks";
import { MillraceError } from "./errors.js";

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
  readonly taskId: string;
  readonly taskRunId: string;
  readonly taskName: string;
  readonly taskSlug: string;
  /** -1 for a task that is not mapped, otherwise the child's place in the list. */
  readonly mapIndex: number;
  /** 1 in the first try. */
  readonly runCount: number;
  readonly scheduledStartAt: string;
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
