import type {
  DeleteFlowRunInput,
  SetFlowRunLabelsInput,
  SetFlowRunNameInput,
  SuccessPayload,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { normalizeLabels } from "../../core/labels.js";
import { isScheduled, type StateType } from "../../core/state.js";
import { deleteFlowRuns, type FlowRunRow, setFlowRunLabels, setFlowRunName } from "../../db/queries/flow-runs.js";
import { slotsUnderFlowRuns } from "../../db/queries/limits.js";
import { isUnderWay } from "../limits/settle-limits.js";
import type { RequestContext } from "../parts.js";
import { noteDue } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { checkName } from "./settings-input.js";

const DONE: SuccessPayload = { success: true, error: null };

export function nameFlowRun(input: SetFlowRunNameInput, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  const { tenantId } = caller;
  checkName("set_flow_run_name", "name", input.name);
  return withLedger(parts, { tenantId }, async ({ transaction, now }) => {
    const found = await setFlowRunName(transaction, { tenantId, id: input.flow_run_id, name: input.name, now });
    if (found === 0) throw unknown(input.flow_run_id);
    return DONE;
  });
}

/**
 * A run that waits is for other agents from then on. One that is under way holds the slots of the labels it began with.
 * @throws INPUT_INVALID for a run that is under way
 */
export function labelFlowRun(input: SetFlowRunLabelsInput, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  const { tenantId } = caller;
  const labels = JSON.stringify(normalizeLabels(input.labels));
  return withLedger(parts, { tenantId }, async (ledger) => {
    const run = await readOne(ledger, input.flow_run_id);
    if (isUnderWay(run.state)) {
      throw new MillraceError(
        "INPUT_INVALID",
        `set_flow_run_labels: flow run ${run.id} is ${run.state}, and keeps its labels while it is under way.`,
        { hint: "Set them before it begins or after it has ended." },
      );
    }
    await setFlowRunLabels(ledger.transaction, { tenantId, id: run.id, labels, now: ledger.now });
    run.labels = labels;
    const waits = run.state !== null && isScheduled({ type: run.state as StateType });
    if (waits && run.state_start_time !== null) await noteDue(ledger, run, run.state_start_time);
    return DONE;
  });
}

/** A run that is gone already is an answer to a request that came twice. */
export function deleteFlowRun(input: DeleteFlowRunInput, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    await readFlowRuns(ledger, [input.flow_run_id]);
    const run = ledger.flowRuns.get(input.flow_run_id);
    if (!run) return { success: false, error: `Flow run ${input.flow_run_id} not found.` };
    if (run.lease_agent_id !== null) {
      ledger.effects.push({ kind: "stop", agentId: run.lease_agent_id, flowRunId: run.id });
    }
    // Its slots go with it.
    ledger.limitMoves.changed.push(...(await slotsUnderFlowRuns(ledger.transaction, [run.id])));
    await deleteFlowRuns(ledger.transaction, [run.id]);
    return DONE;
  });
}

async function readOne(ledger: Ledger, flowRunId: string): Promise<FlowRunRow> {
  await readFlowRuns(ledger, [flowRunId]);
  const run = ledger.flowRuns.get(flowRunId);
  if (!run) throw unknown(flowRunId);
  return run;
}

function unknown(flowRunId: string): MillraceError {
  return new MillraceError("FLOW_RUN_NOT_FOUND", `Flow run ${flowRunId} not found.`);
}
