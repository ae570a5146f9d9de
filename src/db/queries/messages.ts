import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import type { MessageTable } from "../tables.js";

export type MessageRow = Selectable<MessageTable>;

/** Once for each id. */
export async function insertMessage(transaction: Transaction, row: MessageRow): Promise<void> {
  await transaction.query
    .insertInto("message")
    .values(row)
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
}

/** @returns whether there was one */
export async function markMessage(
  transaction: Transaction,
  message: { tenantId: string; id: string; read: boolean; at: string },
): Promise<boolean> {
  const sql = "UPDATE message SET read = ?1, updated = ?2 WHERE tenant_id = ?3 AND id = ?4";
  return (await transaction.run(sql, message.read ? 1 : 0, message.at, message.tenantId, message.id)) > 0;
}

/** @returns whether there was one */
export async function deleteMessageRow(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  return (await transaction.run("DELETE FROM message WHERE tenant_id = ?1 AND id = ?2", tenantId, id)) > 0;
}
