import type { Reads, Transaction } from "../database.js";
import { listOf } from "../sql.js";
import type { LeaseRow } from "./claim.js";

/** When a service last finished a round, whichever server did it; ISO 8601. */
export async function readServiceMark(reads: Reads, name: string): Promise<string | null> {
  const [row] = await reads.all<{ at: string }>("SELECT at FROM service_mark WHERE name = ?1", name);
  return row?.at ?? null;
}

export async function writeServiceMark(transaction: Transaction, name: string, at: string): Promise<void> {
  await transaction.run(
    "INSERT INTO service_mark (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
    name,
    at,
  );
}

/** The database's own clock, in milliseconds since 1970. Postgres only: a SQLite file has none, as the server is its only user. */
export async function postgresNow(reads: Reads): Promise<number> {
  const [row] = await reads.all<{ ms: string }>(
    "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS text) AS ms",
  );
  return Number(row!.ms);
}

/** Leases that were renewed after this instant, which has not come yet; nobody renews them before the transaction ends. */
export function lockLeasesFromFuture(transaction: Transaction, after: string): Promise<LeaseRow[]> {
  return transaction.all(
    `SELECT id, tenant_id, lease_expires_at, heartbeat FROM flow_run
     WHERE id IN (SELECT id FROM flow_run WHERE lease_agent_id IS NOT NULL AND lease_expires_at > ?1)
       AND lease_agent_id IS NOT NULL AND heartbeat > ?1 ORDER BY id FOR UPDATE`,
    after,
  );
}

export function writeLease(
  transaction: Transaction,
  flowRunId: string,
  { heartbeat, expiresAt }: { heartbeat: string; expiresAt: string },
): Promise<number> {
  return transaction.run(
    "UPDATE flow_run SET heartbeat = ?1, lease_expires_at = ?2 WHERE id = ?3 AND lease_agent_id IS NOT NULL",
    heartbeat,
    expiresAt,
    flowRunId,
  );
}

/** The text must read as in the index's own definition (migrations/007), or the index is not used. */
const isUnheld = (alias: "" | "r."): string =>
  `${alias}lease_agent_id IS NULL AND (${alias}state = 'Running' OR ${alias}state = 'Submitted' OR ${alias}state = 'Cancelling')`;

/** Heartbeats of runs that nobody holds, from after an instant that has not come yet, become heartbeats of now. */
export function bringHeartbeatsBack(transaction: Transaction, after: string, now: string): Promise<number> {
  return transaction.run(`UPDATE flow_run SET heartbeat = ?2 WHERE ${isUnheld("")} AND heartbeat > ?1`, after, now);
}

export interface SilentRunRow {
  id: string;
  tenant_id: string;
  heartbeat: string;
  /** The flow group's. */
  settings: string;
}

const SILENT = `SELECT r.id, r.tenant_id, r.heartbeat, g.settings FROM flow_run r JOIN flow f ON f.id = r.flow_id
  JOIN flow_group g ON g.id = f.flow_group_id
  WHERE ${isUnheld("r.")} AND r.heartbeat <= ?1 AND (r.heartbeat > ?2 OR (r.heartbeat = ?2 AND r.id > ?3))
  ORDER BY r.heartbeat, r.id LIMIT ?4 + 0`;

/** Runs that are under way, that nobody holds, and whose last heartbeat is as old as this or older; after one of them. */
export function silentRuns(
  reads: Reads,
  before: string,
  after: { heartbeat: string; id: string },
  limit: number,
): Promise<SilentRunRow[]> {
  return reads.all(SILENT, before, after.heartbeat, after.id, limit);
}

export interface QueuedRunRow {
  id: string;
  tenant_id: string;
  created: string;
}

// Twice the state: the index (migrations/010) has it as an expression, under a condition that the bare column fulfils.
const QUEUED_BEFORE = `SELECT r.id, r.tenant_id, r.created FROM flow_run r
  WHERE coalesce(r.state, '') = 'Queued' AND r.state = 'Queued' AND r.engine = 'prefect' AND r.lease_agent_id IS NULL
    AND coalesce(r.state_start_time, r.state_timestamp) <= ?1 AND (r.created > ?2 OR (r.created = ?2 AND r.id > ?3))
  ORDER BY r.created, r.id LIMIT ?4 + 0`;

/** Prefect's runs that are Queued and whose process was to ask again at this instant or earlier; after one of them. */
export function queuedRuns(
  reads: Reads,
  before: string,
  after: { created: string; id: string },
  limit: number,
): Promise<QueuedRunRow[]> {
  return reads.all(QUEUED_BEFORE, before, after.created, after.id, limit);
}

export interface BegunTaskRunRow {
  id: string;
  max_retries: number;
  /** Seconds. */
  retry_delay: number | null;
  retried: number;
}

/** A flow run's task runs that are Running, and how often each was retried. */
export function begunTaskRuns(reads: Reads, flowRunId: string): Promise<BegunTaskRunRow[]> {
  return reads.all(
    `SELECT r.id, t.max_retries, t.retry_delay,
       (SELECT count(*) FROM task_run_state s WHERE s.task_run_id = r.id AND s.state = 'Retrying') AS retried
     FROM task_run r JOIN task t ON t.id = r.task_id WHERE r.flow_run_id = ?1 AND r.state = 'Running' ORDER BY r.id`,
    flowRunId,
  );
}

/** Does a task run of it wait, or run? Then the queue or the zombie killer sees to it. */
export async function hasActiveTaskRuns(reads: Reads, flowRunId: string): Promise<boolean> {
  const rows = await reads.all(
    `SELECT id FROM task_run WHERE flow_run_id = ?1
       AND state IN ('Scheduled', 'Paused', 'Resume', 'Retrying', 'Queued', 'Running', 'Cancelling') LIMIT 1`,
    flowRunId,
  );
  return rows.length > 0;
}

export async function groupSettingsOf(reads: Reads, flowId: string): Promise<string> {
  const [row] = await reads.all<{ settings: string }>(
    "SELECT g.settings FROM flow f JOIN flow_group g ON g.id = f.flow_group_id WHERE f.id = ?1",
    flowId,
  );
  return row?.settings ?? "{}";
}

export interface LateRunRow {
  id: string;
  tenant_id: string;
  due_at: string;
}

/** Runs that became due before an instant, have waited since then at least, and are not noted as late. */
export function lateRuns(transaction: Transaction, before: string, limit: number): Promise<LateRunRow[]> {
  return transaction.all(
    `SELECT id, tenant_id, state_start_time AS due_at FROM flow_run
     WHERE state = 'Scheduled' AND late_at IS NULL AND state_start_time <= ?1 AND state_timestamp <= ?1
     ORDER BY state_start_time LIMIT ?2 + 0 FOR UPDATE`,
    before,
    limit,
  );
}

export function noteLate(transaction: Transaction, ids: readonly string[], now: string): Promise<number> {
  return transaction.run(
    "UPDATE flow_run SET late_at = ?1 WHERE id IN (SELECT value FROM json_each(?2))",
    now,
    listOf(ids),
  );
}
