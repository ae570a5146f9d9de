import type { CancelFlowRunInput, CreateFlowRunInput, IdPayload, StatePayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { findFlowRunByKey } from "../../db/queries/flow-runs.js";
import { currentFlowToRun, type FlowToRun, holdFlowToRun } from "../../db/queries/flows.js";
import type { RequestContext } from "../parts.js";
import { requestCancel } from "../states/apply-state.js";
import { endSilentCancel } from "../states/cancel.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { addNewFlowRun } from "../states/new-flow-run.js";

/** Asks for a run of a flow (protocol notes, section 2.6). */
export function createFlowRun(input: CreateFlowRunInput, { parts, caller }: RequestContext): Promise<IdPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const flow = await findFlow(ledger, input);
    if (input.idempotency_key) {
      // Of two that ask at once with one key, the second finds the run of the first.
      await ledger.transaction.lock(`flow run ${flow.id} ${input.idempotency_key}`);
      const known = await findFlowRunByKey(ledger.transaction, flow.id, input.idempotency_key);
      if (known !== undefined) return { id: known };
    }
    if (flow.archived === 1) {
      throw new MillraceError("FLOW_ARCHIVED", `Flow ${flow.id} is archived.`, {
        hint: "A newer version was deployed; ask for a run of that one.",
      });
    }
    const parameters = parts.parameters.resolve(flow, input.parameters);
    const run = await addNewFlowRun(ledger, flow, input, parameters);
    return { id: run.id };
  });
}

/** Another server may archive the newest version between the look for it and the hold on it; the next is there by then. */
const MAX_LOOKS = 5;

async function findFlow(ledger: Ledger, input: CreateFlowRunInput): Promise<FlowToRun> {
  const { transaction, tenantId } = ledger;
  if (input.flow_id) {
    const flow = await holdFlowToRun(transaction, tenantId, input.flow_id);
    if (flow) return flow;
    throw new MillraceError("FLOW_NOT_FOUND", `Flow ${input.flow_id} not found.`);
  }
  if (input.version_group_id) {
    for (let look = 0; look < MAX_LOOKS; look++) {
      const current = await currentFlowToRun(transaction, tenantId, input.version_group_id);
      const flow = current && (await holdFlowToRun(transaction, tenantId, current.id));
      if (flow?.archived === 0) return flow;
      if (!current) break;
    }
    throw new MillraceError("FLOW_NOT_FOUND", `Version group ${input.version_group_id} has no unarchived flows.`);
  }
  throw new MillraceError("INPUT_INVALID", "create_flow_run names neither a flow_id nor a version_group_id.");
}

export function cancelFlowRun(input: CancelFlowRunInput, { parts, caller }: RequestContext): Promise<StatePayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    await readFlowRuns(ledger, [input.flow_run_id]);
    const run = ledger.flowRuns.get(input.flow_run_id);
    if (!run) throw new MillraceError("FLOW_RUN_NOT_FOUND", `Flow run ${input.flow_run_id} not found.`);
    if (!(await endSilentCancel(ledger, run, parts.silentAfterMs))) await requestCancel(ledger, run);
    return { state: run.state ?? "Pending" };
  });
}
