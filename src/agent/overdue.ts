import { fromWireState, toWireState, type WireState } from "../codec/state-json.js";
import { MillraceError } from "../core/errors.js";
import type { FlowSpec } from "../core/flow-spec.js";
import { makeState, type State } from "../core/state.js";
import { type EndPorts, releaseRun } from "./end-run.js";
import { type FlowRunHost, failureOf, type SeenTaskRun } from "./run-host.js";

/** Why a run's thread was stopped under one of its tasks. */
export class TaskOverdue extends MillraceError {
  readonly taskRun: SeenTaskRun;
  /** The state that it was in: it says where in a loop, and resumed with what. */
  readonly running: WireState;

  constructor(taskRun: SeenTaskRun, running: WireState, timeoutMs: number) {
    super(
      "TASK_TIMED_OUT",
      `Task "${taskRun.taskSlug}" ran longer than its timeout of ${timeoutMs} ms, and its code did not let go of the thread.`,
      { hint: "Raise the task's `timeoutMs`, or let its code yield and heed `taskContext().signal`." },
    );
    this.taskRun = taskRun;
    this.running = running;
  }
}

/**
 * Goes on with a run whose thread was stopped under one of its tasks: that task run is TimedOut, or Retrying while retries
 * are left, and the run is given back. Whoever takes it up reads the results of its finished tasks; other tasks that ran in
 * the same thread run again.
 */
export async function endOverdue(
  host: FlowRunHost,
  overdue: TaskOverdue,
  spec: FlowSpec,
  ports: EndPorts,
): Promise<void> {
  await host.close();
  const { type: _, runCount, ...taskRun } = overdue.taskRun;
  const state = endOf(overdue, spec);
  const failure = await ports.stream.report(host.lease, {
    states: [{ taskRun, state: toWireState(state), at: state.at }],
    logs: [
      {
        at: state.at,
        level: "ERROR",
        name: "millrace.agent",
        message: `${overdue.code}: ${overdue.message}`,
        taskRunId: taskRun.taskRunId,
      },
    ],
  });
  if (failureOf(failure)?.code !== "RUN_LEASE_LOST") await releaseRun(host, ports);
}

function endOf(overdue: TaskOverdue, { tasks }: FlowSpec): State {
  const { taskSlug, runCount } = overdue.taskRun;
  const spec = tasks.find((task) => task.slug === taskSlug);
  const retries = spec?.retries ?? 0;
  const context = { error: { name: overdue.name, code: overdue.code, message: overdue.message, hint: overdue.hint } };
  const tried = runCount ?? 1;
  if (tried > retries) return makeState("TimedOut", "Task timed out during execution.", { context });
  const carried = fromWireState(overdue.running, new Date().toISOString());
  const startAt = new Date(Date.now() + (spec?.retryDelayMs ?? 0)).toISOString();
  return makeState("Retrying", `Retrying Task (after attempt ${tried} of ${retries + 1})`, {
    startAt,
    runCount: tried,
    context: { ...carried.context, ...context, task_run_count: tried },
    ...(carried.result ? { result: carried.result } : {}),
  });
}
