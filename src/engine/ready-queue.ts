import type { TaskRun } from "./task/task-run.js";

/**
 * How many children of mapped tasks are in flight at once. With round trips of 10 ms to the Cloud it lets 25,000 children a
 * second pass, more than the Cloud writes; and it bounds what user code holds open at once (sockets, buffers). Tasks that
 * are no children were written one by one by the author, and are not bounded unless the executor has a limit.
 */
export const CHILDREN_IN_FLIGHT = 256;

/**
 * The task runs that may start, and the places for those that have: as many as the executor takes at once. A task run holds
 * its place from {@link ReadyQueue.take} until it is released, or comes back.
 *
 * With one place the order is the flow's: of the task runs that are ready, the one that the author wrote first. With more,
 * they start in the order in which they became ready, tasks before children.
 */
export class ReadyQueue {
  readonly #limit: number;
  readonly #line: Line;
  #inFlight = 0;
  #childrenInFlight = 0;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
    this.#line = limit === 1 ? new FlowOrder() : new FirstCome();
  }

  push(run: TaskRun): void {
    this.release(run);
    this.#line.push(run);
  }

  /** The task run to start now, if there is one. */
  take(): TaskRun | undefined {
    if (this.#inFlight >= this.#limit) return undefined;
    const run = this.#line.take(this.#childrenInFlight < CHILDREN_IN_FLIGHT);
    if (!run) return undefined;
    run.holdsPlace = true;
    this.#inFlight += 1;
    if (run.mapIndex >= 0) this.#childrenInFlight += 1;
    return run;
  }

  /** For a task run that ended, or that waits for its time: that one holds up nobody. */
  release(run: TaskRun): void {
    if (!run.holdsPlace) return;
    run.holdsPlace = false;
    this.#inFlight -= 1;
    if (run.mapIndex >= 0) this.#childrenInFlight -= 1;
  }
}

interface Line {
  push(run: TaskRun): void;
  take(mayBeChild: boolean): TaskRun | undefined;
}

/**
 * Tasks first come, first served, and before children. Children come depth first: one that became ready last starts before
 * those that have been waiting, so that an item goes through a chain of maps before the next item begins, and its values
 * are not piled up.
 */
class FirstCome implements Line {
  #plain: TaskRun[] = [];
  #next = 0;
  /** Children that became ready since the last one was taken, in order. */
  #fresh: TaskRun[] = [];
  /** The rest of the children; the top is at the end. */
  readonly #children: TaskRun[] = [];

  push(run: TaskRun): void {
    if (run.mapIndex < 0) this.#plain.push(run);
    else this.#fresh.push(run);
  }

  take(mayBeChild: boolean): TaskRun | undefined {
    if (this.#next < this.#plain.length) return this.#takePlain();
    while (this.#fresh.length > 0) this.#children.push(this.#fresh.pop()!);
    return mayBeChild ? this.#children.pop() : undefined;
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

/** By the task's place in the flow; all tasks of a chain of maps stand at its first one's, depth first among themselves. */
class FlowOrder implements Line {
  readonly #places: (FirstCome | undefined)[] = [];
  /** Nothing is ready before this place. */
  #first = 0;

  push(run: TaskRun): void {
    const { place } = run.plan;
    const line = this.#places[place] ?? new FirstCome();
    this.#places[place] = line;
    line.push(run);
    this.#first = Math.min(this.#first, place);
  }

  take(mayBeChild: boolean): TaskRun | undefined {
    for (; this.#first < this.#places.length; this.#first += 1) {
      const run = this.#places[this.#first]?.take(mayBeChild);
      if (run) return run;
    }
    return undefined;
  }
}
