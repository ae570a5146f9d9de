import type { TaskContext } from "./context.js";
import type { TaskFunction } from "./task.js";

/** Where the tasks of one flow run run, as the author chose it; see `executors`. Plain data. */
export type ExecutorOptions =
  /** One task at a time, in the order of the flow. */
  | { readonly kind: "sequential" }
  /** On one thread, as many at once as are ready; `limit` bounds how many. The default, with a limit for children alone. */
  | { readonly kind: "concurrent"; readonly limit?: number }
  /** Spread over `size` threads of their own: for tasks that burn processor time. Arguments and results are copied. */
  | { readonly kind: "threads"; readonly size?: number };

/** One call of a task's function. */
export interface TaskCall {
  readonly fn: TaskFunction;
  readonly args: readonly unknown[];
  /** What `taskContext()` gives inside. */
  readonly context: TaskContext;
  /** Ends the call where code cannot be asked to: a thread of its own is stopped. */
  readonly hardStop: AbortSignal;
}

/** Calls tasks' functions. One contract, three kinds. */
export interface Executor {
  /** How many calls may be under way at once. */
  readonly limit: number;
  /** Settles as the function does. @throws what the function throws; WORKER_… when its thread died */
  call(call: TaskCall): unknown;
  /** Gives back what it holds; awaited at the flow run's end. */
  close(): Promise<void>;
}
