import { fromWireState, toWireState } from "../../codec/state-json.js";
import { MillraceError } from "../../core/errors.js";
import {
  isRunning,
  isScheduled,
  isTerminal,
  isType,
  makeState,
  type StateType,
  unwrapState,
} from "../../core/state.js";
import { isRetryInTwoSteps, type Refusal, refuseFlowRunMove, refuseTaskRunMove } from "../../core/transitions.js";
import { type AskedForRow, type FlowRunRow, flowRunsAskedForBy } from "../../db/queries/flow-runs.js";
import { flowGroupIdOf } from "../../db/queries/flows.js";
import type { FlowRunStateRow, TaskRunStateRow } from "../../db/queries/states.js";
import type { TaskRunRow } from "../../db/queries/task-runs.js";
import { openTaskRunsOf } from "../../db/queries/task-runs.js";
import { type Before, beforeOf } from "../limits/moves.js";
import { type Ledger, readFlowRuns } from "./ledger.js";
import { type Move, type ReadMove, type Refused, readMove, withInputsOf } from "./read-move.js";

export type { Move, Refused } from "./read-move.js";

/*
 * The judge of states, and the only writer of them. A move is judged against the rows in the ledger, which carry every
 * move that the same transaction has accepted before; `commitLedger` then writes each touched row once.
 */

/** States whose time is a run's end; the others of the Finished family are not (section 2.3 of the protocol notes). */
const ENDING: ReadonlySet<StateType> = new Set(["Success", "Failed", "Cached", "TimedOut", "Looped", "Cancelled"]);

const NOT_REACHED = "Not reached: the flow run failed before.";

/** Moves a flow run, and with it whatever must follow: its lease, and task runs that nobody will finish. */
export async function moveFlowRun(ledger: Ledger, run: FlowRunRow, move: Move): Promise<Refused | null> {
  const read = readMove(move, ledger.now);
  if ("code" in read) return read;
  if (isRepeated(run, move, read)) return null;
  const to = read.state.type;
  const refused =
    refuseVersion(run, move.version, `flow run ${run.id}`) ??
    refusedBy(refuseFlowRunMove(run.state as StateType | null, to), `flow run ${run.id}`);
  if (refused) return refused;

  if (isTerminal({ type: to })) await closeTaskRuns(ledger, run, read);
  ledger.limitMoves.flows.set(run, beforeOf(run));
  enter(run, read, ledger.now);
  ledger.changedFlowRuns.add(run);
  ledger.flowRunStates.push({ ...historyOf(run, read), flow_run_id: run.id });
  const leavesAgent = isTerminal({ type: to }) || isScheduled({ type: to });
  if (run.lease_agent_id !== null) {
    if (run.lease_agent_id !== ledger.agentId && (leavesAgent || to === "Cancelling")) {
      ledger.effects.push({ kind: "stop", agentId: run.lease_agent_id, flowRunId: run.id });
    }
    if (leavesAgent) {
      run.lease_agent_id = null;
      run.lease_expires_at = null;
    }
  } else if (isType(to, "Running") || to === "Submitted") {
    // Under a lease, the heartbeat says when the lease was last renewed.
    run.heartbeat = ledger.now;
  }
  if (isScheduled({ type: to }) && run.state_start_time !== null) await noteDue(ledger, run, run.state_start_time);
  if (to === "Cancelled") await cancelChildren(ledger, run);
  return null;
}

/** A Submitted that comes again may come from a second agent: it is a lock, and no two may have it. */
function isRepeated(run: FlowRunRow | TaskRunRow, move: Move, read: ReadMove): boolean {
  return move.mayRepeat === true && run.serialized_state === read.serialized && read.state.type !== "Submitted";
}

/**
 * Asks a run to stop, or ends it where nobody runs it (protocol notes, section 2.4). Only who has its code can say that it
 * stopped: the agent that holds the lease or, for a run of Prefect's, its process, which asks every 15 seconds. Both may die
 * first; then the lease or the heartbeat ends, and the run with it: see `closeCancelled`.
 */
export async function requestCancel(ledger: Ledger, run: FlowRunRow): Promise<void> {
  const now = { type: (run.state ?? "Pending") as StateType };
  const isHeld = run.lease_agent_id !== null || run.engine === "prefect";
  if (isTerminal(now) || (isHeld && now.type === "Cancelling")) return;
  const state =
    isHeld && isRunning(now)
      ? { type: "Cancelling", message: "Flow run is cancelling" }
      : { type: "Cancelled", message: "Flow run is cancelled" };
  orThrow(await moveFlowRun(ledger, run, { state, at: ledger.now }));
}

/**
 * The runs that tasks of a cancelled run asked for are to stop too, and theirs in turn. A task of ours that has succeeded before
 * the run that it asked for has ended did not wait for it: that one goes on by itself (`runFlow` with `wait: false`). Of Prefect's
 * that cannot be told: its `create_flow_run` has always succeeded, and another task may wait.
 */
async function cancelChildren(ledger: Ledger, { id: flowRunId, engine }: FlowRunRow): Promise<void> {
  const asked = await flowRunsAskedForBy(ledger.transaction, ledger.tenantId, flowRunId);
  const isWaitedFor = ({ task_run_id, task_run_state }: AskedForRow) => {
    // This transaction may have brought the success.
    const state = (ledger.taskRuns.get(task_run_id)?.state ?? task_run_state) as StateType | null;
    return engine === "prefect" || state === null || !isType(state, "Success");
  };
  const ids = asked.filter(isWaitedFor).map(({ id }) => id);
  await readFlowRuns(ledger, ids);
  for (const id of ids) {
    const child = ledger.flowRuns.get(id);
    if (child) await requestCancel(ledger, child);
  }
}

/** Agents of ours are to be told when the run is due. */
export async function noteDue(ledger: Ledger, run: FlowRunRow, dueAt: string): Promise<void> {
  // Prefect's agents ask, and cannot be woken.
  if (run.engine === "prefect") return;
  const flowGroupId = await flowGroupIdOf(ledger.transaction, run.flow_id);
  if (flowGroupId === undefined) return;
  const labels = JSON.parse(run.labels) as string[];
  ledger.effects.push({ kind: "due", tenantId: run.tenant_id, labels, flowGroupId, dueAt });
}

/** Moves a task run. `flowRun` is the one it belongs to, as the ledger has it. */
export function moveTaskRun(ledger: Ledger, flowRun: FlowRunRow, run: TaskRunRow, move: Move): Refused | null {
  const sent = readMove(move, ledger.now);
  if ("code" in sent) return sent;
  const read = withInputsOf(run.serialized_state, sent);
  if (isRepeated(run, move, read)) return null;
  const to = read.state.type;
  const refused =
    refuseEnded(flowRun, run) ??
    refuseVersion(run, move.version, `task run ${run.id}`) ??
    refuseTaskMove(flowRun, run, to);
  if (refused) return refused;
  if (isType(to, "Running")) {
    if (flowRun.state !== "Running") {
      const message = `State update failed for task run ID ${run.id}: provided a running state but associated flow run ${flowRun.id} is not in a running state. Now it is ${flowRun.state}.`;
      return { code: "STATE_REFUSED", message };
    }
    run.heartbeat = ledger.now;
  }
  if (to === "Submitted" && flowRun.lease_agent_id === null) {
    // A process is being started that goes on with the flow run: it has as long to begin as a new run's has.
    flowRun.heartbeat = ledger.now;
    ledger.changedFlowRuns.add(flowRun);
  }
  writeTaskRun(ledger, run, read);
  return null;
}

function writeTaskRun(ledger: Ledger, run: TaskRunRow, read: ReadMove): void {
  ledger.limitMoves.tasks.set(run, beforeOf(run));
  enter(run, read, ledger.now);
  if (!ledger.newTaskRuns.has(run)) ledger.changedTaskRuns.add(run);
  ledger.taskRunStates.push({ ...historyOf(run, read), task_run_id: run.id });
}

/**
 * Ends the task runs that a flow run leaves open as it ends: nobody runs them any more, and they must not wait for ever.
 * Under Cancelled they get that very state; under a failure, those that were Running get it; the others are Cancelled.
 */
async function closeTaskRuns(ledger: Ledger, flowRun: FlowRunRow, end: ReadMove): Promise<void> {
  const { type, at } = end.state;
  // Those that this transaction has ended are open in the database still.
  const stored = await openTaskRunsOf(ledger.transaction, flowRun.id);
  const rows = stored.map((row) => ledger.taskRuns.get(row.id) ?? row);
  for (const row of ledger.newTaskRuns) if (row.flow_run_id === flowRun.id) rows.push(row);
  for (const row of rows) {
    const state = row.state as StateType | null;
    if (state !== null && isTerminal({ type: state })) continue;
    const shares = type === "Cancelled" || (isType(type, "Failed") && state !== null && isType(state, "Running"));
    ledger.taskRuns.set(row.id, row);
    writeTaskRun(ledger, row, shares ? end : leftOpen(type, at));
  }
}

function leftOpen(flowRunEnd: StateType, at: string): ReadMove {
  const message = isType(flowRunEnd, "Failed") ? NOT_REACHED : `The flow run ended in ${flowRunEnd} before it did.`;
  const state = makeState("Cancelled", message, { at });
  return { state, serialized: JSON.stringify(toWireState(state)) };
}

/**
 * Puts a run that the same transaction has moved into Running, and for which there is no slot, into Queued in its place: under
 * the same version, around the state that it had before.
 */
export function enterQueued(
  ledger: Ledger,
  run: FlowRunRow | TaskRunRow,
  before: Before,
  { message, startAt }: { message: string; startAt: string | null },
): void {
  const at = run.state_timestamp ?? ledger.now;
  const wrapped = before.serialized === null ? null : unwrapState(fromWireState(JSON.parse(before.serialized), at));
  const state = makeState("Queued", message, { at, startAt, ...(wrapped ? { wrapped } : {}) });
  const read = { state, serialized: JSON.stringify(toWireState(state)) };
  run.start_time = before.startTime;
  run.version -= 1;
  enter(run, read, ledger.now);
  const history: readonly (FlowRunStateRow | TaskRunStateRow)[] =
    "lease_agent_id" in run ? ledger.flowRunStates : ledger.taskRunStates;
  const entry = history.findLast((each) => runIdOf(each) === run.id && each.version === run.version);
  if (entry) Object.assign(entry, historyOf(run, read));
}

const runIdOf = (entry: FlowRunStateRow | TaskRunStateRow): string =>
  "task_run_id" in entry ? entry.task_run_id : entry.flow_run_id;

function refuseTaskMove(flowRun: FlowRunRow, run: TaskRunRow, to: StateType): Refused | null {
  const from = run.state as StateType | null;
  if (flowRun.engine === "prefect" && isRetryInTwoSteps(from, to)) return null;
  return refusedBy(refuseTaskRunMove(from, to), `task run ${run.id}`);
}

function refuseEnded(flowRun: FlowRunRow, run: TaskRunRow): Refused | null {
  if (flowRun.state === null || !isTerminal({ type: flowRun.state as StateType })) return null;
  const message = `State update failed for task run ID ${run.id}: its flow run ${flowRun.id} has ended (it is ${flowRun.state}).`;
  return { code: "STATE_REFUSED", message };
}

function refuseVersion(run: { version: number }, version: number | null | undefined, what: string): Refused | null {
  if (version === undefined || version === null || version === run.version) return null;
  const message = `State update failed for ${what}: the state follows version ${version}, and the run has version ${run.version}.`;
  return { code: "STATE_REFUSED", message };
}

function refusedBy(refusal: Refusal, what: string): Refused | null {
  return refusal === null ? null : { code: "STATE_REFUSED", message: `State update failed for ${what}: ${refusal}.` };
}

function enter(run: FlowRunRow | TaskRunRow, { state, serialized }: ReadMove, now: string): void {
  run.version += 1;
  run.updated = now;
  run.state = state.type;
  run.state_timestamp = state.at;
  run.state_message = state.message;
  run.state_result = state.result === undefined ? null : JSON.stringify(state.result);
  run.state_start_time = state.startAt ?? null;
  run.serialized_state = serialized;
  if (state.type === "Running" && (run.start_time === null || state.at < run.start_time)) run.start_time = state.at;
  if (ENDING.has(state.type) && (run.end_time === null || state.at > run.end_time)) run.end_time = state.at;
}

function historyOf(run: FlowRunRow | TaskRunRow, { state, serialized }: ReadMove) {
  return {
    tenant_id: run.tenant_id,
    version: run.version,
    timestamp: state.at,
    state: state.type,
    message: state.message,
    result: run.state_result,
    start_time: run.state_start_time,
    serialized_state: serialized,
  };
}

/** For callers that have no list of refusals to put it in. @throws the refusal's code */
export function orThrow(refused: Refused | null): void {
  if (refused) throw new MillraceError(refused.code, refused.message);
}
