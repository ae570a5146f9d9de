import type {
  SetFlowRunStatesInput,
  SetStatePayload,
  SetStatesPayload,
  SetTaskRunStatesInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { findAgent } from "../../db/queries/agents.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import type { RequestContext } from "../parts.js";
import { moveFlowRun, moveTaskRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, readTaskRuns, withLedger } from "../states/ledger.js";
import { noteTaskRunDue } from "../states/queue.js";

/** So long after a Submitted another is refused: two agents of Prefect's kind both saw the run in the queue. */
const SUBMIT_LOCK_MS = 30_000;

/*
 * Prefect's two mutations. They carry no lease: whoever has a token may set a state, as in Prefect. The `version` they
 * send is not compared, as in Prefect's open server; only version locking, which no flow can turn on yet, would do that.
 * One refused state fails the whole request, and nothing of it is written.
 */

export function setFlowRunStates(
  input: SetFlowRunStatesInput,
  { parts, caller, agentId }: RequestContext,
): Promise<SetStatesPayload> {
  return withLedger(parts, { tenantId: caller.tenantId, agentId }, async (ledger) => {
    await readFlowRuns(
      ledger,
      input.states.map((each) => each.flow_run_id),
    );
    const states: SetStatePayload[] = [];
    for (const { flow_run_id, state } of input.states) {
      const run = ledger.flowRuns.get(flow_run_id);
      if (!run) throw notFound("flow run", flow_run_id);
      const submits = typeof state === "object" && state !== null && (state as { type?: unknown }).type === "Submitted";
      if (submits) refuseSecondSubmit(run, parts.clock.now());
      orThrow(await moveFlowRun(ledger, run, { state, at: ledger.now }));
      if (submits && agentId !== null) await noteAgent(ledger, run, agentId);
      states.push({ id: flow_run_id, status: "SUCCESS", message: null });
    }
    return { states };
  });
}

function refuseSecondSubmit(run: FlowRunRow, now: number): void {
  if (run.state !== "Submitted") return;
  const locked = run.lease_agent_id !== null || now - Date.parse(run.state_timestamp ?? "") < SUBMIT_LOCK_MS;
  if (locked) throw new MillraceError("STATE_REFUSED", "State update failed: this run has already been submitted.");
}

async function noteAgent(ledger: Ledger, run: FlowRunRow, agentId: string): Promise<void> {
  if (await findAgent(ledger.transaction, ledger.tenantId, agentId)) run.agent_id = agentId;
}

export function setTaskRunStates(
  input: SetTaskRunStatesInput,
  { parts, caller, agentId }: RequestContext,
): Promise<SetStatesPayload> {
  return withLedger(parts, { tenantId: caller.tenantId, agentId }, async (ledger) => {
    await readTaskRuns(
      ledger,
      input.states.map((each) => each.task_run_id),
    );
    await readFlowRuns(
      ledger,
      [...ledger.taskRuns.values()].map((each) => each.flow_run_id),
    );
    for (const { task_run_id, state } of input.states) {
      const run = ledger.taskRuns.get(task_run_id);
      const flowRun = run && ledger.flowRuns.get(run.flow_run_id);
      if (!run || !flowRun) throw notFound("task run", task_run_id);
      orThrow(moveTaskRun(ledger, flowRun, run, { state, at: ledger.now }));
      await noteTaskRunDue(ledger, flowRun, run);
    }
    return { states: input.states.map(({ task_run_id }) => ({ id: task_run_id, status: "SUCCESS", message: null })) };
  });
}

function notFound(what: "flow run" | "task run", id: string): MillraceError {
  const code = what === "flow run" ? "FLOW_RUN_NOT_FOUND" : "INPUT_INVALID";
  return new MillraceError(code, `State update failed for ${what} ID ${id}: there is no such ${what}.`);
}
