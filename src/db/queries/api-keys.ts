import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import type { ApiKeyTable } from "../tables.js";

export type ApiKeyRow = Selectable<ApiKeyTable>;

export async function findApiKey(reads: Reads, keyHash: string): Promise<ApiKeyRow | undefined> {
  const [row] = await reads.all<ApiKeyRow>("SELECT * FROM api_key WHERE key_hash = ?1", keyHash);
  return row;
}

export async function insertApiKey(transaction: Transaction, key: ApiKeyRow): Promise<void> {
  await transaction.query.insertInto("api_key").values(key).execute();
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
