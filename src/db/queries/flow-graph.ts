import type { Transaction } from "../database.js";
import { listOf } from "../sql.js";

/*
 * Tasks and edges that are added to a flow after it was made. What a task is in the graph only ever goes one way (an edge
 * into it, and it is no root any more), so the order of the batches has no say in it.
 */

export interface FlowToExtend {
  id: string;
  serialized_flow: string | null;
}

/** Nobody else adds to the flow until the transaction ends. */
export async function holdFlowToExtend(
  transaction: Transaction,
  tenantId: string,
  flowId: string,
): Promise<FlowToExtend | undefined> {
  const sql = "SELECT id, serialized_flow FROM flow WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE";
  const [row] = await transaction.all<FlowToExtend>(sql, flowId, tenantId);
  return row;
}

export function writeSerializedFlow(
  transaction: Transaction,
  flowId: string,
  serializedFlow: string,
  now: string,
): Promise<number> {
  const sql = "UPDATE flow SET serialized_flow = ?1, updated = ?2 WHERE id = ?3";
  return transaction.run(sql, serializedFlow, now, flowId);
}

/** The ids of those of these tasks that the flow has, by slug. */
export async function taskIdsOf(
  transaction: Transaction,
  flowId: string,
  slugs: readonly string[],
): Promise<Map<string, string>> {
  const rows = await transaction.all<{ id: string; slug: string }>(
    "SELECT id, slug FROM task WHERE flow_id = ?1 AND slug IN (SELECT value FROM json_each(?2))",
    flowId,
    listOf(slugs),
  );
  return new Map(rows.map((row) => [row.slug, row.id]));
}

/** What the tasks at the ends of new edges are in the graph; lists of task ids. */
export interface EdgeEnds {
  upstreams: readonly string[];
  downstreams: readonly string[];
  /** Those downstream by a mapped edge. */
  mapped: readonly string[];
  /** Does the flow name its reference tasks? Else they are the terminal ones. */
  namesReferences: boolean;
}

export async function markEdgeEnds(transaction: Transaction, ends: EdgeEnds, now: string): Promise<void> {
  await transaction.run(
    "UPDATE task SET is_root_task = 0, updated = ?1 WHERE is_root_task = 1 AND id IN (SELECT value FROM json_each(?2))",
    now,
    listOf(ends.downstreams),
  );
  await transaction.run(
    "UPDATE task SET mapped = 1, updated = ?1 WHERE mapped = 0 AND id IN (SELECT value FROM json_each(?2))",
    now,
    listOf(ends.mapped),
  );
  const reference = ends.namesReferences ? "" : ", is_reference_task = 0";
  await transaction.run(
    `UPDATE task SET is_terminal_task = 0${reference}, updated = ?1
     WHERE is_terminal_task = 1 AND id IN (SELECT value FROM json_each(?2))`,
    now,
    listOf(ends.upstreams),
  );
}
