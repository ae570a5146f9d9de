import type { Reads, Transaction } from "../database.js";
import { insertSql, listOf } from "../sql.js";

/** What a limit holds back: task runs by a tag of their task, flow runs by a label of their own. */
export type LimitKind = "task_tag" | "flow_label";

export interface LimitRow {
  kind: LimitKind;
  /** The tag or the label. */
  name: string;
  slots: number;
}

const LIMITS = `SELECT 'task_tag' AS kind, tag AS name, slots FROM task_tag_limit WHERE tenant_id = ?1
  UNION ALL SELECT 'flow_label', name, slots FROM flow_concurrency_limit WHERE tenant_id = ?1`;

/** All limits of a tenant: mostly none, and never many. */
export function limitsOf(reads: Reads, tenantId: string): Promise<LimitRow[]> {
  return reads.all(LIMITS, tenantId);
}

const HELD = `SELECT name, count(*) AS held FROM concurrency_slot WHERE tenant_id = ?1 AND kind = ?2 GROUP BY name`;

/** How many slots of each name are taken; a name without any is left out. */
export async function heldSlots(reads: Reads, tenantId: string, kind: LimitKind): Promise<Map<string, number>> {
  const rows = await reads.all<{ name: string; held: number }>(HELD, tenantId, kind);
  return new Map(rows.map(({ name, held }) => [name, Number(held)]));
}

/** A slot, and the run that owns it. */
export interface SlotRow {
  kind: LimitKind;
  name: string;
  run_id: string;
  flow_run_id: string;
}

/** The slots of these task runs or flow runs themselves. */
export function slotsOfRuns(
  reads: Reads,
  runIds: readonly string[],
  flowRunIds: readonly string[],
): Promise<SlotRow[]> {
  return reads.all(
    `SELECT kind, name, run_id, flow_run_id FROM concurrency_slot
     WHERE flow_run_id IN (SELECT value FROM json_each(?2)) AND run_id IN (SELECT value FROM json_each(?1))`,
    listOf(runIds),
    listOf(flowRunIds),
  );
}

/** The slots of these flow runs and of all their task runs. */
export function slotsUnderFlowRuns(reads: Reads, flowRunIds: readonly string[]): Promise<SlotRow[]> {
  return reads.all(
    `SELECT kind, name, run_id, flow_run_id FROM concurrency_slot
     WHERE flow_run_id IN (SELECT value FROM json_each(?1))`,
    listOf(flowRunIds),
  );
}

/** The limits of which runs of these flows hold slots. */
export function slotNamesUnderFlows(
  reads: Reads,
  flowIds: readonly string[],
): Promise<{ kind: LimitKind; name: string }[]> {
  return reads.all(
    `SELECT DISTINCT s.kind, s.name FROM concurrency_slot s JOIN flow_run r ON r.id = s.flow_run_id
     WHERE r.flow_id IN (SELECT value FROM json_each(?1))`,
    listOf(flowIds),
  );
}

const SLOT_COLUMNS = ["tenant_id", "kind", "name", "run_id", "flow_run_id", "taken_at"];
const TAKE_SLOT = `${insertSql("concurrency_slot", SLOT_COLUMNS)} ON CONFLICT (tenant_id, kind, name, run_id) DO NOTHING`;

export function takeSlots(
  transaction: Transaction,
  rows: readonly (SlotRow & { tenant_id: string; taken_at: string })[],
): Promise<void> {
  return transaction.runMany(
    TAKE_SLOT,
    rows.map((row) => [row.tenant_id, row.kind, row.name, row.run_id, row.flow_run_id, row.taken_at]),
  );
}

const FREE_SLOT = "DELETE FROM concurrency_slot WHERE tenant_id = ?1 AND kind = ?2 AND name = ?3 AND run_id = ?4";

export function freeSlots(transaction: Transaction, tenantId: string, rows: readonly SlotRow[]): Promise<void> {
  return transaction.runMany(
    FREE_SLOT,
    rows.map((row) => [tenantId, row.kind, row.name, row.run_id]),
  );
}

export interface SlotRequestRow {
  run_id: string;
  /** The tag. */
  name: string;
  flow_run_id: string;
}

const ASK_FOR_SLOT = `${insertSql("slot_request", ["run_id", "name", "tenant_id", "flow_run_id", "asked_at", "place"])} ON CONFLICT (run_id, name) DO NOTHING`;

/** Puts task runs at the end of the lines for these names; who stands in one already keeps its place. */
export function addSlotRequests(
  transaction: Transaction,
  rows: readonly (SlotRequestRow & { tenant_id: string; asked_at: string; place: number })[],
): Promise<void> {
  return transaction.runMany(
    ASK_FOR_SLOT,
    rows.map((row) => [row.run_id, row.name, row.tenant_id, row.flow_run_id, row.asked_at, row.place]),
  );
}

export async function deleteSlotRequests(transaction: Transaction, runIds: readonly string[]): Promise<void> {
  await transaction.run("DELETE FROM slot_request WHERE run_id IN (SELECT value FROM json_each(?1))", listOf(runIds));
}

export async function deleteSlotRequestsOfFlowRuns(
  transaction: Transaction,
  flowRunIds: readonly string[],
): Promise<void> {
  await transaction.run(
    "DELETE FROM slot_request WHERE flow_run_id IN (SELECT value FROM json_each(?1))",
    listOf(flowRunIds),
  );
}

/** The names that task runs of these flow runs stand in line for. */
export async function requestedNames(reads: Reads, flowRunIds: readonly string[]): Promise<string[]> {
  const rows = await reads.all<{ name: string }>(
    "SELECT DISTINCT name FROM slot_request WHERE flow_run_id IN (SELECT value FROM json_each(?1))",
    listOf(flowRunIds),
  );
  return rows.map(({ name }) => name);
}

/** The lines in which somebody stands. */
export function slotLines(reads: Reads): Promise<{ tenant_id: string; name: string }[]> {
  return reads.all("SELECT DISTINCT tenant_id, name FROM slot_request ORDER BY tenant_id, name");
}

/** All names of a task run that stands in lines. */
export async function requestsOfRuns(reads: Reads, runIds: readonly string[]): Promise<SlotRequestRow[]> {
  return reads.all(
    "SELECT run_id, name, flow_run_id FROM slot_request WHERE run_id IN (SELECT value FROM json_each(?1))",
    listOf(runIds),
  );
}

export interface WaiterRow {
  run_id: string;
  flow_run_id: string;
  lease_agent_id: string | null;
}

const LINE = `SELECT q.run_id, q.flow_run_id, r.lease_agent_id
  FROM slot_request q JOIN flow_run r ON r.id = q.flow_run_id JOIN task_run t ON t.id = q.run_id
  WHERE q.tenant_id = ?1 AND q.name = ?2 AND r.state = 'Running' AND t.state = 'Queued'
    AND (r.lease_agent_id IS NOT NULL OR t.state_start_time IS NULL)
    AND NOT EXISTS (SELECT 1 FROM concurrency_slot s
      WHERE s.tenant_id = ?1 AND s.kind = 'task_tag' AND s.name = ?2 AND s.run_id = q.run_id)
    AND NOT EXISTS (SELECT 1 FROM slot_request o
      WHERE o.run_id = q.run_id AND o.name IN (SELECT value FROM json_each(?3)))
  ORDER BY q.asked_at, q.place, q.run_id LIMIT ?4 + 0 FOR SHARE OF r SKIP LOCKED`;

/**
 * The first in the line for a tag's slots who can be told: an agent holds the flow run, or it was given back to wait. Who
 * also stands in line for a name without a free slot is left out. A flow run that somebody is changing right now is passed
 * over; its agent's next heartbeat makes up for it.
 */
export function firstInLine(
  reads: Reads,
  question: { tenantId: string; name: string; full: readonly string[]; limit: number },
): Promise<WaiterRow[]> {
  return reads.all(LINE, question.tenantId, question.name, listOf(question.full), question.limit);
}

const GRANTED = `SELECT DISTINCT q.run_id, q.flow_run_id FROM slot_request q
  WHERE q.flow_run_id IN (SELECT value FROM json_each(?1))
    AND NOT EXISTS (SELECT 1 FROM slot_request o
      WHERE o.run_id = q.run_id
        AND EXISTS (SELECT 1 FROM task_tag_limit l WHERE l.tenant_id = o.tenant_id AND l.tag = o.name)
        AND NOT EXISTS (SELECT 1 FROM concurrency_slot s
          WHERE s.tenant_id = o.tenant_id AND s.kind = 'task_tag' AND s.name = o.name AND s.run_id = o.run_id))`;

/** Task runs of these flow runs that stood in line and have all their slots now. */
export async function grantedTaskRuns(reads: Reads, flowRunIds: readonly string[]): Promise<string[]> {
  const rows = await reads.all<{ run_id: string }>(GRANTED, listOf(flowRunIds));
  return rows.map(({ run_id }) => run_id);
}

/** The tags of these tasks, as stored. */
export async function tagsOfTasks(reads: Reads, taskIds: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await reads.all<{ id: string; tags: string }>(
    "SELECT id, tags FROM task WHERE id IN (SELECT value FROM json_each(?1))",
    listOf(taskIds),
  );
  return new Map(rows.map(({ id, tags }) => [id, JSON.parse(tags) as string[]]));
}

/** Lets no flow run of a tenant that is under way move, nor a task run of it, until the transaction ends. */
export async function holdRunsUnderWay(transaction: Transaction, tenantId: string): Promise<void> {
  await transaction.all(
    `SELECT id FROM flow_run WHERE tenant_id = ?1 AND state IN ('Running', 'Submitted', 'Cancelling') ORDER BY id FOR SHARE`,
    tenantId,
  );
}

/** Flow runs under way, with their labels as stored. */
export function flowRunsUnderWay(
  reads: Reads,
  tenantId: string,
): Promise<{ id: string; labels: string; engine: string; lease_agent_id: string | null }[]> {
  return reads.all(
    `SELECT id, labels, engine, lease_agent_id FROM flow_run
     WHERE tenant_id = ?1 AND state IN ('Running', 'Submitted', 'Cancelling') AND labels <> '[]'`,
    tenantId,
  );
}

/** Running task runs of flow runs under way, with their task's tags as stored. */
export function runningTaskRuns(
  reads: Reads,
  tenantId: string,
): Promise<{ id: string; flow_run_id: string; tags: string }[]> {
  return reads.all(
    `SELECT t.id, t.flow_run_id, k.tags FROM flow_run r JOIN task_run t ON t.flow_run_id = r.id JOIN task k ON k.id = t.task_id
     WHERE r.tenant_id = ?1 AND r.state IN ('Running', 'Cancelling') AND t.state = 'Running' AND k.tags <> '[]'`,
    tenantId,
  );
}

/** Who has taken which slots, the longest holder first. */
export function slotHolders(
  reads: Reads,
  tenantId: string,
  kind: LimitKind,
  names: readonly string[],
): Promise<(SlotRow & { taken_at: string })[]> {
  return reads.all(
    `SELECT kind, name, run_id, flow_run_id, taken_at FROM concurrency_slot
     WHERE tenant_id = ?1 AND kind = ?2 AND name IN (SELECT value FROM json_each(?3)) ORDER BY taken_at, run_id`,
    tenantId,
    kind,
    listOf(names),
  );
}

/** Whose agents may take these flow runs. */
export function loadFlowGroupIds(
  reads: Reads,
  flowRunIds: readonly string[],
): Promise<{ labels: string; flow_group_id: string }[]> {
  return reads.all(
    `SELECT DISTINCT r.labels, f.flow_group_id FROM flow_run r JOIN flow f ON f.id = r.flow_id
     WHERE r.id IN (SELECT value FROM json_each(?1))`,
    listOf(flowRunIds),
  );
}

/** Task runs of a flow run that stand in line and are due. */
export async function offeredTaskRuns(reads: Reads, flowRunId: string): Promise<string[]> {
  const rows = await reads.all<{ id: string }>(
    `SELECT DISTINCT t.id FROM slot_request q JOIN task_run t ON t.id = q.run_id
     WHERE q.flow_run_id = ?1 AND t.state = 'Queued' AND t.state_start_time IS NOT NULL`,
    flowRunId,
  );
  return rows.map(({ id }) => id);
}

const LIMIT_TABLE = { task_tag: "task_tag_limit", flow_label: "flow_concurrency_limit" } as const;
const NAME_COLUMN = { task_tag: "tag", flow_label: "name" } as const;

export interface NewLimit extends LimitRow {
  id: string;
  tenantId: string;
  now: string;
}

/** Makes a limit, or changes the one that there is. @returns its id */
export async function setLimit(transaction: Transaction, limit: NewLimit): Promise<string> {
  const { id, kind, name, slots, tenantId, now } = limit;
  const [table, column] = [LIMIT_TABLE[kind], NAME_COLUMN[kind]];
  await transaction.run(
    `INSERT INTO ${table} (id, created, updated, tenant_id, ${column}, slots) VALUES (?1, ?2, ?2, ?3, ?4, ?5)
     ON CONFLICT (tenant_id, ${column}) DO UPDATE SET slots = excluded.slots, updated = excluded.updated`,
    id,
    now,
    tenantId,
    name,
    slots,
  );
  const [row] = await transaction.all<{ id: string }>(
    `SELECT id FROM ${table} WHERE tenant_id = ?1 AND ${column} = ?2`,
    tenantId,
    name,
  );
  return row!.id;
}

/** Takes a limit away, with all slots under it. @returns its name; undefined when there is none of that id */
export async function deleteLimit(
  transaction: Transaction,
  { id, kind, tenantId }: { id: string; kind: LimitKind; tenantId: string },
): Promise<string | undefined> {
  const [table, column] = [LIMIT_TABLE[kind], NAME_COLUMN[kind]];
  const [row] = await transaction.all<{ name: string }>(
    `SELECT ${column} AS name FROM ${table} WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE`,
    id,
    tenantId,
  );
  if (!row) return undefined;
  await transaction.run(`DELETE FROM ${table} WHERE id = ?1 AND tenant_id = ?2`, id, tenantId);
  await transaction.run(
    "DELETE FROM concurrency_slot WHERE tenant_id = ?1 AND kind = ?2 AND name = ?3",
    tenantId,
    kind,
    row.name,
  );
  return row.name;
}
