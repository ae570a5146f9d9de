/**
 * How often a request is tried in all. With {@link retryDelayMs} the last try begins 5 to 10 s after the first: longer than a
 * Cloud needs to restart (below 1 s), shorter than a person's patience.
 */
export const DEFAULT_TRIES = 6;

/** The first wait; each further one is three times as long, up to the longest. */
const FIRST_DELAY_MS = 50;
const DELAY_GROWTH = 3;
const LONGEST_DELAY_MS = 5_000;

export interface RetryOptions {
  /** How often in all, 1 or more. */
  tries: number;
  /** Ends the waiting; the last error is thrown then. */
  signal: AbortSignal;
  mayRepeat(error: unknown): boolean;
}

/** Calls `attempt` until it resolves, may not be repeated, or was tried often enough; then throws its last error. */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (tried >= options.tries || options.signal.aborted || !options.mayRepeat(error)) throw error;
      await sleepUnlessAborted(retryDelayMs(tried), options.signal);
      if (options.signal.aborted) throw error;
    }
  }
}

/**
 * The wait after the try number `tried`: it grows, and half of it is random, so that agents which lost the same Cloud do
 * not come back all at once.
 */
export function retryDelayMs(tried: number, random: () => number = Math.random): number {
  const whole = Math.min(FIRST_DELAY_MS * DELAY_GROWTH ** (tried - 1), LONGEST_DELAY_MS);
  return whole / 2 + (whole / 2) * random();
}

/** Resolves after `ms`, or as soon as the signal fires; never rejects. */
export function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
