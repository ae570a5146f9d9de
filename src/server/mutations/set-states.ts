import type {
  SetFlowRunStatesInput,
  SetStatePayload,
  SetStatesPayload,
  SetTaskRunStatesInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { findAgent } from "../../db/queries/agents.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import type { TaskRunRow } from "../../db/queries/task-runs.js";
import type { RequestContext } from "../parts.js";
import { moveFlowRun, moveTaskRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, readTaskRunsAndFlowRuns, withLedger } from "../states/ledger.js";
import { noteTaskRunDue } from "../states/queue.js";
import { checkVersion } from "../states/version-lock.js";

/** So long after a Submitted another is refused: two agents of Prefect's kind both saw the run in the queue. */
const SUBMIT_LOCK_MS = 30_000;

/*
 * Prefect's two mutations. They carry no lease: whoever has a token may set a state, as in Prefect. The `version` they
 * send counts only where a flow group's versions are locked. One refused state fails the whole request, and nothing of it is
 * written. The client sends a request up to seven times until it is answered: a state that the run is in already is taken
 * as one of those.
 */

export async function setFlowRunStates(
  input: SetFlowRunStatesInput,
  { parts, caller, agentId }: RequestContext,
): Promise<SetStatesPayload> {
  const runs = await withLedger(parts, { tenantId: caller.tenantId, agentId }, async (ledger) => {
    await readFlowRuns(
      ledger,
      input.states.map((each) => each.flow_run_id),
    );
    const moved: FlowRunRow[] = [];
    for (const { flow_run_id, ...sent } of input.states) {
      const run = ledger.flowRuns.get(flow_run_id);
      if (!run) throw notFound("flow run", flow_run_id);
      const submits = typeOf(sent.state) === "Submitted";
      if (submits) refuseSecondSubmit(run, run, parts.clock.now());
      await checkVersion(ledger, run, run, sent);
      orThrow(await moveFlowRun(ledger, run, { state: sent.state, at: ledger.now, mayRepeat: true }));
      if (submits && agentId !== null) await noteAgent(ledger, run, agentId);
      moved.push(run);
    }
    return moved;
  });
  return { states: runs.map((run, index) => answerFor(run, input.states[index]!.state)) };
}

async function noteAgent(ledger: Ledger, run: FlowRunRow, agentId: string): Promise<void> {
  if (await findAgent(ledger.transaction, ledger.tenantId, agentId)) run.agent_id = agentId;
}

export async function setTaskRunStates(
  input: SetTaskRunStatesInput,
  { parts, caller, agentId }: RequestContext,
): Promise<SetStatesPayload> {
  const runs = await withLedger(parts, { tenantId: caller.tenantId, agentId }, async (ledger) => {
    await readTaskRunsAndFlowRuns(
      ledger,
      input.states.map((each) => each.task_run_id),
    );
    const moved: TaskRunRow[] = [];
    for (const { task_run_id, ...sent } of input.states) {
      const run = ledger.taskRuns.get(task_run_id);
      const flowRun = run && ledger.flowRuns.get(run.flow_run_id);
      if (!run || !flowRun) throw notFound("task run", task_run_id);
      if (typeOf(sent.state) === "Submitted") refuseSecondSubmit(flowRun, run, parts.clock.now());
      await checkVersion(ledger, flowRun, run, sent);
      orThrow(moveTaskRun(ledger, flowRun, run, { state: sent.state, at: ledger.now, mayRepeat: true }));
      await noteTaskRunDue(ledger, flowRun, run);
      moved.push(run);
    }
    return moved;
  });
  return { states: runs.map((run, index) => answerFor(run, input.states[index]!.state)) };
}

/**
 * An agent that finds a flow run Running and a task of it due submits the task. The words are those that Prefect's agent
 * looks for: without them it would mark the run Failed.
 */
function refuseSecondSubmit(flowRun: FlowRunRow, run: FlowRunRow | TaskRunRow, now: number): void {
  if (run.state !== "Submitted") return;
  const locked = flowRun.lease_agent_id !== null || now - Date.parse(run.state_timestamp ?? "") < SUBMIT_LOCK_MS;
  if (locked) throw new MillraceError("STATE_REFUSED", "State update failed: this run has already been submitted.");
}

/** Read when the transaction is over: there may have been no slot for a run that was to be Running. */
function answerFor(run: FlowRunRow | TaskRunRow, sent: unknown): SetStatePayload {
  const isQueued = run.state === "Queued" && typeOf(sent) !== "Queued";
  return { id: run.id, status: isQueued ? "QUEUED" : "SUCCESS", message: isQueued ? run.state_message : null };
}

function typeOf(state: unknown): unknown {
  return typeof state === "object" && state !== null ? (state as { type?: unknown }).type : undefined;
}

function notFound(what: "flow run" | "task run", id: string): MillraceError {
  const code = what === "flow run" ? "FLOW_RUN_NOT_FOUND" : "INPUT_INVALID";
  return new MillraceError(code, `State update failed for ${what} ID ${id}: there is no such ${what}.`);
}
