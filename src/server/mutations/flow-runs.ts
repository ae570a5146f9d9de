import type { CancelFlowRunInput, CreateFlowRunInput, IdPayload, StatePayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { normalizeLabels } from "../../core/labels.js";
import { isRunning, isTerminal, type StateType } from "../../core/state.js";
import { findFlowRunByKey, type NewFlowRunRow } from "../../db/queries/flow-runs.js";
import { currentFlowToRun, type FlowToRun, flowToRun, tasksOf } from "../../db/queries/flows.js";
import type { RequestContext } from "../parts.js";
import { runName } from "../run-name.js";
import { moveFlowRun, moveTaskRun, orThrow } from "../states/apply-state.js";
import { addFlowRun, addTaskRun, type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";

/** Asks for a run of a flow (protocol notes, section 2.6). */
export function createFlowRun(input: CreateFlowRunInput, { parts, caller }: RequestContext): Promise<IdPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const flow = await findFlow(ledger, input);
    if (input.idempotency_key) {
      const known = await findFlowRunByKey(ledger.transaction, flow.id, input.idempotency_key);
      if (known !== undefined) return { id: known };
    }
    if (flow.archived === 1) {
      throw new MillraceError("FLOW_ARCHIVED", `Flow ${flow.id} is archived.`, {
        hint: "A newer version was deployed; ask for a run of that one.",
      });
    }
    const parameters = await parts.parameters.resolve(ledger.transaction, flow, input.parameters);
    const run = newFlowRun(ledger, flow, input, parameters);
    addFlowRun(ledger, run);
    const at = ledger.now;
    const state = { type: "Scheduled", message: "Flow run scheduled.", start_time: run.scheduled_start_time };
    orThrow(await moveFlowRun(ledger, run, { state, at }));
    const pending = { state: { type: "Pending", message: "Task run created" }, at };
    for (const task of await tasksOf(ledger.transaction, flow.id)) {
      const taskRun = addTaskRun(ledger, {
        id: newId(),
        flowRunId: run.id,
        taskId: task.id,
        mapIndex: -1,
        cacheKey: task.cache_key,
      });
      orThrow(moveTaskRun(ledger, run, taskRun, pending));
    }
    return { id: run.id };
  });
}

async function findFlow(ledger: Ledger, input: CreateFlowRunInput): Promise<FlowToRun> {
  const { transaction, tenantId } = ledger;
  if (input.flow_id) {
    const flow = await flowToRun(transaction, tenantId, input.flow_id);
    if (flow) return flow;
    throw new MillraceError("FLOW_NOT_FOUND", `Flow ${input.flow_id} not found.`);
  }
  if (input.version_group_id) {
    const flow = await currentFlowToRun(transaction, tenantId, input.version_group_id);
    if (flow) return flow;
    throw new MillraceError("FLOW_NOT_FOUND", `Version group ${input.version_group_id} has no unarchived flows.`);
  }
  throw new MillraceError("INPUT_INVALID", "create_flow_run names neither a flow_id nor a version_group_id.");
}

function newFlowRun(
  ledger: Ledger,
  flow: FlowToRun,
  input: CreateFlowRunInput,
  parameters: Readonly<Record<string, unknown>>,
): NewFlowRunRow {
  const runConfig = input.run_config ?? parse(flow.group_run_config) ?? parse(flow.run_config);
  return {
    id: newId(),
    created: ledger.now,
    updated: ledger.now,
    tenant_id: ledger.tenantId,
    flow_id: flow.id,
    name: input.flow_run_name || runName(),
    parameters: JSON.stringify(parameters),
    labels: JSON.stringify(resolveLabels(flow, input)),
    run_config: runConfig === null ? null : JSON.stringify(runConfig),
    context: JSON.stringify(input.context ?? {}),
    scheduled_start_time: input.scheduled_start_time ?? ledger.now,
    auto_scheduled: 0,
    times_resurrected: 0,
    idempotency_key: input.idempotency_key || null,
    agent_id: null,
    lease_agent_id: null,
    lease_expires_at: null,
    fence: 0,
    version: 0,
    heartbeat: null,
    start_time: null,
    end_time: null,
    state: null,
    state_timestamp: null,
    state_message: null,
    state_result: null,
    state_start_time: null,
    serialized_state: null,
  };
}

/** The first that says anything decides; an empty list says "none". */
function resolveLabels(flow: FlowToRun, input: CreateFlowRunInput): string[] {
  const found =
    input.labels ??
    labelsOf(input.run_config) ??
    (parse(flow.group_labels) as string[] | null) ??
    labelsOf(parse(flow.group_run_config)) ??
    labelsOf(parse(flow.run_config)) ??
    labelsOf(parse(flow.environment)) ??
    [];
  return normalizeLabels(found);
}

function labelsOf(value: unknown): string[] | null {
  if (typeof value !== "object" || value === null) return null;
  const { labels } = value as { labels?: unknown };
  return Array.isArray(labels) ? labels.map(String) : null;
}

function parse(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

/** Asks a run to stop, or ends it where nobody runs it (protocol notes, section 2.4). */
export function cancelFlowRun(input: CancelFlowRunInput, { parts, caller }: RequestContext): Promise<StatePayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    await readFlowRuns(ledger, [input.flow_run_id]);
    const run = ledger.flowRuns.get(input.flow_run_id);
    if (!run) throw new MillraceError("FLOW_RUN_NOT_FOUND", `Flow run ${input.flow_run_id} not found.`);
    const now = { type: (run.state ?? "Pending") as StateType };
    // Only an agent that holds the run can end what it is doing, and will: at the latest its lease ends.
    const isHeld = run.lease_agent_id !== null;
    if (!isTerminal(now) && !(isHeld && now.type === "Cancelling")) {
      const state =
        isHeld && isRunning(now)
          ? { type: "Cancelling", message: "Flow run is cancelling" }
          : { type: "Cancelled", message: "Flow run is cancelled" };
      orThrow(await moveFlowRun(ledger, run, { state, at: ledger.now }));
    }
    return { state: run.state ?? "Pending" };
  });
}
