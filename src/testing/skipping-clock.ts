import type { Clock } from "../engine/ports.js";

interface Sleeper {
  readonly dueAt: number;
  wake(): void;
}

/**
 * A clock that jumps: while a task's code runs, time passes as it does; when nothing runs and everything waits for a time,
 * that time has come. So retries a day apart take no time, and a timeout of 50 ms is 50 ms of the code's own time.
 */
export class SkippingClock implements Clock {
  #skippedMs: number;
  #running = 0;
  #sleepers: Sleeper[] = [];
  #looking = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param startAt Milliseconds since 1970. Default: now. */
  constructor(startAt = Date.now()) {
    this.#skippedMs = startAt - Date.now();
    this.#startedAt = startAt;
  }

  readonly #startedAt: number;

  now(): number {
    return Date.now() + this.#skippedMs;
  }

  /** How long the run took by this clock, in milliseconds. */
  get elapsedMs(): number {
    return this.now() - this.#startedAt;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const giveUp = () => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper);
        this.#look();
        reject(signal.reason);
      };
      const sleeper: Sleeper = {
        dueAt: this.now() + ms,
        wake: () => {
          signal.removeEventListener("abort", giveUp);
          resolve();
        },
      };
      this.#sleepers.push(sleeper);
      signal.addEventListener("abort", giveUp, { once: true });
      this.#look();
    });
  }

  /** Lets time pass at once, whatever runs. */
  skip(ms: number): void {
    this.#skippedMs += ms;
    this.#wakeDue();
  }

  /** While `run` is under way, time passes as it does. */
  async whileRunning<T>(run: () => T | Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await run();
    } finally {
      this.#running -= 1;
      this.#look();
    }
  }

  /** Forgets who still sleeps. */
  close(): void {
    clearTimeout(this.#timer);
    this.#sleepers = [];
  }

  /** A turn of the loop later: what has just ended may start something. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    setImmediate(() => {
      this.#looking = false;
      this.#arm();
    });
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#sleepers.length === 0) return;
    const waitMs = Math.max(0, Math.min(...this.#sleepers.map((each) => each.dueAt)) - this.now());
    if (this.#running === 0) this.skip(waitMs);
    else this.#timer = setTimeout(() => this.#wakeDue(), Math.min(waitMs, MAX_TIMER_MS));
  }

  #wakeDue(): void {
    const now = this.now();
    const due = this.#sleepers.filter((each) => each.dueAt <= now).sort((a, b) => a.dueAt - b.dueAt);
    this.#sleepers = this.#sleepers.filter((each) => each.dueAt > now);
    for (const sleeper of due) sleeper.wake();
    if (this.#sleepers.length > 0) this.#look();
  }
}

/** setTimeout takes no more than a signed 32-bit number: 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;
