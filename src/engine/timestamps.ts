import type { Clock } from "./ports.js";

/** The clock's time as ISO 8601 in UTC; the text is made once a millisecond, since many states fall into one. */
export class Timestamps {
  readonly #clock: Clock;
  #last = Number.NaN;
  #text = "";

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): string {
    const now = this.#clock.now();
    if (now !== this.#last) {
      this.#last = now;
      this.#text = new Date(now).toISOString();
    }
    return this.#text;
  }
}
