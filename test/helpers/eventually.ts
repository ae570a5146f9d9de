/** How long a condition may take before the test fails: far above any real wait here, so that only a hang meets it. */
const EVENTUALLY_TIMEOUT_MS = 10_000;
/** Pause between two looks: short enough not to be felt in a test's duration, long enough not to starve what is awaited. */
const LOOK_AGAIN_MS = 5;

/** What an `eventually` waits for, and how patiently. */
export interface EventuallyOptions {
  /** Give up after so long; default 10 s. */
  readonly timeoutMs?: number;
  /** Pause between two looks; default 5 ms. */
  readonly everyMs?: number;
  /** What is awaited, in words, for the failure's message. */
  readonly message?: string;
}

/**
 * Looks again and again until `look` returns something other than `undefined`, `null` or `false`, and returns that.
 * An error thrown by `look` counts as "not yet"; the last one is the failure's cause.
 *
 * @example const run = await eventually(async () => (await cloud.flowRun(id)).state?.type === "Success");
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const timeoutMs = options.timeoutMs ?? EVENTUALLY_TIMEOUT_MS;
  const giveUpAt = performance.now() + timeoutMs;
  let lastError: unknown;
  let lastValue: unknown;
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>;
      }
      lastValue = value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= giveUpAt) {
      const what = options.message ?? "a condition";
      throw new Error(`Waited ${timeoutMs} ms for ${what}; the last look gave ${String(lastError ?? lastValue)}`, {
        cause: lastError,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? LOOK_AGAIN_MS));
  }
}
