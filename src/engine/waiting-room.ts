import type { State } from "../core/state.js";
import type { Clock } from "./ports.js";
import type { TaskRun } from "./task/task-run.js";

interface Waiting {
  readonly dueAt: number;
  readonly run: TaskRun;
  /** Who has gone on to another state in the meantime does not wait any more. */
  readonly state: State | null;
}

/** Task runs that wait for their time, on one timer however many they are. */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #onDue: (due: readonly TaskRun[]) => void;
  readonly #watch: (promise: Promise<unknown>) => void;
  /** A heap: each is due no later than those at twice its place and one or two more. */
  readonly #heap: Waiting[] = [];
  #timer: { readonly dueAt: number; readonly off: AbortController } | undefined;

  /** @param watch Takes promises that nobody else awaits. */
  constructor(clock: Clock, onDue: (due: readonly TaskRun[]) => void, watch: (promise: Promise<unknown>) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.#watch = watch;
  }

  /** When the first of them is due, in milliseconds since 1970; undefined when nobody waits. */
  get earliest(): number | undefined {
    return this.#heap[0]?.dueAt;
  }

  /** Does somebody wait who would have to begin anew elsewhere, and then wait again, for ever? */
  get holdsInMemory(): boolean {
    return this.#heap.some(({ run, state }) => run.isInMemory && run.state === state);
  }

  add(run: TaskRun, dueAt: number): void {
    const heap = this.#heap;
    let at = heap.push({ run, dueAt, state: run.state }) - 1;
    for (let above = (at - 1) >> 1; at > 0 && heap[above]!.dueAt > dueAt; above = (at - 1) >> 1) {
      swap(heap, at, above);
      at = above;
    }
    this.#setTimer();
  }

  /** Nobody is called any more. */
  close(): void {
    this.#heap.length = 0;
    this.#timer?.off.abort();
    this.#timer = undefined;
  }

  #setTimer(): void {
    const dueAt = this.earliest;
    if (dueAt === undefined || (this.#timer && this.#timer.dueAt <= dueAt)) return;
    this.#timer?.off.abort();
    const off = new AbortController();
    this.#timer = { dueAt, off };
    const rung = this.#clock.sleep(Math.max(0, dueAt - this.#clock.now()), off.signal).then(
      () => this.#ring(),
      (error: unknown) => {
        if (!off.signal.aborted) throw error;
      },
    );
    this.#watch(rung);
  }

  #ring(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    const due: TaskRun[] = [];
    while (this.#heap.length > 0 && this.#heap[0]!.dueAt <= now) {
      const { run, state } = this.#takeFirst();
      if (run.state === state) due.push(run);
    }
    this.#setTimer();
    if (due.length > 0) this.#onDue(due);
  }

  #takeFirst(): Waiting {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= heap.length) return first;
      const below = left + 1 < heap.length && heap[left + 1]!.dueAt < heap[left]!.dueAt ? left + 1 : left;
      if (heap[below]!.dueAt >= heap[at]!.dueAt) return first;
      swap(heap, at, below);
      at = below;
    }
  }
}

function swap(heap: Waiting[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b]!, heap[a]!];
}
