import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import type { SecretTable } from "../tables.js";

export type SecretRow = Selectable<SecretTable>;

/** Replaces the value of a secret of that name. */
export async function upsertSecret(transaction: Transaction, row: SecretRow): Promise<void> {
  await transaction.run(
    `INSERT INTO secret (id, created, updated, tenant_id, name, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated = excluded.updated`,
    row.id,
    row.created,
    row.updated,
    row.tenant_id,
    row.name,
    row.sealed,
  );
}

export async function findSecret(reads: Reads, tenantId: string, name: string): Promise<SecretRow | undefined> {
  const [row] = await reads.all<SecretRow>("SELECT * FROM secret WHERE tenant_id = ?1 AND name = ?2", tenantId, name);
  return row;
}

export async function secretNamesOf(reads: Reads, tenantId: string): Promise<string[]> {
  const rows = await reads.all<{ name: string }>(
    "SELECT name FROM secret WHERE tenant_id = ?1 ORDER BY name",
    tenantId,
  );
  return rows.map(({ name }) => name);
}

/** @returns whether there was one */
export async function deleteSecretRow(transaction: Transaction, tenantId: string, name: string): Promise<boolean> {
  return (await transaction.run("DELETE FROM secret WHERE tenant_id = ?1 AND name = ?2", tenantId, name)) > 0;
}

/** The ids of the keys that anything in the database is sealed with: the second part of `v1.<key id>.<nonce>.<bytes>`. */
export async function sealedKeyIds(reads: Reads): Promise<string[]> {
  const rows = await reads.all<{ key_id: string }>(
    "SELECT substr(sealed, 4, 12) AS key_id FROM secret UNION SELECT substr(sealed, 4, 12) AS key_id FROM cloud_hook",
  );
  return rows.map(({ key_id }) => key_id);
}

/** A sealed text, and the row that holds it. */
export interface SealedRow {
  id: string;
  tenant_id: string;
  /** What the text is sealed under, beside the tenant: the secret's name, or the hook's id. */
  name: string;
  sealed: string;
}

/** Everything that is sealed, for all tenants, held until the transaction ends. */
export async function lockSealed(transaction: Transaction): Promise<Record<"secret" | "cloud_hook", SealedRow[]>> {
  const secret = await transaction.all<SealedRow>(
    "SELECT id, tenant_id, name, sealed FROM secret ORDER BY id FOR UPDATE",
  );
  const cloud_hook = await transaction.all<SealedRow>(
    "SELECT id, tenant_id, id AS name, sealed FROM cloud_hook ORDER BY id FOR UPDATE",
  );
  return { secret, cloud_hook };
}

const reseal = {
  secret: "UPDATE secret SET sealed = ?1 WHERE id = ?2",
  cloud_hook: "UPDATE cloud_hook SET sealed = ?1 WHERE id = ?2",
} as const;

export function writeSealed(
  transaction: Transaction,
  table: keyof typeof reseal,
  rows: readonly SealedRow[],
): Promise<void> {
  return transaction.runMany(
    reseal[table],
    rows.map(({ id, sealed }) => [sealed, id]),
  );
}
