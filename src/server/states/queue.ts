import { agentTakes } from "../../core/labels.js";
import { isScheduled, type State, type StateType } from "../../core/state.js";
import type { Reads } from "../../db/database.js";
import {
  type DueRow,
  dueFlowRuns,
  dueRunningFlowRuns,
  earliestTaskRunDue,
  nextDueAt,
  waitingLabelSets,
} from "../../db/queries/claim.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { offeredTaskRuns } from "../../db/queries/limits.js";
import type { TaskRunRow } from "../../db/queries/task-runs.js";
import type { Engine } from "../../db/tables.js";
import { type LabelSlots, readLabelSlots, withSlots } from "../limits/label-slots.js";
import { moveFlowRun, noteDue, orThrow, type Refused } from "./apply-state.js";
import { closeCancelled } from "./cancel.js";
import { type Ledger, readTaskRuns } from "./ledger.js";

/** Who asks the queue, and for what. */
export interface QueueQuestion {
  tenantId: string;
  /** The runs that the asker's kind of agent can run; null: of every kind. */
  engine: Engine | null;
  labels: readonly string[];
  flowGroupId: string | null;
  /** ISO 8601. */
  before: string;
  limit: number;
}

export interface QueueAnswer {
  /** Due runs, the longest due first. */
  ids: string[];
  /** When another run that the asker may take is due; in the past when there are more than the limit. */
  nextDueAt: string | null;
}

const ENGINES: readonly Engine[] = ["millrace", "prefect"];

/** The due runs that an agent with these labels may take. */
export async function readQueue(reads: Reads, question: QueueQuestion): Promise<QueueAnswer> {
  const { tenantId, flowGroupId, before, limit } = question;
  const takes = (labels: string) => agentTakes(JSON.parse(labels) as string[], question.labels);
  const slots = await readLabelSlots(reads, tenantId);
  const due: DueRow[] = [];
  const later: string[] = [];
  const underWay: DueRow[] = [];
  for (const engine of question.engine === null ? ENGINES : [question.engine]) {
    for (const labels of await waitingLabelSets(reads, tenantId, engine)) {
      if (!takes(labels)) continue;
      // Runs without a free slot are not shown, nor when they are due: agents are woken when there is a slot.
      const room = slots?.room(JSON.parse(labels) as string[]) ?? limit + 1;
      if (room === 0) continue;
      const most = Math.min(limit + 1, room);
      due.push(...(await dueFlowRuns(reads, { tenantId, engine, labels, before, flowGroupId, limit: most })));
      const next = await nextDueAt(reads, { tenantId, engine, labels, after: before, flowGroupId });
      if (next !== null) later.push(next);
    }
    for (const row of await dueRunningFlowRuns(reads, tenantId, engine, before)) {
      if (takes(row.labels) && (flowGroupId === null || flowGroupId === row.flow_group_id)) underWay.push(row);
    }
  }
  due.push(...underWay);
  due.sort((a, b) => (a.due_at < b.due_at ? -1 : a.due_at > b.due_at ? 1 : a.id < b.id ? -1 : 1));
  const free = slots === null ? due : await withRoom(reads, due, underWay, slots);
  later.push(...free.slice(limit, limit + 1).map((row) => row.due_at));
  return { ids: free.slice(0, limit).map((row) => row.id), nextDueAt: later.sort()[0] ?? null };
}

/** Those that all of their limited labels have slots for, counted in the order of being due. */
async function withRoom(
  reads: Reads,
  due: readonly DueRow[],
  underWay: readonly DueRow[],
  slots: LabelSlots,
): Promise<DueRow[]> {
  const holders =
    underWay.length === 0
      ? new Set<string>()
      : await withSlots(
          reads,
          underWay.map(({ id }) => id),
        );
  return due.filter(({ id, labels }) => {
    if (holders.has(id)) return true;
    const names = JSON.parse(labels) as string[];
    if (slots.room(names) === 0) return false;
    slots.take(names);
    return true;
  });
}

/** How often a run is taken from an agent that fell silent before it is given up. Prefect's Cloud gives up after as many. */
const MAX_RESURRECTIONS = 10;

/**
 * Takes a run from the agent that holds it. A run that was being cancelled is Cancelled; otherwise it is Scheduled again,
 * and tasks that were Running are for the next agent. A loss that counts is counted; after too many the run is Failed.
 * @param why One clause that names the agent, for instance `agent "x" (id) last renewed its lease at …`.
 * @param counts Was the run lost, in place of being given back?
 */
export async function takeBack(ledger: Ledger, run: FlowRunRow, why: string, counts: boolean): Promise<Refused | null> {
  const at = ledger.now;
  const ended = (type: State["type"], message: string) => moveFlowRun(ledger, run, { state: { type, message }, at });
  if (await closeCancelled(ledger, run, why)) return null;
  if (counts && run.times_resurrected >= MAX_RESURRECTIONS) {
    return ended("Failed", `Given up after it was rescheduled ${MAX_RESURRECTIONS} times; the last time, ${why}`);
  }
  if (counts) run.times_resurrected += 1;
  const state = { type: "Scheduled", message: `Rescheduled: ${why}`, start_time: at };
  return moveFlowRun(ledger, run, { state, at });
}

/**
 * Takes a run whose tasks all wait from the agent that gives it back: it stays as it is, and is in the queue as soon as one
 * of its task runs is due, which may be so already. Only a Running run can wait: one that was cancelled meanwhile would be
 * Cancelling for ever, and one that its agent never began would never be in the queue again.
 * @param why As for `takeBack`.
 */
export async function letWait(ledger: Ledger, run: FlowRunRow, why: string): Promise<void> {
  if (run.state !== "Running") return orThrow(await takeBack(ledger, run, why, true));
  run.lease_agent_id = null;
  run.lease_expires_at = null;
  run.updated = ledger.now;
  ledger.changedFlowRuns.add(run);
  ledger.limitMoves.handedBack.add(run);
  // A slot may have come free while it was passed over: as somebody changed it just then, or as it was offered to a run
  // that nobody has taken. No heartbeat looks after it from now on.
  ledger.limitMoves.lookedAfter.push(run.id);
  await forgetOffers(ledger, run);
  const dueAt = await earliestTaskRunDue(ledger.transaction, run.id);
  if (dueAt !== null) await noteDue(ledger, run, dueAt);
}

/** Task runs that wait for a slot are due when there is one, and no longer because there once was. */
async function forgetOffers(ledger: Ledger, { id }: FlowRunRow): Promise<void> {
  const offered = await offeredTaskRuns(ledger.transaction, id);
  await readTaskRuns(ledger, offered);
  for (const each of offered) {
    const run = ledger.taskRuns.get(each);
    if (run?.state !== "Queued") continue;
    run.state_start_time = null;
    ledger.changedTaskRuns.add(run);
  }
}

/** A task run that was resumed brings its flow run back, unless an agent has it still: then it does so when it is given back. */
export async function noteTaskRunDue(ledger: Ledger, flowRun: FlowRunRow, run: TaskRunRow): Promise<void> {
  if (flowRun.state !== "Running" || flowRun.lease_agent_id !== null) return;
  if (run.state_start_time === null || !isScheduled({ type: run.state as StateType })) return;
  await noteDue(ledger, flowRun, run.state_start_time);
}
