import type { TaskRun } from "./task-run.js";

/**
 * How many children of mapped tasks are in flight at once. With round trips of 10 ms to the Cloud it lets 25,000 children a
 * second pass, more than the Cloud writes; and it bounds what user code holds open at once (sockets, buffers). Tasks that
 * are no children were written one by one by the author, and are not bounded.
 */
export const CHILDREN_IN_FLIGHT = 256;

/**
 * The task runs that may start. Children come depth first: one that became ready last starts before those that have been
 * waiting, so that an item goes through a chain of maps before the next item begins, and its values are not piled up.
 */
export class ReadyQueue {
  #plain: TaskRun[] = [];
  #next = 0;
  /** Children that became ready since the last one was taken, in order. */
  #fresh: TaskRun[] = [];
  /** The rest of the children; the top is at the end. */
  readonly #children: TaskRun[] = [];
  #inFlight = 0;

  push(run: TaskRun): void {
    if (run.mapIndex < 0) this.#plain.push(run);
    else this.#fresh.push(run);
  }

  /** The task run to start now, if there is one. A child takes a place in the window until {@link release}. */
  take(): TaskRun | undefined {
    if (this.#next < this.#plain.length) return this.#takePlain();
    while (this.#fresh.length > 0) this.#children.push(this.#fresh.pop()!);
    if (this.#inFlight >= CHILDREN_IN_FLIGHT) return undefined;
    const child = this.#children.pop();
    if (child) {
      child.inWindow = true;
      this.#inFlight += 1;
    }
    return child;
  }

  release(run: TaskRun): void {
    if (!run.inWindow) return;
    run.inWindow = false;
    this.#inFlight -= 1;
  }

  #takePlain(): TaskRun {
    const run = this.#plain[this.#next]!;
    this.#next += 1;
    if (this.#next === this.#plain.length) {
      this.#plain = [];
      this.#next = 0;
    }
    return run;
  }
}
