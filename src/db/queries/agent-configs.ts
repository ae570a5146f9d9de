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

/** Agents that were registered with it stay, without it. @returns whether there was one */
export async function deleteAgentConfigRow(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  await transaction.run(
    "UPDATE agent SET agent_config_id = NULL WHERE tenant_id = ?1 AND agent_config_id = ?2",
    tenantId,
    id,
  );
  return (await transaction.run("DELETE FROM agent_config WHERE tenant_id = ?1 AND id = ?2", tenantId, id)) > 0;
}
