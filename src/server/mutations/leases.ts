import type {
  ReleaseRunsInput,
  RenewLeasesInput,
  RenewLeasesPayload,
  SuccessPayload,
  UpdateFlowRunHeartbeatInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isStateType, isTerminal, type StateType } from "../../core/state.js";
import { findAgent } from "../../db/queries/agents.js";
import { type FlowRunRow, touchFlowRun } from "../../db/queries/flow-runs.js";
import { grantedTaskRuns, requestedNames } from "../../db/queries/limits.js";
import { settleLimits } from "../limits/settle-limits.js";
import { type RequestContext, toInstant } from "../parts.js";
import { moveFlowRun } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { letWait, takeBack } from "../states/queue.js";
import { agentUnknown, checkLeaseMs } from "./claim-runs.js";

/** Keeps an agent's leases alive; a lease that ended may still be renewed as long as nobody took the run. */
export async function renewLeases(
  input: RenewLeasesInput,
  { parts, caller }: RequestContext,
): Promise<RenewLeasesPayload> {
  checkLeaseMs(input.lease_ms);
  const agent = await findAgent(parts.database, caller.tenantId, input.agent_id);
  if (!agent) throw agentUnknown(input.agent_id);
  parts.presence.agentSeen(caller.tenantId, agent.id, toInstant(parts.clock.now()));
  if (input.leases.length === 0) return { lost: [], cancelling: [], granted: [] };
  return withLedger(parts, { tenantId: caller.tenantId, agentId: input.agent_id }, async (ledger) => {
    const expiresAt = toInstant(parts.clock.now() + input.lease_ms);
    const answer: RenewLeasesPayload = { lost: [], cancelling: [], granted: [] };
    await readFlowRuns(
      ledger,
      input.leases.map((lease) => lease.flow_run_id),
    );
    const held: string[] = [];
    for (const lease of input.leases) {
      const run = ledger.flowRuns.get(lease.flow_run_id);
      if (!run || !holds(run, input.agent_id, lease.fence)) {
        answer.lost.push(lease.flow_run_id);
        continue;
      }
      run.lease_expires_at = expiresAt;
      run.heartbeat = ledger.now;
      run.updated = ledger.now;
      ledger.changedFlowRuns.add(run);
      if (run.state === "Cancelling") answer.cancelling.push(run.id);
      else held.push(run.id);
    }
    answer.granted.push(...(await lookAfterWaiters(ledger, held)));
    return answer;
  });
}

/**
 * The safety net under the events that tell of slots: a heartbeat looks whether any are free for the agent's task runs that
 * wait, and tells again of those that have theirs.
 */
async function lookAfterWaiters(ledger: Ledger, flowRunIds: readonly string[]): Promise<string[]> {
  if ((await requestedNames(ledger.transaction, flowRunIds)).length === 0) return [];
  ledger.limitMoves.lookedAfter.push(...flowRunIds);
  await settleLimits(ledger);
  return grantedTaskRuns(ledger.transaction, flowRunIds);
}

function holds(run: FlowRunRow, agentId: string, fence: number): boolean {
  return run.lease_agent_id === agentId && run.fence === fence;
}

/** Gives runs back. One that is no longer the agent's is left alone: what the agent wants is so already. */
export async function releaseRuns(input: ReleaseRunsInput, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId, agentId: input.agent_id }, async (ledger) => {
    const agent = await findAgent(ledger.transaction, caller.tenantId, input.agent_id);
    if (!agent) throw agentUnknown(input.agent_id);
    await readFlowRuns(
      ledger,
      input.runs.map((each) => each.flow_run_id),
    );
    const notes: string[] = [];
    for (const { flow_run_id, fence, state, waits } of input.runs) {
      const run = ledger.flowRuns.get(flow_run_id);
      if (!run || !holds(run, input.agent_id, fence)) {
        notes.push(`flow run ${flow_run_id} is no longer this agent's`);
        continue;
      }
      const why = `agent ${agent.name} (${agent.id}) gave it back`;
      if (waits) await letWait(ledger, run, why);
      else await release(ledger, run, state, why);
    }
    return { success: true, error: notes.length === 0 ? null : notes.join("; ") };
  });
}

async function release(ledger: Ledger, run: FlowRunRow, state: unknown, why: string): Promise<void> {
  // Given back in good order, a run was not lost, however far it had come.
  if (state === undefined || state === null) {
    await takeBack(ledger, run, why, false);
    return;
  }
  const type = (state as { type?: unknown }).type;
  if (!isStateType(type) || !isTerminal({ type: type as StateType })) {
    throw new MillraceError("INPUT_INVALID", `Flow run ${run.id} cannot be given back as ${JSON.stringify(type)}.`, {
      hint: "Give a state that ends the run, or none to have it scheduled again.",
    });
  }
  const refused = await moveFlowRun(ledger, run, { state, at: ledger.now });
  if (refused) throw new MillraceError(refused.code, refused.message);
}

/** Prefect's heartbeat: it answers success even for a run that is not known. */
export async function updateFlowRunHeartbeat(
  input: UpdateFlowRunHeartbeatInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const now = toInstant(parts.clock.now());
  await parts.database.write((transaction) => touchFlowRun(transaction, caller.tenantId, input.flow_run_id, now));
  return { success: true, error: null };
}
