import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import { listOf } from "../sql.js";
import type { ApiKeyTable } from "../tables.js";
import { addMember } from "./tenants.js";

export type ApiKeyRow = Selectable<ApiKeyTable>;

export async function findApiKey(reads: Reads, keyHash: string): Promise<ApiKeyRow | undefined> {
  const [row] = await reads.all<ApiKeyRow>("SELECT * FROM api_key WHERE key_hash = ?1", keyHash);
  return row;
}

/** Also makes the key's user a member of the key's tenant. */
export async function insertApiKey(transaction: Transaction, key: ApiKeyRow): Promise<void> {
  await transaction.query.insertInto("api_key").values(key).execute();
  await addMember(transaction, key.user_id, key.tenant_id, key.created);
}

export function touchApiKeys(
  transaction: Transaction,
  used: readonly (readonly [id: string, at: string])[],
): Promise<void> {
  return transaction.runMany(
    "UPDATE api_key SET last_used = ?1 WHERE id = ?2",
    used.map(([id, at]) => [at, id]),
  );
}

export async function findApiKeyById(
  transaction: Transaction,
  tenantId: string,
  keyId: string,
): Promise<ApiKeyRow | undefined> {
  const sql = "SELECT * FROM api_key WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE";
  const [row] = await transaction.all<ApiKeyRow>(sql, keyId, tenantId);
  return row;
}

/** How many keys of scope USER the tenant has besides this one that do not expire. */
export async function otherUserKeys(transaction: Transaction, tenantId: string, keyId: string): Promise<number> {
  const sql =
    "SELECT count(*) AS keys FROM api_key WHERE tenant_id = ?1 AND id <> ?2 AND scope = 'USER' AND expires_at IS NULL";
  const [row] = await transaction.all<{ keys: number }>(sql, tenantId, keyId);
  return Number(row?.keys ?? 0);
}

export async function deleteApiKey(transaction: Transaction, keyId: string): Promise<void> {
  await transaction.run("DELETE FROM api_key WHERE id = ?1", keyId);
}

/** Those of these keys that are there and have not expired. */
export async function livingKeys(reads: Reads, keyIds: readonly string[], now: string): Promise<Set<string>> {
  const sql =
    "SELECT id FROM api_key WHERE id IN (SELECT value FROM json_each(?1)) AND (expires_at IS NULL OR expires_at > ?2)";
  return new Set((await reads.all<{ id: string }>(sql, listOf(keyIds), now)).map(({ id }) => id));
}
