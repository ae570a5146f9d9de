import type { Reads, Transaction } from "../database.js";
import { isWaiting } from "./claim.js";

/** How much there is to do; each number comes from an index that holds no finished run. */
export interface Load {
  waitingRuns: number;
  dueRuns: number;
  leases: number;
  agents: number;
}

export async function readLoad(reads: Reads, now: string, seenSince: string): Promise<Load> {
  const count = async (sql: string, ...parameters: string[]) => {
    const [row] = await reads.all<{ rows: number }>(`SELECT count(*) AS rows FROM ${sql}`, ...parameters);
    return Number(row?.rows ?? 0);
  };
  return {
    waitingRuns: await count(`flow_run WHERE ${isWaiting()}`),
    dueRuns: await count(`flow_run WHERE ${isWaiting()} AND state_start_time <= ?1`, now),
    leases: await count("flow_run WHERE lease_agent_id IS NOT NULL"),
    agents: await count("agent WHERE last_queried >= ?1", seenSince),
  };
}

/** Writes what is there already: the database takes a page of its log for it, and a full disk or a lost lock is met. */
export async function tryWrite(transaction: Transaction): Promise<void> {
  await transaction.run("UPDATE tenant SET slug = slug WHERE id = (SELECT min(id) FROM tenant)");
}
