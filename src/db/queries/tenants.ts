import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import type { TenantTable } from "../tables.js";

export type TenantRow = Selectable<TenantTable>;

export function firstTenant(transaction: Transaction): Promise<TenantRow | undefined> {
  return transaction.query.selectFrom("tenant").selectAll().orderBy("created").limit(1).executeTakeFirst();
}

/** Throws a unique violation when there is a tenant of that slug. */
export async function insertTenant(transaction: Transaction, tenant: TenantRow): Promise<void> {
  await transaction.query.insertInto("tenant").values(tenant).execute();
}

/** Lets a user's keys act for a tenant; that they may already is no error. */
export function addMember(transaction: Transaction, userId: string, tenantId: string, now: string): Promise<number> {
  return transaction.run(
    "INSERT INTO membership (user_id, tenant_id, created) VALUES (?1, ?2, ?3) ON CONFLICT (user_id, tenant_id) DO NOTHING",
    userId,
    tenantId,
    now,
  );
}

export async function isMember(reads: Reads, userId: string, tenantId: string): Promise<boolean> {
  const sql = "SELECT tenant_id FROM membership WHERE user_id = ?1 AND tenant_id = ?2";
  return (await reads.all(sql, userId, tenantId)).length > 0;
}

/** The ids of a user's tenants. */
export async function tenantsOf(reads: Reads, userId: string): Promise<string[]> {
  const rows = await reads.all<{ tenant_id: string }>("SELECT tenant_id FROM membership WHERE user_id = ?1", userId);
  return rows.map((row) => row.tenant_id);
}

/** One of a user's tenants, held until the transaction ends. */
export async function holdTenant(
  transaction: Transaction,
  userId: string,
  tenantId: string,
): Promise<TenantRow | undefined> {
  const sql =
    "SELECT * FROM tenant WHERE id = ?2 AND id IN (SELECT tenant_id FROM membership WHERE user_id = ?1) FOR UPDATE";
  const [row] = await transaction.all<TenantRow>(sql, userId, tenantId);
  return row;
}

/** Throws a unique violation when another tenant has that slug. */
export function writeTenant(
  transaction: Transaction,
  { id, name, slug, settings }: TenantRow,
  now: string,
): Promise<number> {
  const sql = "UPDATE tenant SET name = ?1, slug = ?2, settings = ?3, updated = ?4 WHERE id = ?5";
  return transaction.run(sql, name, slug, settings, now, id);
}

/** With everything in it. */
export async function deleteTenant(transaction: Transaction, tenantId: string): Promise<void> {
  await transaction.run("DELETE FROM report_stream WHERE tenant_id = ?1", tenantId);
  await transaction.run("DELETE FROM tenant WHERE id = ?1", tenantId);
}
