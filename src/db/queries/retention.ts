import { isTerminal, stateTypes } from "../../core/state.js";
import type { Reads, Transaction } from "../database.js";
import { listOf } from "../sql.js";

/*
 * Deleting what is old, a piece at a time: each of these changes a bounded number of rows, so that a transaction is short.
 */

const TERMINAL = stateTypes.filter((type) => isTerminal({ type })).map((type) => `'${type}'`);

const OLD_RUNS = `SELECT id FROM flow_run WHERE created < ?1 AND state_timestamp < ?1 AND state IN (${TERMINAL.join(", ")})
  ORDER BY created LIMIT ?2 + 0`;

/** Runs that ended before an instant, the oldest first. */
export async function runsEndedBefore(reads: Reads, before: string, limit: number): Promise<string[]> {
  const rows = await reads.all<{ id: string }>(OLD_RUNS, before, limit);
  return rows.map((row) => row.id);
}

/** Some log lines of a run. @returns how many were deleted */
export function deleteLogsOf(transaction: Transaction, flowRunId: string, limit: number): Promise<number> {
  return transaction.run(
    "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE flow_run_id = ?1 ORDER BY id LIMIT ?2 + 0)",
    flowRunId,
    limit,
  );
}

/** Some task runs of a run, with their states and artifacts. @returns how many were deleted */
export function deleteTaskRunsOf(transaction: Transaction, flowRunId: string, limit: number): Promise<number> {
  return transaction.run(
    "DELETE FROM task_run WHERE id IN (SELECT id FROM task_run WHERE flow_run_id = ?1 LIMIT ?2 + 0)",
    flowRunId,
    limit,
  );
}

/** How many task runs and log lines some runs have. */
export async function sizesOfRuns(
  reads: Reads,
  flowRunIds: readonly string[],
): Promise<{ id: string; rows: number }[]> {
  const rows = await reads.all<{ id: string; rows: number }>(
    `SELECT r.id, (SELECT count(*) FROM task_run t WHERE t.flow_run_id = r.id)
       + (SELECT count(*) FROM log l WHERE l.flow_run_id = r.id) AS rows
     FROM flow_run r WHERE r.id IN (SELECT value FROM json_each(?1))`,
    listOf(flowRunIds),
  );
  return rows.map((row) => ({ id: row.id, rows: Number(row.rows) }));
}

/** Agents that hold no run and have not asked for work since an instant. */
export function deleteAgentsUnseenSince(transaction: Transaction, before: string, limit: number): Promise<number> {
  return transaction.run(
    `DELETE FROM agent WHERE id IN (SELECT a.id FROM agent a WHERE a.last_queried < ?1
       AND a.id NOT IN (SELECT r.lease_agent_id FROM flow_run r WHERE r.lease_agent_id IS NOT NULL)
     ORDER BY a.last_queried LIMIT ?2 + 0)`,
    before,
    limit,
  );
}

/** Keys that expired before an instant. */
export function deleteKeysExpiredBefore(transaction: Transaction, before: string, limit: number): Promise<number> {
  return transaction.run(
    "DELETE FROM api_key WHERE id IN (SELECT id FROM api_key WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2 + 0)",
    before,
    limit,
  );
}
