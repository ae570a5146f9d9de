import { inspect } from "node:util";
import type { TaskContext } from "../context.js";
import { MillraceError } from "../errors.js";
import type { TaskFunction } from "../task.js";

/** Where the tasks of one flow run run, as the author chose it; see `executors`. Plain data. */
export type ExecutorOptions =
  /** One task at a time, in the order of the flow. */
  | { readonly kind: "sequential" }
  /** On one thread, as many at once as are ready; `limit` bounds how many. The default, with a limit for children alone. */
  | { readonly kind: "concurrent"; readonly limit?: number }
  /** Spread over `size` threads of their own: for tasks that burn processor time. Arguments and results are copied. */
  | { readonly kind: "threads"; readonly size?: number };

/**
 * Where the tasks of a flow's runs run: for the `executor` option of a flow, and of `flow.run()`.
 * @example
 * const render = flow("render", { executor: executors.threads({ size: 4 }) }, () => drawPage.map(pageNumbers()));
 * await render.run({}, { executor: executors.sequential() }); // one after the other, to see what happens
 */
export const executors = {
  /**
   * One task run at a time, in the order in which the flow was written; a task that waits for its retry lets others pass.
   * The children of a mapped task go through a chain of maps one by one.
   */
  sequential: (): ExecutorOptions => Object.freeze({ kind: "sequential" }),
  /**
   * On one thread, as Node runs promises: for tasks that mostly wait. The default.
   * @param options.limit How many task runs at once; 1 or more. Default: all that are ready, but no more than 256 children
   * of mapped tasks.
   * @throws TASK_OPTIONS_INVALID
   */
  concurrent: (options: { limit?: number } = {}): ExecutorOptions => checked({ kind: "concurrent", ...options }),
  /**
   * Spread over worker threads of the run's own, one task run at a time on each: for tasks that burn processor time. What
   * crosses is copied: arguments and results must be data that `structuredClone` takes, and no instances of classes.
   * @param options.size How many threads; 1 or more. Default: as many as the machine has processors.
   * @throws TASK_OPTIONS_INVALID
   */
  threads: (options: { size?: number } = {}): ExecutorOptions => checked({ kind: "threads", ...options }),
} as const;

/** The option that each kind takes, which is a count. */
const optionOf: Record<ExecutorOptions["kind"], string> = { sequential: "", concurrent: "limit", threads: "size" };

/** Is it one of `executors`, with numbers that can be used? */
export function isExecutor(value: unknown): value is ExecutorOptions {
  if (typeof value !== "object" || value === null) return false;
  const { kind, ...options } = value as ExecutorOptions & Record<string, unknown>;
  if (!Object.hasOwn(optionOf, kind)) return false;
  return Object.entries(options).every(([name, count]) => name === optionOf[kind] && isCount(count));
}

function isCount(value: unknown): boolean {
  return value === undefined || (Number.isSafeInteger(value) && Number(value) >= 1);
}

function checked({ kind, ...given }: ExecutorOptions): ExecutorOptions {
  const options = { kind, ...given };
  if (isExecutor(options)) return Object.freeze(options);
  throw new MillraceError(
    "TASK_OPTIONS_INVALID",
    `executors.${kind}() takes \`${optionOf[kind]}\` as a whole number of 1 or more, and was given ${inspect(given)}.`,
  );
}

/** One call of a task's function. */
export interface TaskCall {
  readonly fn: TaskFunction;
  readonly args: readonly unknown[];
  /** What `taskContext()` gives inside. */
  readonly context: TaskContext;
  /** Does what it prints go to the log too? See the task option of that name. */
  readonly logPrints: boolean;
  /** Ends the call where code cannot be asked to: a thread of its own is stopped. */
  readonly hardStop: AbortSignal;
}

/** Calls tasks' functions. One contract, three kinds. */
export interface Executor {
  /** How many calls may be under way at once. */
  readonly limit: number;
  /**
   * Resolves when a call of the task can begin at once: a task's time is measured from then on. Executors without it are
   * always ready. Each one that resolves must be followed by a call.
   * @throws why it never can
   */
  ready?(taskSlug: string): Promise<void>;
  /** Settles as the function does. @throws what the function throws; WORKER_… when its thread died */
  call(call: TaskCall): unknown;
  /** Gives back what it holds; awaited at the flow run's end. Calls under way reject. */
  close(): Promise<void>;
}
