import type { Database } from "../../db/database.js";
import { type SeenAgent, touchAgents } from "../../db/queries/agents.js";
import { touchApiKeys } from "../../db/queries/api-keys.js";
import { toInstant } from "../parts.js";

/**
 * When agents last asked and keys were last used. An idle poll must not cost a transaction, so this is kept here and
 * written by the housekeeping tick; a crash loses a few seconds of it.
 */
export class Presence {
  /** By tenant and agent: an agent's id may be claimed by anybody. */
  #agents = new Map<string, SeenAgent>();
  /** Each key's last use, in milliseconds since 1970. */
  #keys = new Map<string, number>();

  agentSeen(tenantId: string, agentId: string, at: string): void {
    this.#agents.set(`${tenantId} ${agentId}`, { tenantId, agentId, at });
  }

  keyUsed(keyId: string, atMs: number): void {
    this.#keys.set(keyId, atMs);
  }

  async flush(database: Database): Promise<void> {
    if (this.#agents.size === 0 && this.#keys.size === 0) return;
    const [agents, keys] = [
      [...this.#agents.values()],
      [...this.#keys].map(([id, atMs]) => [id, toInstant(atMs)] as [string, string]),
    ];
    this.#agents = new Map();
    this.#keys = new Map();
    await database.write(async (transaction) => {
      await touchAgents(transaction, agents);
      await touchApiKeys(transaction, keys);
    });
  }
}
