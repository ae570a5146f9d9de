import type { TaskContext } from "../../core/context.js";
import { MillraceError } from "../../core/errors.js";
import type { TaskCall } from "../../core/options/executor.js";
import type { TaskFunction } from "../../core/task.js";
import { RunningTaskContext } from "./task-context.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import { TaskSignal } from "./task-signal.js";
import { type Settled, settle, settleInTime } from "./timeout.js";

/** How long code may go on after its signal fired before it is stopped hard, where it can be: in a thread of its own. */
export const HARD_STOP_GRACE_MS = 5_000;

/** One call of a task's function. Its signals are made when they are asked for. */
export class RunningCall implements TaskCall {
  readonly fn: TaskFunction;
  readonly args: readonly unknown[];
  readonly context: TaskContext;
  readonly logPrints: boolean;
  readonly signal = new TaskSignal();
  readonly #hardStop = new TaskSignal();
  /** The code goes on although its time is up; resolves when it has come to its end, or was stopped. */
  overtime: Promise<void> | undefined = undefined;

  constructor(run: TaskRun, args: readonly unknown[], around: Surroundings) {
    // Parameters and secrets run no code, and never come here.
    this.fn = run.plan.task.fn!;
    this.args = args;
    this.context = new RunningTaskContext(run, this.signal, around);
    this.logPrints = run.plan.task.options.logPrints === true;
  }

  get hardStop(): AbortSignal {
    return this.#hardStop.signal;
  }

  stop(reason: unknown): void {
    this.signal.abort(reason);
  }

  stopHard(reason: unknown): void {
    this.signal.abort(reason);
    this.#hardStop.abort(reason);
  }
}

/** Calls the author's function, against its timeout. Never throws. */
export async function callFunction(run: TaskRun, args: readonly unknown[], around: Surroundings): Promise<Settled> {
  const { executor, clock } = around.ports;
  const { timeoutMs } = run.plan.task.options;
  const call = new RunningCall(run, args, around);
  run.call = call;
  if (executor.ready) {
    // A clean-up is called when its run was told to stop already.
    const wasStopped = around.stop.aborted;
    const ready = await settle(() => executor.ready?.(run.plan.task.slug));
    if (ready.kind !== "returned") return ready;
    // Told to stop while it waited for its place: nothing begins any more, and the executor is closed soon.
    if (around.stop.aborted && !wasStopped) return { kind: "threw", error: around.stop.reason };
  }
  if (timeoutMs === undefined) return settle(() => executor.call(call));
  return settleInTime(
    () => executor.call(call),
    timeoutMs,
    clock,
    around.over,
    (pending) => {
      const error = timeoutError(run);
      call.stop(error);
      call.overtime = untilItEnds(call, pending, error, around);
    },
  );
}

/** The try's outcome does not wait for this, but the next try does: two of them never run side by side. */
async function untilItEnds(
  call: RunningCall,
  pending: Promise<unknown>,
  error: MillraceError,
  { ports, over }: Surroundings,
): Promise<void> {
  const grace = new AbortController();
  const endGrace = () => grace.abort();
  over.addEventListener("abort", endGrace, { once: true });
  // The same promise may be settled already; then nothing is left to stop.
  const ended = pending.then(() => "ended" as const);
  const graceOver = ports.clock.sleep(HARD_STOP_GRACE_MS, grace.signal).then(
    () => "over" as const,
    // The flow run has ended: what its executor holds ends with that, after a moment to clean up.
    () => "ended" as const,
  );
  if ((await Promise.race([ended, graceOver])) === "over") call.stopHard(error);
  grace.abort();
  over.removeEventListener("abort", endGrace);
}

export function timeoutError({ name, plan }: TaskRun): MillraceError {
  return new MillraceError(
    "TASK_TIMED_OUT",
    `Task "${name}" ran longer than its timeout of ${plan.task.options.timeoutMs} ms.`,
    {
      hint: "Raise the task's `timeoutMs`, and hand `taskContext().signal` to what it waits for.",
    },
  );
}
