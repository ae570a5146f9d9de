import type { Clock } from "./ports.js";

interface Options {
  readonly clock: Clock;
  readonly maxWaitMs: number;
  readonly over: AbortSignal;
}

/**
 * How long a run that has nothing to do but to wait for slots keeps its process: a slot mostly comes free soon, and nobody
 * knows when.
 */
export class SlotPatience {
  readonly #options: Options;
  readonly #look: () => void;
  readonly #watch: (promise: Promise<unknown>) => void;
  /** Since when nothing was started; in milliseconds since 1970. */
  #since: number | undefined;
  #looks = false;

  /** @param look Called when it is over. @param watch Takes promises that nobody else awaits. */
  constructor(options: Options, look: () => void, watch: (promise: Promise<unknown>) => void) {
    this.#options = options;
    this.#look = look;
    this.#watch = watch;
  }

  /** Something was started. */
  renew(): void {
    this.#since = undefined;
  }

  /** Nothing is left to do: is there patience left? */
  lasts(): boolean {
    const { clock, maxWaitMs, over } = this.#options;
    this.#since ??= clock.now();
    const leftMs = this.#since + maxWaitMs - clock.now();
    if (leftMs <= 0) return false;
    if (this.#looks || leftMs === Number.POSITIVE_INFINITY) return true;
    this.#looks = true;
    const looked = clock.sleep(leftMs, over).then(() => {
      this.#looks = false;
      this.#look();
    });
    this.#watch(looked);
    return true;
  }
}
