import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import type { KeyValueTable } from "../tables.js";

export type KeyValueRow = Selectable<KeyValueTable>;

/** Replaces the value of that key. @returns the row's id, which a key keeps for as long as it is there */
export async function upsertKeyValue(transaction: Transaction, row: KeyValueRow): Promise<string> {
  await transaction.run(
    `INSERT INTO key_value (id, created, updated, tenant_id, key, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (tenant_id, key) DO UPDATE SET value = excluded.value, updated = excluded.updated`,
    row.id,
    row.created,
    row.updated,
    row.tenant_id,
    row.key,
    row.value,
  );
  const [kept] = await transaction.all<{ id: string }>(
    "SELECT id FROM key_value WHERE tenant_id = ?1 AND key = ?2",
    row.tenant_id,
    row.key,
  );
  return kept!.id;
}

/** @returns whether there was one */
export async function deleteKeyValueRow(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  return (await transaction.run("DELETE FROM key_value WHERE tenant_id = ?1 AND id = ?2", tenantId, id)) > 0;
}
