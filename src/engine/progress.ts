import { isMapped } from "../core/state.js";
import type { FlowPlan } from "./plan.js";
import type { ReadyQueue } from "./ready-queue.js";
import type { TaskRun } from "./task/task-run.js";

/** Knows who waits for whom: hands a task run to the queue when the last of what it waits for has come. */
export class Progress {
  readonly #tasks: readonly TaskRun[];
  readonly #queue: ReadyQueue;
  /** Tasks that are not complete yet. */
  #open: number;

  constructor(plan: FlowPlan, tasks: readonly TaskRun[], queue: ReadyQueue) {
    this.#tasks = tasks;
    this.#queue = queue;
    this.#open = plan.tasks.length;
  }

  get allComplete(): boolean {
    return this.#open === 0;
  }

  /** Begins: what waits for nothing is ready. Told before anything else. */
  begin(): void {
    for (const run of this.#tasks) {
      // The parent of children that are not finished is taken up again, though it is Mapped already.
      if (run.done && run.isParent && isMapped(run.state!)) run.done = false;
      run.waiting = run.plan.waitsFor;
    }
    for (const run of this.#tasks) if (run.waiting === 0 && !run.done) this.#queue.push(run);
    for (const run of this.#tasks) if (run.done) this.finished(run);
  }

  /** A task run got its final state. A Mapped parent's children must be there. */
  finished(run: TaskRun): void {
    run.done = true;
    if (run.parent) {
      this.#completed(run);
      run.parent.openChildren -= 1;
      if (run.parent.openChildren === 0) this.#completed(run.parent);
      return;
    }
    for (const index of run.plan.onDecided) this.#arrived(this.#tasks[index]!);
    for (const child of run.children ?? []) if (!child.done && child.waiting === 0) this.#queue.push(child);
    if (run.openChildren === 0) this.#completed(run);
  }

  #completed(run: TaskRun): void {
    run.complete = true;
    for (const each of run.dependents ?? []) this.#arrived(each);
    run.dependents = undefined;
    if (run.parent) return;
    this.#open -= 1;
    for (const index of run.plan.onComplete) this.#arrived(this.#tasks[index]!);
  }

  #arrived(run: TaskRun): void {
    run.waiting -= 1;
    if (run.waiting === 0 && !run.done) this.#queue.push(run);
  }
}
