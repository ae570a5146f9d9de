/** Waits between polls that found nothing, one after another: the table of Prefect 1.x agents (protocol notes 4.1). */
export const POLL_BACK_OFF_MS = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000] as const;

/** The wait before the poll that follows `idlePolls` polls without a run, at most `longestMs`. */
export function pollWaitMs(idlePolls: number, longestMs: number): number {
  const at = Math.min(idlePolls, POLL_BACK_OFF_MS.length - 1);
  return Math.min(POLL_BACK_OFF_MS[at]!, longestMs);
}

/** Waits while the Cloud is away, on top of the client's own retries: soon at first, for a Cloud that restarts. */
const AWAY_FIRST_MS = 100;
const AWAY_LONGEST_MS = 5_000;

export function awayWaitMs(failures: number): number {
  return Math.min(AWAY_FIRST_MS * 2 ** failures, AWAY_LONGEST_MS);
}

/** A wait that can be cut short. */
export class Waker {
  #woken = false;
  #wake: (() => void) | undefined;

  /** Ends the wait under way, or the next one before it begins. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Resolves after `ms`, or when woken. */
  async wait(ms: number): Promise<void> {
    if (!this.#woken) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (Number.isFinite(ms)) timer = setTimeout(resolve, Math.min(ms, LONGEST_TIMER_MS));
      });
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#woken = false;
  }
}

/** setTimeout takes no longer time. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
