import { MillraceError } from "../core/errors.js";
import type { SlotSource } from "./ports.js";
import type { TaskRun } from "./task/task-run.js";

/**
 * Task runs that were to be Running and found no free slot of a concurrency limit. They hold no place and cost nothing;
 * the Cloud keeps their order and tells, by id, who may ask again.
 */
export class SlotLine {
  readonly #source: SlotSource | undefined;
  readonly #onGranted: (runs: readonly TaskRun[]) => void;
  readonly #watch: (promise: Promise<unknown>) => void;
  readonly #waiting = new Map<string, TaskRun>();
  /** Told of before it was known here that the task run waits: both come from the Cloud, over two ways. */
  readonly #early = new Set<string>();
  #asking = false;
  #closed = false;

  /** @param watch Takes promises that nobody else awaits. */
  constructor(
    source: SlotSource | undefined,
    onGranted: (runs: readonly TaskRun[]) => void,
    watch: (promise: Promise<unknown>) => void,
  ) {
    this.#source = source;
    this.#onGranted = onGranted;
    this.#watch = watch;
  }

  get length(): number {
    return this.#waiting.size;
  }

  /** @returns true when it may ask again at once */
  add(run: TaskRun): boolean {
    if (this.#early.delete(run.taskRunId)) return true;
    this.#waiting.set(run.taskRunId, run);
    if (!this.#asking) this.#watch(this.#ask());
    return false;
  }

  /** Nobody is called any more. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }

  async #ask(): Promise<void> {
    if (!this.#source) {
      throw new MillraceError(
        "INTERNAL",
        "A task run was Queued, and nobody here can tell when there is a slot for it.",
      );
    }
    this.#asking = true;
    while (this.#waiting.size > 0) {
      const granted = await this.#source.granted().catch((error: unknown) => {
        // A run that is over has nobody to answer.
        if (this.#closed) return [];
        throw error;
      });
      if (this.#closed) return;
      const runs: TaskRun[] = [];
      for (const taskRunId of granted) {
        const run = this.#waiting.get(taskRunId);
        if (run) runs.push(run);
        else this.#early.add(taskRunId);
        this.#waiting.delete(taskRunId);
      }
      if (runs.length > 0) this.#onGranted(runs);
    }
    this.#asking = false;
  }
}
