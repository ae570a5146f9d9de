import { MillraceError } from "./errors.js";
import type { StandardSchema } from "./parameter.js";

/** What a task may end its try with, other than by returning or failing. */
export type SignalKind = "skip" | "fail" | "success" | "retry" | "pause" | "loop" | "triggerFail" | "validationFail";

/** More that a signal may say. */
export interface SignalFacts {
  readonly message?: string | undefined;
  /** success, fail, loop: the value that goes with the state. */
  readonly value?: unknown;
  /** retry, pause: when the task run is due again, in milliseconds since 1970; undefined: retry at once, pause until resumed. */
  readonly dueAt?: number | undefined;
  /** retry, pause: how long to wait, in milliseconds, in place of `dueAt`. */
  readonly delayMs?: number | undefined;
  /** pause: what the input that resumes the task must look like. */
  readonly schema?: StandardSchema<unknown> | undefined;
}

/** Shared by all copies of this package: a flow's bundle may carry one of its own. */
const brand = Symbol.for("millrace.signal");

/**
 * How a task ends its try by hand: thrown or returned from the task's function. It is no Error on purpose (as in Prefect,
 * where signals derive from a base that `except Exception` does not catch): a `catch` that looks for errors with
 * `instanceof Error` and throws on everything else lets it pass.
 */
export class Signal {
  readonly kind: SignalKind;
  readonly facts: SignalFacts;

  constructor(kind: SignalKind, facts: SignalFacts) {
    this.kind = kind;
    this.facts = facts;
    Object.defineProperty(this, brand, { value: true });
  }
}

/**
 * The signals, to be thrown or returned from a task's function, or thrown from a trigger or a state handler.
 * @example
 * const publish = task("publish", (rows: number[]) => {
 *   if (rows.length === 0) throw signals.skip("nothing to publish");
 *   return rows.length;
 * });
 */
export const signals = {
  /** Ends Skipped; so do the tasks below, unless they say otherwise. */
  skip: (message?: string): Signal => new Signal("skip", { message }),
  /** Ends Failed, as an error does: it is retried while retries are left. */
  fail: (message?: string, value?: unknown): Signal => new Signal("fail", { message, value }),
  /** Ends Success with `value`, from however deep. */
  success: (value?: unknown, message?: string): Signal => new Signal("success", { value, message }),
  /**
   * Tries again, whatever the task's `retries`; after `delayMs` milliseconds, or at `at`. Default: the task's `retryDelayMs`.
   * @throws TASK_OPTIONS_INVALID for a delay or a date that is none
   */
  retry: (when: { delayMs?: number; at?: Date; message?: string } = {}): Signal =>
    new Signal("retry", {
      message: when.message,
      delayMs: asDelay("retry", "delayMs", when.delayMs),
      dueAt: asTime("retry", "at", when.at),
    }),
  /**
   * Waits until someone resumes the task run, or until `until`, or for `forMs` milliseconds. The function is then called anew; what the run was resumed
   * with is in `taskContext().resumeInput`, checked by `schema`.
   * @throws TASK_OPTIONS_INVALID for a time or a date that is none
   */
  pause: (message?: string, more: { until?: Date; forMs?: number; schema?: StandardSchema<unknown> } = {}): Signal =>
    new Signal("pause", {
      message,
      dueAt: asTime("pause", "until", more.until),
      delayMs: asDelay("pause", "forMs", more.forMs),
      schema: more.schema,
    }),
  /** Calls the function again; `value` is in `taskContext().loopResult` then, and `loopCount` one more. */
  loop: (value?: unknown, message?: string): Signal => new Signal("loop", { value, message }),
  /** Ends TriggerFailed. */
  triggerFail: (message?: string): Signal => new Signal("triggerFail", { message }),
  /** Ends ValidationFailed. */
  validationFail: (message?: string): Signal => new Signal("validationFail", { message }),
} as const;

export function isSignal(value: unknown): value is Signal {
  return typeof value === "object" && value !== null && brand in value;
}

function asDelay(signal: string, option: string, delayMs: number | undefined): number | undefined {
  if (delayMs === undefined || delayMs >= 0) return delayMs;
  throw new MillraceError(
    "TASK_OPTIONS_INVALID",
    `signals.${signal}() takes \`${option}\` as a number of 0 or more, and was given ${String(delayMs)}.`,
  );
}

function asTime(signal: string, option: string, at: Date | undefined): number | undefined {
  if (at === undefined) return undefined;
  const time = at instanceof Date ? at.getTime() : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new MillraceError(
    "TASK_OPTIONS_INVALID",
    `signals.${signal}() takes \`${option}\` as a Date, and was given ${String(at)}.`,
  );
}
