import type { Reads } from "../database.js";
import { listOf } from "../sql.js";

/* What "why is it waiting?" looks at. None of it is on a hot path. */

export interface WhyFlowRunRow {
  id: string;
  name: string;
  state: string | null;
  state_timestamp: string | null;
  state_start_time: string | null;
  state_message: string | null;
  labels: string;
  engine: string;
  heartbeat: string | null;
  lease_agent_id: string | null;
  lease_expires_at: string | null;
  flow_name: string;
  flow_group_id: string;
  /** The flow group's. */
  settings: string;
  project_name: string;
}

export async function whyFlowRun(reads: Reads, tenantId: string, id: string): Promise<WhyFlowRunRow | undefined> {
  const [row] = await reads.all<WhyFlowRunRow>(
    `SELECT r.id, r.name, r.state, r.state_timestamp, r.state_start_time, r.state_message, r.labels, r.engine, r.heartbeat,
       r.lease_agent_id, r.lease_expires_at, f.name AS flow_name, f.flow_group_id, g.settings, p.name AS project_name
     FROM flow_run r JOIN flow f ON f.id = r.flow_id JOIN flow_group g ON g.id = f.flow_group_id
       JOIN project p ON p.id = f.project_id
     WHERE r.id = ?1 AND r.tenant_id = ?2`,
    id,
    tenantId,
  );
  return row;
}

export interface WhyAgentRow {
  id: string;
  name: string;
  labels: string;
  core_version: string | null;
  last_queried: string;
  held: number;
}

/** The agents heard of last, and how many runs each holds. */
export function agentsHeardOf(reads: Reads, tenantId: string, limit: number): Promise<WhyAgentRow[]> {
  return reads.all(
    // Counted once for all agents, from the index of leases alone.
    `SELECT a.id, a.name, a.labels, a.core_version, a.last_queried, coalesce(h.held, 0) AS held
     FROM agent a LEFT JOIN (SELECT lease_agent_id, count(*) AS held FROM flow_run WHERE lease_agent_id IS NOT NULL
       GROUP BY lease_agent_id) h ON h.lease_agent_id = a.id
     WHERE a.tenant_id = ?1 ORDER BY a.last_queried DESC, a.id LIMIT ?2 + 0`,
    tenantId,
    limit,
  );
}

export interface WhyTaskRunRow {
  id: string;
  task_id: string;
  task_name: string;
  task_slug: string;
  name: string | null;
  map_index: number;
  tags: string;
  state: string | null;
  state_timestamp: string | null;
  state_start_time: string | null;
  state_message: string | null;
}

/** A flow run's task runs that are in one of these states; "none" stands for no state. */
export function taskRunsInStates(
  reads: Reads,
  flowRunId: string,
  states: readonly string[],
  limit: number,
): Promise<WhyTaskRunRow[]> {
  return reads.all(
    `SELECT t.id, t.task_id, k.name AS task_name, k.slug AS task_slug, t.name, t.map_index, k.tags, t.state, t.state_timestamp,
       t.state_start_time, t.state_message
     FROM task_run t JOIN task k ON k.id = t.task_id
     WHERE t.flow_run_id = ?1 AND coalesce(t.state, 'none') IN (SELECT value FROM json_each(?2))
     ORDER BY t.state_timestamp, k.slug, t.map_index LIMIT ?3 + 0`,
    flowRunId,
    listOf(states),
    limit,
  );
}

export async function countTaskRunsInStates(
  reads: Reads,
  flowRunId: string,
  states: readonly string[],
): Promise<Map<string, number>> {
  const rows = await reads.all<{ state: string; count: number }>(
    `SELECT coalesce(state, 'none') AS state, count(*) AS count FROM task_run
     WHERE flow_run_id = ?1 AND coalesce(state, 'none') IN (SELECT value FROM json_each(?2)) GROUP BY coalesce(state, 'none')`,
    flowRunId,
    listOf(states),
  );
  return new Map(rows.map(({ state, count }) => [state, Number(count)]));
}

/** For each of these tasks, the names of tasks above it whose run has not ended. */
export function unfinishedAbove(
  reads: Reads,
  flowRunId: string,
  taskIds: readonly string[],
  ended: readonly string[],
): Promise<{ task_id: string; above: string; state: string | null }[]> {
  return reads.all(
    `SELECT DISTINCT e.downstream_task_id AS task_id, u.name AS above, t.state
     FROM edge e JOIN task u ON u.id = e.upstream_task_id
       JOIN task_run t ON t.flow_run_id = ?1 AND t.task_id = e.upstream_task_id
     WHERE e.downstream_task_id IN (SELECT value FROM json_each(?2))
       AND NOT (coalesce(t.state, 'none') IN (SELECT value FROM json_each(?3)))`,
    flowRunId,
    listOf(taskIds),
    listOf(ended),
  );
}

/** The names of flow runs, and of the task where the run is a task run. */
export function namesOfHolders(
  reads: Reads,
  runIds: readonly string[],
  flowRunIds: readonly string[],
): Promise<{ flow_run_id: string; flow_run_name: string; run_id: string | null; task_name: string | null }[]> {
  return reads.all(
    `SELECT r.id AS flow_run_id, r.name AS flow_run_name, t.id AS run_id, k.name AS task_name
     FROM flow_run r LEFT JOIN task_run t ON t.flow_run_id = r.id AND t.id IN (SELECT value FROM json_each(?1))
       LEFT JOIN task k ON k.id = t.task_id
     WHERE r.id IN (SELECT value FROM json_each(?2))`,
    listOf(runIds),
    listOf(flowRunIds),
  );
}

export interface WhyFlowRow {
  id: string;
  name: string;
  project_name: string;
  archived: number;
  parameters: string;
  schedule: string | null;
  group_schedule: string | null;
  default_parameters: string;
  is_schedule_active: number;
  schedule_error: string | null;
}

/** The newest version of each flow of a name, archived or not. */
export function newestFlowsNamed(
  reads: Reads,
  tenantId: string,
  name: string,
  project: string | null,
): Promise<WhyFlowRow[]> {
  return reads.all(
    `SELECT f.id, f.name, p.name AS project_name, f.archived, f.parameters, f.schedule, g.schedule AS group_schedule,
       g.default_parameters, f.is_schedule_active, f.schedule_error
     FROM flow f JOIN project p ON p.id = f.project_id JOIN flow_group g ON g.id = f.flow_group_id
     WHERE f.tenant_id = ?1 AND f.name = ?2 AND (?3 IS NULL OR p.name = ?3)
       AND f.version = (SELECT max(o.version) FROM flow o WHERE o.flow_group_id = f.flow_group_id)
     ORDER BY f.archived, f.created DESC`,
    tenantId,
    name,
    project,
  );
}

/** The next instant for which a flow has a run. */
export async function nextScheduledRun(
  reads: Reads,
  flowId: string,
  after: string,
): Promise<{ id: string; name: string; scheduled_start_time: string } | undefined> {
  const [row] = await reads.all<{ id: string; name: string; scheduled_start_time: string }>(
    `SELECT id, name, scheduled_start_time FROM flow_run
     WHERE flow_id = ?1 AND state = 'Scheduled' AND scheduled_start_time > ?2 ORDER BY scheduled_start_time LIMIT 1`,
    flowId,
    after,
  );
  return row;
}
