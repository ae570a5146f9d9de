import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import { insertSql, listOf, valuesOf } from "../sql.js";
import type { CloudHookDeliveryTable, CloudHookTable } from "../tables.js";

export type CloudHookRow = Selectable<CloudHookTable>;
export type DeliveryRow = Selectable<CloudHookDeliveryTable>;

/** What decides whether a hook is told of a state. */
export type HookFilterRow = Pick<CloudHookRow, "id" | "version_group_id" | "states">;

export async function insertCloudHook(transaction: Transaction, row: CloudHookRow): Promise<void> {
  await transaction.query.insertInto("cloud_hook").values(row).execute();
}

export async function countHooks(reads: Reads, tenantId: string): Promise<number> {
  const rows = await reads.all("SELECT id FROM cloud_hook WHERE tenant_id = ?1", tenantId);
  return rows.length;
}

export async function findCloudHook(reads: Reads, tenantId: string, id: string): Promise<CloudHookRow | undefined> {
  const [row] = await reads.all<CloudHookRow>(
    "SELECT * FROM cloud_hook WHERE id = ?1 AND tenant_id = ?2",
    id,
    tenantId,
  );
  return row;
}

/** @returns whether there was one */
export async function setHookActive(
  transaction: Transaction,
  hook: { tenantId: string; id: string; active: boolean; at: string },
): Promise<boolean> {
  const sql = "UPDATE cloud_hook SET active = ?1, updated = ?2 WHERE tenant_id = ?3 AND id = ?4";
  return (await transaction.run(sql, hook.active ? 1 : 0, hook.at, hook.tenantId, hook.id)) > 0;
}

/** With what it is still to be told. @returns whether there was one */
export async function deleteHookRow(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  const found = (await transaction.run("DELETE FROM cloud_hook WHERE tenant_id = ?1 AND id = ?2", tenantId, id)) > 0;
  if (found) await transaction.run("DELETE FROM cloud_hook_delivery WHERE cloud_hook_id = ?1", id);
  return found;
}

export function activeHooks(reads: Reads, tenantId: string): Promise<HookFilterRow[]> {
  return reads.all("SELECT id, version_group_id, states FROM cloud_hook WHERE tenant_id = ?1 AND active = 1", tenantId);
}

/** The version groups of flow runs, by run. */
export async function versionGroupsOf(reads: Reads, flowRunIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await reads.all<{ id: string; version_group_id: string }>(
    `SELECT r.id, f.version_group_id FROM flow_run r JOIN flow f ON f.id = r.flow_id
     WHERE r.id IN (SELECT value FROM json_each(?1))`,
    listOf(flowRunIds),
  );
  return new Map(rows.map(({ id, version_group_id }) => [id, version_group_id]));
}

const COLUMNS = [
  "id",
  "created",
  "updated",
  "tenant_id",
  "cloud_hook_id",
  "flow_run_id",
  "version",
  "attempts",
  "sent",
  "next_attempt_at",
  "delivered_at",
  "last_error",
] as const;
const INSERT = `${insertSql("cloud_hook_delivery", COLUMNS)} ON CONFLICT (cloud_hook_id, flow_run_id, version) DO NOTHING`;

export function insertDeliveries(transaction: Transaction, rows: readonly DeliveryRow[]): Promise<void> {
  return transaction.runMany(
    INSERT,
    rows.map((row) => valuesOf(row, COLUMNS)),
  );
}

/** Is anything due? A look that costs no transaction. */
export async function isDeliveryDue(reads: Reads, now: string): Promise<boolean> {
  const sql = "SELECT id FROM cloud_hook_delivery WHERE next_attempt_at IS NOT NULL AND next_attempt_at <= ?1 LIMIT 1";
  return (await reads.all(sql, now)).length > 0;
}

/** What is due, the longest first, without those that are to be left alone for now; held until the transaction ends. */
export function lockDueDeliveries(
  transaction: Transaction,
  look: { now: string; withoutHooks: readonly string[]; withoutTenants: readonly string[]; limit: number },
): Promise<DeliveryRow[]> {
  return transaction.all(
    `SELECT * FROM cloud_hook_delivery WHERE next_attempt_at IS NOT NULL AND next_attempt_at <= ?1
     AND NOT (cloud_hook_id IN (SELECT value FROM json_each(?2))) AND NOT (tenant_id IN (SELECT value FROM json_each(?3)))
     ORDER BY next_attempt_at, id LIMIT ?4 FOR UPDATE`,
    look.now,
    listOf(look.withoutHooks),
    listOf(look.withoutTenants),
    look.limit,
  );
}

/** Notes that these are being sent, and when they are due again should nobody say how that went. */
export function claimDeliveries(
  transaction: Transaction,
  rows: readonly DeliveryRow[],
  { now, until }: { now: string; until: string },
): Promise<void> {
  return transaction.runMany(
    "UPDATE cloud_hook_delivery SET attempts = attempts + 1, next_attempt_at = ?1, updated = ?2 WHERE id = ?3",
    rows.map(({ id }) => [until, now, id]),
  );
}

/** How an attempt went. */
export type DeliveryOutcome = Pick<
  DeliveryRow,
  "id" | "updated" | "attempts" | "sent" | "next_attempt_at" | "delivered_at" | "last_error"
>;

/**
 * Of a delivery that was taken by another server meanwhile, only that it arrived is news.
 * @param claimedAs its number of attempts when it was claimed for this one
 */
export async function writeDelivery(transaction: Transaction, row: DeliveryOutcome, claimedAs: number): Promise<void> {
  await transaction.run(
    `UPDATE cloud_hook_delivery SET updated = ?1, attempts = ?2, sent = ?3, next_attempt_at = ?4, delivered_at = ?5, last_error = ?6
     WHERE id = ?7 AND delivered_at IS NULL AND (attempts = ?8 OR ?9 = 1)`,
    row.updated,
    row.attempts,
    row.sent,
    row.next_attempt_at,
    row.delivered_at,
    row.last_error,
    row.id,
    claimedAs,
    row.delivered_at === null ? 0 : 1,
  );
}

/** Makes due what was written by a clock that ran ahead: its next attempt would be as far away. */
export function bringDeliveriesBack(
  transaction: Transaction,
  { now, after }: { now: string; after: string },
): Promise<number> {
  const sql = `UPDATE cloud_hook_delivery SET next_attempt_at = ?1, updated = ?1
    WHERE next_attempt_at IS NOT NULL AND next_attempt_at > ?2 AND updated > ?2`;
  return transaction.run(sql, now, after);
}

/** Forgets what was told, or given up, before then. */
export function deleteOldDeliveries(transaction: Transaction, before: string): Promise<number> {
  return transaction.run("DELETE FROM cloud_hook_delivery WHERE next_attempt_at IS NULL AND updated < ?1", before);
}

/** A state with what a hook tells of it. */
export interface HookEventRow {
  tenant_id: string;
  tenant_slug: string;
  flow_id: string;
  flow_name: string;
  version_group_id: string;
  flow_run_id: string;
  flow_run_name: string;
  version: number;
  state: string;
  timestamp: string;
  message: string | null;
  serialized_state: string;
}

const EVENT = `SELECT t.id AS tenant_id, t.slug AS tenant_slug, f.id AS flow_id, f.name AS flow_name, f.version_group_id,
  r.id AS flow_run_id, r.name AS flow_run_name, s.version, s.state, s.timestamp, s.message, s.serialized_state
  FROM flow_run r JOIN flow f ON f.id = r.flow_id JOIN tenant t ON t.id = r.tenant_id
  JOIN flow_run_state s ON s.flow_run_id = r.id`;

export async function hookEventRow(
  reads: Reads,
  flowRunId: string,
  version: number,
): Promise<HookEventRow | undefined> {
  const [row] = await reads.all<HookEventRow>(`${EVENT} WHERE r.id = ?1 AND s.version = ?2`, flowRunId, version);
  return row;
}

/** The newest state of a run of this tenant. */
export async function newestHookEventRow(
  reads: Reads,
  tenantId: string,
  flowRunId: string,
): Promise<HookEventRow | undefined> {
  const [row] = await reads.all<HookEventRow>(
    `${EVENT} WHERE r.id = ?1 AND r.tenant_id = ?2 ORDER BY s.version DESC LIMIT 1`,
    flowRunId,
    tenantId,
  );
  return row;
}
