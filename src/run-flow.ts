import type { LogLine } from "./core/context.js";
import type { FlowDefinition } from "./core/flow-definition.js";
import { newId } from "./core/ids.js";
import type { State } from "./core/state.js";
import { runFlow } from "./engine/flow-runner.js";
import { localPorts } from "./engine/local-ports.js";
import type { FinishedTaskRun } from "./engine/ports.js";

/** Options of `flow.run()`; all of them optional. */
export interface RunOptions {
  /** Ends the run Cancelled. */
  signal?: AbortSignal;
  /** Where log lines go. Default: standard error. */
  log?: (line: LogLine) => void;
  /** Told of each state as it is entered; `taskSlug` is null for the flow run's own. */
  onState?: (change: { taskSlug: string | null; mapIndex: number; state: State }) => void;
  /** The run's name in logs and in the task context. Default: the flow's name. */
  name?: string;
}

/** How a run without a Cloud ended. */
export interface FlowRun<Output = unknown> {
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
  const ports = localPorts({
    log: options.log ?? printLogLine,
    ...(options.onState ? { onState: options.onState } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const flowRunId = newId();
  return runFlow(
    flow,
    {
      flowRunId,
      flowRunName: options.name ?? flow.name,
      flowId: null,
      parameters,
      scheduledStartAt: new Date().toISOString(),
      taskRuns: [],
    },
    ports,
  );
}

function printLogLine(line: LogLine): void {
  process.stderr.write(`${line.at} ${line.level.padEnd(7)} ${line.name}  ${line.message}\n`);
}
