import { currentBuild } from "./building.js";
import { MillraceError } from "./errors.js";
import type { CacheValidator } from "./options/cache-validator.js";
import { checkTaskOptions } from "./options/check-options.js";
import type { Location, LocationNames, ResultOptions } from "./options/result-options.js";
import type { StateHandler } from "./options/state-handler.js";
import type { Input, MapInput, MappedRef, Ref } from "./reference.js";
import type { Signal } from "./signal.js";
import type { Trigger } from "./trigger.js";

// biome-ignore lint/suspicious/noExplicitAny: a task may take anything; the public signature of task() keeps the types.
export type TaskFunction = (...args: any[]) => unknown;

/** Options of a task; all of them optional. */
export interface TaskOptions {
  /** How often the task is run again after it failed. Default 0. */
  retries?: number;
  /** How long to wait before it is run again, in milliseconds; a list gives each retry its own, the last one for all further. Default 0. */
  retryDelayMs?: number | readonly number[];
  /** Each retry waits this many times as long as the one before. Default 1: always the same. */
  retryBackoff?: number;
  /** No retry waits longer, in milliseconds. Default: a day. */
  maxRetryDelayMs?: number;
  /** Spreads the wait at random by this part of it, up or down, so that many tasks do not come back at once: 0.2 is ± 20 %. Default 0. */
  retryJitter?: number;
  /** Which errors are worth a retry: classes, or a question. Default: all. */
  retryOn?: readonly ErrorClass[] | ((error: unknown) => boolean);
  /**
   * How long one try may take, in milliseconds; then its AbortSignal fires and it ends TimedOut. Code that goes on all the
   * same, a busy loop too, is ended with its thread. Default: no limit.
   */
  timeoutMs?: number;
  /** Words for people and limits; they are part of the task's slug. */
  tags?: readonly string[];
  /** A slug of the author's own, in place of name, tags and counter. */
  slug?: string;
  /** Which upstream states let it start. Default `triggers.allSuccessful`. */
  trigger?: Trigger;
  /** Is it skipped when an upstream was skipped? Default true. */
  skipOnUpstreamSkip?: boolean;
  /** How long a result may stand for running the task again, in milliseconds. Default: not at all. */
  cacheForMs?: number;
  /** Decides whether a cached result fits. Default `cacheValidators.durationOnly`. */
  cacheValidator?: CacheValidator;
  /** Tasks with the same key share their cached results, across flows too. Default: the task of this flow alone. */
  cacheKey?: string;
  /** Where the result is kept; when something lies there already, the task ends Cached and does not run. */
  target?: Location;
  /** Where and how the result is kept. Default: the flow's. */
  result?: ResultOptions;
  /** False keeps the result in memory only: a run that resumes elsewhere runs the task again. Default true. */
  checkpoint?: boolean;
  /** The task run's name, a template or a function as for a result's location. Default: the task's name. */
  taskRunName?: string | ((names: LocationNames) => string);
  /** Told of every move of its runs, in this order; only what a cancelled flow run has not finished is Cancelled unasked. */
  stateHandlers?: readonly StateHandler[];
  /** Told when a run has failed for good. */
  onFailure?: StateHandler;
  /**
   * Under `executors.threads()`, true runs it on the flow run's own thread: for arguments and results that cannot be copied,
   * connections for instance. Default false.
   */
  inline?: boolean;
  /** Copies what the function prints with `console` to the run's log. Default false. */
  logPrints?: boolean;
}

/** A class of errors, for `instanceof`. */
// biome-ignore lint/suspicious/noExplicitAny: a constructor may take anything.
export type ErrorClass = abstract new (...args: any[]) => unknown;

/** A task: called inside a flow's build function it takes its place in that flow. */
export interface Task<Args extends readonly unknown[], Result, Fn = (...args: Args) => Result | Promise<Result>> {
  (...args: { [K in keyof Args]: Input<Args[K]> }): Ref<Result>;
  /** Runs the task once for each item of its arguments, which are lists; the shortest list decides how many. */
  map(...args: { [K in keyof Args]: MapInput<Args[K]> }): MappedRef<Result>;
  /** The same task with other options. */
  with(options: TaskOptions): Task<Args, Result, Fn>;
  /** The author's function itself, for unit tests. */
  readonly fn: Fn;
  readonly taskName: string;
  readonly options: Readonly<TaskOptions>;
}

/**
 * Not `(...args: unknown[]) => unknown`: that would tell TypeScript that a parameter without a type, as `limit` in
 * `(url: string, limit = 10) => …`, is `unknown`; this lets it look at the default.
 */
// biome-ignore lint/complexity/noBannedTypes: the one type of a function that gives its parameters no types.
type Callable = Function;

/** The task of a function: promises are awaited, of overloads the last one counts. A signal that it returns is no output. */
export type TaskOf<Fn> = Fn extends (...args: infer Args) => infer Result
  ? Task<Args, Exclude<Awaited<Result>, Signal>, Fn>
  : never;

/**
 * Makes a task of a function, sync or async.
 * @param name What people call it; together with its tags and a counter it makes the slug in a flow.
 * @throws FLOW_INVALID_NAME, TASK_OPTIONS_INVALID
 * @example
 * const add = task("add", (a: number, b: number) => a + b);
 * const fetchPage = task("fetch page", { retries: 3, retryDelayMs: 1_000 }, async (url: string) => (await fetch(url)).text());
 */
export function task<Fn extends Callable>(name: string, fn: Fn): TaskOf<Fn>;
export function task<Fn extends Callable>(name: string, options: TaskOptions, fn: Fn): TaskOf<Fn>;
export function task(
  name: string,
  ...rest: [TaskFunction] | [TaskOptions, TaskFunction]
): Task<readonly unknown[], unknown> {
  const [options, fn] = rest.length === 2 ? rest : [{}, rest[0]];
  if (typeof name !== "string" || name.trim() === "") {
    throw new MillraceError(
      "FLOW_INVALID_NAME",
      `task() takes a name that is not empty, and was given ${JSON.stringify(name)}.`,
    );
  }
  if (typeof fn !== "function") {
    throw new MillraceError("TASK_OPTIONS_INVALID", `Task "${name}" has no function.`, {
      hint: 'Write task("name", fn) or task("name", options, fn).',
    });
  }
  checkTaskOptions(name, options);
  return makeTask(name, Object.freeze({ ...options }), fn);
}

function makeTask(name: string, options: Readonly<TaskOptions>, fn: TaskFunction): Task<readonly unknown[], unknown> {
  const place = (args: readonly unknown[], mapped: boolean) =>
    currentBuild(`Task "${name}" was called`).addTask({ name, options, fn, args, mapped });
  const bound = (...args: readonly unknown[]) => place(args, false);
  return Object.assign(bound, {
    map: (...args: readonly unknown[]) => place(args, true) as unknown as MappedRef<unknown>,
    with: (more: TaskOptions) => {
      checkTaskOptions(name, more);
      return makeTask(name, Object.freeze({ ...options, ...more }), fn);
    },
    fn,
    taskName: name,
    options,
  }) as unknown as Task<readonly unknown[], unknown>;
}
