import type { WireState } from "../codec/state-json.js";
import { isType } from "../core/state.js";
import type { SeenTaskRun } from "./run-host.js";

/**
 * How long after a task's timeout its thread is stopped. The engine gives its code 5 s after the signal, and reports then;
 * who has not reported 2 s later does not come to it: a busy loop keeps the thread.
 */
export const OVERDUE_GRACE_MS = 7_000;

/**
 * Watches, from outside the thread, the task runs that have a timeout: code that never yields cannot be interrupted from
 * within.
 */
export class TaskWatch {
  readonly #timeoutOf: (taskSlug: string) => number | null;
  readonly #onOverdue: (taskRun: SeenTaskRun, running: WireState) => void;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  /** @param timeoutOf A task's timeout in milliseconds, or null. @param onOverdue Told of each task run that is past its time. */
  constructor(
    timeoutOf: (taskSlug: string) => number | null,
    onOverdue: (taskRun: SeenTaskRun, running: WireState) => void,
  ) {
    this.#timeoutOf = timeoutOf;
    this.#onOverdue = onOverdue;
  }

  /** A task run has entered a state. */
  note(taskRun: SeenTaskRun, state: WireState): void {
    clearTimeout(this.#timers.get(taskRun.taskRunId));
    this.#timers.delete(taskRun.taskRunId);
    if (taskRun.type === null || !isType(taskRun.type, "Running")) return;
    const timeoutMs = this.#timeoutOf(taskRun.taskSlug);
    if (timeoutMs === null) return;
    const timer = setTimeout(() => this.#onOverdue(taskRun, state), timeoutMs + OVERDUE_GRACE_MS);
    timer.unref();
    this.#timers.set(taskRun.taskRunId, timer);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
