import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import type { AgentConfigTable } from "../tables.js";

export type AgentConfigRow = Selectable<AgentConfigTable>;

export async function insertAgentConfig(transaction: Transaction, row: AgentConfigRow): Promise<void> {
  await transaction.query.insertInto("agent_config").values(row).execute();
}

/** Changes what is given. @returns whether there was one */
export async function updateAgentConfigRow(
  transaction: Transaction,
  { tenant_id, id, ...change }: Pick<AgentConfigRow, "tenant_id" | "id" | "updated"> & Partial<AgentConfigRow>,
): Promise<boolean> {
  const { numUpdatedRows } = await transaction.query
    .updateTable("agent_config")
    .set(change)
    .where("tenant_id", "=", tenant_id)
    .where("id", "=", id)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** A config that nobody deletes until the transaction ends. @returns whether there is one */
export async function keepAgentConfig(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  const sql = "SELECT id FROM agent_config WHERE tenant_id = ?1 AND id = ?2 FOR SHARE";
  return (await transaction.all(sql, tenantId, id)).length > 0;
}

/** Agents that were registered with it stay, without it. @returns whether there was one */
export async function deleteAgentConfigRow(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  // First the config: that waits for who registers with it just now, and whose agent is found then.
  const deleted = await transaction.run("DELETE FROM agent_config WHERE tenant_id = ?1 AND id = ?2", tenantId, id);
  await transaction.run(
    "UPDATE agent SET agent_config_id = NULL WHERE tenant_id = ?1 AND agent_config_id = ?2",
    tenantId,
    id,
  );
  return deleted > 0;
}
