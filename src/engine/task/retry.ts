import { isMillraceError } from "../../core/errors.js";
import { isFailed, makeState, type State } from "../../core/state.js";
import type { ErrorClass, TaskOptions } from "../../core/task.js";

/** No retry waits longer unless the task says so: a day. */
export const MAX_RETRY_DELAY_MS = 24 * 60 * 60 * 1_000;

/** The last instant that a Date can hold (ECMA-262, 21.4.1.1). */
const LAST_TIME_MS = 8.64e15;

/** What the retry gate may look at. */
export interface RetryView {
  readonly options: Readonly<TaskOptions>;
  /** How often the task was tried. */
  readonly runCount: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly at: string;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Told what a `retryOn` of the author's threw. */
  readonly onBadQuestion: (error: unknown) => void;
}

/** A failed try that may be repeated becomes Retrying. @param thrown What ended the try. */
export function retryLeft(state: State, thrown: unknown, view: RetryView): State {
  const { options, runCount } = view;
  const { retries = 0 } = options;
  if (!isFailed(state) || runCount > retries || !isWorthRetry(thrown, view)) return state;
  const message = `Retrying Task (after attempt ${runCount} of ${retries + 1})`;
  return retrying(message, retryDelayMs(options, runCount, view.random), view, state.context);
}

export function retrying(
  message: string,
  delayMs: number,
  { runCount, now, at }: Pick<RetryView, "runCount" | "now" | "at">,
  context?: Record<string, unknown>,
): State {
  return makeState("Retrying", message, {
    at,
    startAt: isoAt(now + delayMs),
    runCount,
    ...(context ? { context } : {}),
  });
}

/** ISO 8601; a time further away than a Date can say is the last that it can. */
export function isoAt(time: number): string {
  return new Date(Math.min(time, LAST_TIME_MS)).toISOString();
}

function isWorthRetry(thrown: unknown, { options, onBadQuestion }: RetryView): boolean {
  const { retryOn } = options;
  if (retryOn === undefined) return true;
  if (typeof retryOn !== "function") return retryOn.some((wanted) => isInstance(thrown, wanted));
  try {
    return (retryOn as (error: unknown) => boolean)(thrown) === true;
  } catch (error) {
    onBadQuestion(error);
    return false;
  }
}

/** An error that was copied from another thread has lost its class, and kept its name. */
function isInstance(thrown: unknown, wanted: ErrorClass): boolean {
  if (thrown instanceof wanted) return true;
  if (typeof thrown !== "object" || thrown === null || (thrown as Error).name !== wanted.name) return false;
  return isMillraceError(thrown) || Object.getPrototypeOf(thrown) === Error.prototype;
}

/** How long to wait behind try number `runCount`, in milliseconds. @param random From 0 up to 1. */
export function retryDelayMs(options: Readonly<TaskOptions>, runCount: number, random: () => number): number {
  const { retryDelayMs: given = 0, retryBackoff = 1, retryJitter = 0 } = options;
  const { maxRetryDelayMs = MAX_RETRY_DELAY_MS } = options;
  const delays = typeof given === "number" ? [given] : given;
  const base = delays[Math.min(runCount, delays.length) - 1]!;
  // The author's own list says how the delays grow; behind its end they grow by the factor.
  const growth = retryBackoff ** Math.max(0, runCount - delays.length);
  const delayMs = base === 0 ? 0 : Math.min(base * growth, maxRetryDelayMs);
  if (retryJitter === 0) return delayMs;
  return Math.min(delayMs * (1 + retryJitter * (2 * random() - 1)), maxRetryDelayMs);
}
