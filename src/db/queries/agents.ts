import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import type { AgentTable } from "../tables.js";

export type AgentRow = Selectable<AgentTable>;

export async function findAgent(reads: Reads, tenantId: string, agentId: string): Promise<AgentRow | undefined> {
  const [row] = await reads.all<AgentRow>("SELECT * FROM agent WHERE id = ?1 AND tenant_id = ?2", agentId, tenantId);
  return row;
}

/** An agent that nobody deletes until the transaction ends, so that it may be given runs. @returns whether there is one */
export async function keepAgent(transaction: Transaction, tenantId: string, agentId: string): Promise<boolean> {
  const sql = "SELECT id FROM agent WHERE id = ?1 AND tenant_id = ?2 FOR SHARE";
  return (await transaction.all(sql, agentId, tenantId)).length > 0;
}

/** Lets nobody give an agent runs until the transaction ends. */
export async function holdAgent(transaction: Transaction, tenantId: string, agentId: string): Promise<void> {
  await transaction.all("SELECT id FROM agent WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE", agentId, tenantId);
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

export function deleteAgent(transaction: Transaction, tenantId: string, agentId: string): Promise<number> {
  return transaction.run("DELETE FROM agent WHERE id = ?1 AND tenant_id = ?2", agentId, tenantId);
}

/** How many of a tenant's runs the agent holds. */
export async function countHeldBy(reads: Reads, tenantId: string, agentId: string): Promise<number> {
  const sql = `SELECT count(*) AS held FROM flow_run
    WHERE lease_agent_id IS NOT NULL AND lease_agent_id = ?1 AND tenant_id = ?2`;
  const [row] = await reads.all<{ held: number }>(sql, agentId, tenantId);
  return Number(row?.held ?? 0);
}

/** An agent that asked for work. */
export interface SeenAgent {
  tenantId: string;
  agentId: string;
  /** When; ISO 8601. */
  at: string;
}

/** Notes when agents last asked for work. One that is not the tenant's own is left alone. */
export function touchAgents(transaction: Transaction, seen: readonly SeenAgent[]): Promise<void> {
  return transaction.runMany(
    "UPDATE agent SET last_queried = ?1, updated = ?1 WHERE id = ?2 AND tenant_id = ?3",
    seen.map(({ tenantId, agentId, at }) => [at, agentId, tenantId]),
  );
}
