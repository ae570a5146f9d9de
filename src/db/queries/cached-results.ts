import type { Reads } from "../database.js";

/** How many candidates are looked at: as many as Prefect's client asks for (section 3.8 of the protocol notes). */
const CANDIDATES = 100;

/** Where cached results are looked for. */
export interface CacheQuestion {
  tenantId: string;
  /** The flow version and the task in it; with a key, the tasks of all flows that have it. */
  flowId: string;
  taskSlug: string;
  cacheKey: string | null;
  /** ISO 8601. */
  since: string;
}

/** The Cached states, as stored, that may stand for running a task; the newest first. */
export async function cachedStates(reads: Reads, question: CacheQuestion): Promise<string[]> {
  const { tenantId, flowId, taskSlug, cacheKey, since } = question;
  const select = "SELECT serialized_state FROM task_run WHERE state = 'Cached' AND state_timestamp >= ?1";
  const newest = `ORDER BY state_timestamp DESC LIMIT ${CANDIDATES}`;
  const rows = await (cacheKey === null
    ? reads.all<{ serialized_state: string }>(
        `${select} AND task_id = (SELECT id FROM task WHERE flow_id = ?2 AND slug = ?3) AND tenant_id = ?4 ${newest}`,
        since,
        flowId,
        taskSlug,
        tenantId,
      )
    : reads.all<{ serialized_state: string }>(
        `${select} AND tenant_id = ?2 AND cache_key = ?3 ${newest}`,
        since,
        tenantId,
        cacheKey,
      ));
  return rows.map((row) => row.serialized_state);
}
