import type { Selectable } from "kysely";
import type { Reads, Transaction } from "./database.js";
import type { AgentTable } from "./tables.js";

export type AgentRow = Selectable<AgentTable>;

export async function findAgent(reads: Reads, tenantId: string, agentId: string): Promise<AgentRow | undefined> {
  const [row] = await reads.all<AgentRow>("SELECT * FROM agent WHERE id = ?1 AND tenant_id = ?2", agentId, tenantId);
  return row;
}

/** The agent that was registered under the same name, type, version and labels. */
export function findSameAgent(transaction: Transaction, agent: AgentRow): Promise<{ id: string } | undefined> {
  return transaction.query
    .selectFrom("agent")
    .select("id")
    .where("tenant_id", "=", agent.tenant_id)
    .where("name", "=", agent.name)
    .where("type", "=", agent.type)
    .where("labels", "=", agent.labels)
    .where("core_version", agent.core_version === null ? "is" : "=", agent.core_version)
    .executeTakeFirst();
}

export async function insertAgent(transaction: Transaction, agent: AgentRow): Promise<void> {
  await transaction.query.insertInto("agent").values(agent).execute();
}

/** Notes when agents last asked for work. */
export function touchAgents(
  transaction: Transaction,
  seen: readonly (readonly [agentId: string, at: string])[],
): Promise<void> {
  return transaction.runMany(
    "UPDATE agent SET last_queried = ?1, updated = ?1 WHERE id = ?2",
    seen.map(([agentId, at]) => [at, agentId]),
  );
}
