import { approver, type OnPause } from "./ask-approval.js";
import { findLocalSecret } from "./client/secrets.js";
import type { LogLine } from "./core/context.js";
import type { FlowDefinition } from "./core/flow-definition.js";
import type { ExecutorOptions } from "./core/options/executor.js";
import type { State } from "./core/state.js";
import type { FinishedTaskRun } from "./engine/ports.js";
import { runLocally } from "./execute/run-locally.js";
import type { FlowCode } from "./threads/task-messages.js";

/** Options of `flow.run()`; all of them optional. */
export interface RunOptions {
  /** Ends the run Cancelled. */
  signal?: AbortSignal;
  /** Where log lines go. Default: standard error. */
  log?: (line: LogLine) => void;
  /** Told of each state as it is entered; `taskSlug` is null for the flow run's own. */
  onState?: (change: { taskSlug: string | null; mapIndex: number; state: State }) => void;
  /** Secrets by name, looked for here before anywhere else; see `secret`. */
  secrets?: Readonly<Record<string, unknown>>;
  /** What the task context and templates name as the time that the run was meant for: ISO 8601. Default: now. */
  scheduledStartAt?: string;
  /** Where this run's tasks run, in place of what the flow says; see `executors`. */
  executor?: ExecutorOptions;
  /**
   * Told of each task run that pauses; what it answers with, `{ input }`, resumes it, and "wait" leaves it paused. Default:
   * the person at the terminal is asked, if there is one.
   */
  onPause?: OnPause;
  /** The run's name in logs and in the task context. Default: the flow's name. */
  name?: string;
}

/** How a run without a Cloud ended. */
export interface FlowRun<Output = unknown> {
  /** Its final state; Running where tasks are paused and nobody was there to resume them. */
  readonly state: State;
  /** What the build function returned, references filled in; undefined unless the run succeeded. */
  readonly output: Output | undefined;
  readonly taskRuns: readonly FinishedTaskRun[];
}

export async function runFlowHere(
  flow: FlowDefinition,
  parameters: Record<string, unknown>,
  options: RunOptions,
): Promise<FlowRun<unknown>> {
  const { log = printLogLine, secrets, onPause, ...given } = options;
  return runLocally(flow, {
    ...given,
    parameters,
    log,
    secrets: { read: async (name) => findLocalSecret(name, secrets) },
    approve: approver(onPause),
    code: codeForThreads,
  });
}

/** What bundles is loaded for runs that need it. */
async function codeForThreads(flow: FlowDefinition): Promise<FlowCode> {
  return (await import("./deploy/code-for-threads.js")).codeForThreads(flow);
}

/** To standard error, as people read it. */
export function printLogLine(line: LogLine): void {
  process.stderr.write(`${line.at} ${line.level.padEnd(7)} ${line.name}  ${line.message}\n`);
}
