import type { Transaction } from "../../db/database.js";
import {
  type FlowRunRow,
  insertFlowRun,
  loadFlowRuns,
  type NewFlowRunRow,
  writeFlowRuns,
} from "../../db/queries/flow-runs.js";
import { insertLogs, type NewLogRow } from "../../db/queries/logs.js";
import { NO_STATE } from "../../db/queries/state-columns.js";
import {
  type FlowRunStateRow,
  insertFlowRunStates,
  insertTaskRunStates,
  type TaskRunStateRow,
} from "../../db/queries/states.js";
import {
  flowRunIdsOf,
  insertTaskRuns,
  loadTaskRuns,
  type TaskRunRow,
  writeTaskRuns,
} from "../../db/queries/task-runs.js";
import type { Effect } from "../agents/agent-events.js";
import { noteStates } from "../hooks/note-states.js";
import { type LimitMoves, noMoves } from "../limits/moves.js";
import { type ServerParts, toInstant } from "../parts.js";

/** The rows that one transaction works on, as they will be when it commits. Each is read once and written once. */
export interface Ledger {
  readonly transaction: Transaction;
  readonly tenantId: string;
  /** The agent on whose behalf it is kept; it need not be told of its own doings. */
  readonly agentId: string | null;
  readonly now: string;
  readonly flowRuns: Map<string, FlowRunRow>;
  readonly taskRuns: Map<string, TaskRunRow>;
  readonly newFlowRuns: Set<NewFlowRunRow>;
  readonly newTaskRuns: Set<TaskRunRow>;
  readonly changedFlowRuns: Set<FlowRunRow>;
  readonly changedTaskRuns: Set<TaskRunRow>;
  readonly flowRunStates: FlowRunStateRow[];
  readonly taskRunStates: TaskRunStateRow[];
  readonly logs: NewLogRow[];
  readonly effects: Effect[];
  /** What `settleLimits` has to look at. */
  readonly limitMoves: LimitMoves;
  /** Task runs, and flow runs, that were to be Running and are Queued, with their flow run. */
  readonly queued: Map<string, string>;
}

/** Runs `work` in a transaction over a ledger; when it has committed, tells the agents what it did. */
export async function withLedger<T>(
  parts: ServerParts,
  who: { tenantId: string; agentId?: string | null },
  work: (ledger: Ledger) => Promise<T>,
): Promise<T> {
  const { answer, ledger } = await parts.database.write(async (transaction) => {
    const ledger: Ledger = {
      transaction,
      tenantId: who.tenantId,
      agentId: who.agentId ?? null,
      now: toInstant(parts.clock.now()),
      flowRuns: new Map(),
      taskRuns: new Map(),
      newFlowRuns: new Set(),
      newTaskRuns: new Set(),
      changedFlowRuns: new Set(),
      changedTaskRuns: new Set(),
      flowRunStates: [],
      taskRunStates: [],
      logs: [],
      effects: [],
      limitMoves: noMoves(),
      queued: new Map(),
    };
    const answer = await work(ledger);
    await parts.settleLimits(ledger);
    await commitLedger(ledger);
    if (ledger.flowRunStates.length > 0) await noteStates(parts.hooks.index, ledger);
    return { answer, ledger };
  });
  parts.counts.flowRunStates += ledger.flowRunStates.length;
  parts.counts.taskRunStates += ledger.taskRunStates.length;
  parts.publish(ledger.effects);
  return answer;
}

async function commitLedger(ledger: Ledger): Promise<void> {
  const { transaction } = ledger;
  for (const row of ledger.newFlowRuns) {
    ledger.changedFlowRuns.delete(row);
    await insertFlowRun(transaction, row);
  }
  if (ledger.newTaskRuns.size > 0) await insertTaskRuns(transaction, [...ledger.newTaskRuns]);
  if (ledger.changedTaskRuns.size > 0) await writeTaskRuns(transaction, [...ledger.changedTaskRuns]);
  if (ledger.changedFlowRuns.size > 0) await writeFlowRuns(transaction, [...ledger.changedFlowRuns]);
  if (ledger.taskRunStates.length > 0) await insertTaskRunStates(transaction, ledger.taskRunStates);
  if (ledger.flowRunStates.length > 0) await insertFlowRunStates(transaction, ledger.flowRunStates);
  if (ledger.logs.length > 0) await insertLogs(transaction, ledger.logs);
}

/** Reads flow runs that are not in the ledger yet; nobody else changes them, or a task run of theirs, until the transaction ends. */
export async function readFlowRuns(ledger: Ledger, ids: readonly string[]): Promise<void> {
  const unread = ids.filter((id) => !ledger.flowRuns.has(id));
  if (unread.length === 0) return;
  for (const row of await loadFlowRuns(ledger.transaction, ledger.tenantId, unread)) ledger.flowRuns.set(row.id, row);
}

/**
 * Reads task runs that are not in the ledger yet. Their rows are not locked: whoever changes a task run holds its flow run,
 * so only those of flow runs that the ledger has may be changed.
 */
export async function readTaskRuns(ledger: Ledger, ids: readonly string[]): Promise<void> {
  const unread = ids.filter((id) => !ledger.taskRuns.has(id));
  if (unread.length === 0) return;
  for (const row of await loadTaskRuns(ledger.transaction, ledger.tenantId, unread)) ledger.taskRuns.set(row.id, row);
}

/** Reads task runs of which nothing else is known, and their flow runs before them. */
export async function readTaskRunsAndFlowRuns(ledger: Ledger, ids: readonly string[]): Promise<void> {
  await readFlowRuns(ledger, await flowRunIdsOf(ledger.transaction, ledger.tenantId, ids));
  await readTaskRuns(ledger, ids);
}

export function addFlowRun(ledger: Ledger, row: NewFlowRunRow): void {
  ledger.flowRuns.set(row.id, row);
  ledger.newFlowRuns.add(row);
}

/** A task run that has no state yet. */
export function addTaskRun(
  ledger: Ledger,
  run: { id: string; flowRunId: string; taskId: string; mapIndex: number; cacheKey: string | null },
): TaskRunRow {
  const row: TaskRunRow = {
    id: run.id,
    created: ledger.now,
    updated: ledger.now,
    tenant_id: ledger.tenantId,
    flow_run_id: run.flowRunId,
    task_id: run.taskId,
    map_index: run.mapIndex,
    name: null,
    cache_key: run.cacheKey,
    ...NO_STATE,
  };
  ledger.taskRuns.set(row.id, row);
  ledger.newTaskRuns.add(row);
  return row;
}
