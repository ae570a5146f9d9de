import type { FlowDefinition } from "../core/flow-definition.js";
import { newId } from "../core/ids.js";
import type { ExecutorOptions } from "../core/options/executor.js";
import { runFlow } from "../engine/flow-runner.js";
import { type LocalPortsOptions, localPorts } from "../engine/local/local-ports.js";
import type { EngineOutcome, EnginePorts, EngineRun } from "../engine/ports.js";
import { resultStore } from "../storage/results.js";
import type { FlowCode } from "../threads/task-messages.js";
import { openExecutor } from "./open-executor.js";

/** How a run without a Cloud goes, besides its ports. */
export interface LocalRunOptions extends Omit<LocalPortsOptions, "results" | "runSubflow"> {
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Default: the flow's. */
  readonly name?: string | undefined;
  /** ISO 8601. Default: now. */
  readonly scheduledStartAt?: string | undefined;
  /** Default: the flow's own. */
  readonly executor?: ExecutorOptions | undefined;
  /** Answers for paused task runs, of subflows too. Default: nobody is there. */
  readonly approve?: EnginePorts["approve"];
  /** Where threads find a flow's code. */
  readonly code: (flow: FlowDefinition) => Promise<FlowCode>;
}

/** Runs a flow that this process holds, with no Cloud, and the subflows that it asks for. @throws see `runFlow` */
export function runLocally(
  flow: FlowDefinition,
  { parameters, name = flow.name, scheduledStartAt = new Date().toISOString(), ...options }: LocalRunOptions,
): Promise<EngineOutcome> {
  const run = { flowRunId: newId(), flowRunName: name, flowId: null, parameters, scheduledStartAt, taskRuns: [] };
  return runHere(flow, run, options);
}

async function runHere(
  flow: FlowDefinition,
  run: EngineRun,
  { executor: chosen, onState, ...shared }: Omit<LocalRunOptions, "parameters">,
): Promise<EngineOutcome> {
  const ports = localPorts({
    ...shared,
    onState,
    results: resultStore(),
    // A subflow's states are its own: who watches this run is not told of them. So is where it runs.
    runSubflow: async (child, childRun, signal) => (await runHere(child, childRun, { ...shared, signal })).state,
  });
  const executor = await openExecutor(flow, chosen, () => shared.code(flow));
  try {
    return await runFlow(flow, run, { ...ports, executor, approve: shared.approve });
  } finally {
    await executor.close();
  }
}
