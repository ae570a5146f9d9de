import type { Reads } from "../database.js";
import type { Engine } from "../tables.js";

/**
 * The queue. A waiting run is found by its engine and its labels first: distinct label sets are few, `core/labels` says which of them an
 * agent takes, and each is a range of the partial index in the order of being due. So runs that are for other agents cost
 * nothing, however many wait.
 */

const WAITING_STATES = ["Scheduled", "Paused", "Resume", "Retrying", "Queued"] as const;

/**
 * Is it waiting to be picked up? The text must read as it does in the index's own definition (migrations/004), or the index
 * is not used. SQLite asks this of each row it writes: as a list, `state IN (…)`, it costs 7 µs a row, as ORs 2.
 */
export const isWaiting = (alias: "" | "r." | "t." = ""): string =>
  `(${WAITING_STATES.map((state) => `${alias}state = '${state}'`).join(" OR ")})`;

export interface DueRow {
  id: string;
  due_at: string;
  labels: string;
}

const LABEL_SETS = `WITH RECURSIVE label_set (labels) AS (
    SELECT min(labels) FROM flow_run WHERE ${isWaiting()} AND tenant_id = ?1 AND engine = ?2
    UNION ALL
    SELECT (SELECT min(labels) FROM flow_run WHERE ${isWaiting()} AND tenant_id = ?1 AND engine = ?2 AND labels > label_set.labels)
    FROM label_set WHERE label_set.labels IS NOT NULL
  ) SELECT labels FROM label_set WHERE labels IS NOT NULL`;

/** The label sets, as stored, of the runs that wait for agents of a kind: one step in the index for each. */
export async function waitingLabelSets(reads: Reads, tenantId: string, engine: Engine): Promise<string[]> {
  const rows = await reads.all<{ labels: string }>(LABEL_SETS, tenantId, engine);
  return rows.map((each) => each.labels);
}

/** What of a label set's waiting runs is asked for. */
export interface DueQuestion {
  tenantId: string;
  engine: Engine;
  labels: string;
  /** ISO 8601; runs due then or earlier. */
  before: string;
  flowGroupId: string | null;
  limit: number;
}

/**
 * Of Prefect's runs that wait, its agents begin those that are Scheduled, and leave the others without a word. A Queued one
 * has a process of its own, which asks again; shown here it would only take a place from those behind it.
 */
const mayBegin = (engine: string): string => `(${engine} <> 'prefect' OR r.state = 'Scheduled')`;

const DUE_FLOW_RUNS = `SELECT r.id, r.state_start_time AS due_at, r.labels FROM flow_run r
  WHERE ${isWaiting("r.")} AND r.tenant_id = ?1 AND r.engine = ?6 AND r.labels = ?2 AND r.state_start_time <= ?3
    AND ${mayBegin("?6")} AND (?4 IS NULL OR (SELECT f.flow_group_id FROM flow f WHERE f.id = r.flow_id) = ?4)
  ORDER BY r.state_start_time LIMIT ?5 + 0`;

/**
 * In the order of being due. The limit is an expression because SQLite would read a bare `?5` when it plans the query, and
 * plan it anew at each call: 95 µs in place of 15.
 */
export function dueFlowRuns(reads: Reads, question: DueQuestion): Promise<DueRow[]> {
  const { tenantId, engine, labels, before, flowGroupId, limit } = question;
  return reads.all(DUE_FLOW_RUNS, tenantId, labels, before, flowGroupId, limit, engine);
}

const NEXT_DUE = `SELECT r.state_start_time AS due_at FROM flow_run r
  WHERE ${isWaiting("r.")} AND r.tenant_id = ?1 AND r.engine = ?5 AND r.labels = ?2 AND r.state_start_time > ?3
    AND ${mayBegin("?5")} AND (?4 IS NULL OR (SELECT f.flow_group_id FROM flow f WHERE f.id = r.flow_id) = ?4)
  ORDER BY r.state_start_time LIMIT 1`;

/** When the next run of a label set is due, after an instant. */
export async function nextDueAt(
  reads: Reads,
  question: Omit<DueQuestion, "limit" | "before"> & { after: string },
): Promise<string | null> {
  const { tenantId, engine, labels, after, flowGroupId } = question;
  const [row] = await reads.all<{ due_at: string }>(NEXT_DUE, tenantId, labels, after, flowGroupId, engine);
  return row?.due_at ?? null;
}

const DUE_RUNNING_FLOW_RUNS = `SELECT r.id, min(t.state_start_time) AS due_at, r.labels, f.flow_group_id
  FROM task_run t CROSS JOIN flow_run r ON r.id = t.flow_run_id JOIN flow f ON f.id = r.flow_id
  WHERE ${isWaiting("t.")} AND t.state_start_time <= ?2 AND r.tenant_id = ?1 AND r.engine = ?3 AND r.state = 'Running' AND r.lease_agent_id IS NULL
  GROUP BY r.id, f.flow_group_id ORDER BY due_at`;

/** Running flow runs that nobody holds and that have a task run due again, for instance after a long wait before a retry. */
export function dueRunningFlowRuns(
  reads: Reads,
  tenantId: string,
  engine: Engine,
  before: string,
): Promise<(DueRow & { flow_group_id: string })[]> {
  return reads.all(DUE_RUNNING_FLOW_RUNS, tenantId, before, engine);
}

/** A run of that id that waits to be picked up; undefined: there is none, or an agent has it, or it has ended. */
export async function waitingFlowRun(
  reads: Reads,
  tenantId: string,
  engine: Engine,
  flowRunId: string,
): Promise<{ id: string; due_at: string | null; labels: string } | undefined> {
  const [row] = await reads.all<{ id: string; due_at: string | null; labels: string }>(
    `SELECT r.id, r.labels, CASE WHEN r.state = 'Running'
       THEN (SELECT min(t.state_start_time) FROM task_run t WHERE t.flow_run_id = r.id AND ${isWaiting("t.")})
       ELSE r.state_start_time END AS due_at
     FROM flow_run r WHERE r.id = ?1 AND r.tenant_id = ?2 AND r.engine = ?3
       AND (${isWaiting("r.")} OR (r.state = 'Running' AND r.lease_agent_id IS NULL))`,
    flowRunId,
    tenantId,
    engine,
  );
  return row;
}

/** What becomes due within a span: which of our own agents to wake. Prefect's ask, and cannot be woken. */
export function dueBetween(
  reads: Reads,
  after: string,
  until: string,
): Promise<{ tenant_id: string; labels: string; flow_group_id: string }[]> {
  return reads.all(
    `SELECT r.tenant_id, r.labels, f.flow_group_id FROM flow_run r JOIN flow f ON f.id = r.flow_id
     WHERE ${isWaiting("r.")} AND r.engine = 'millrace' AND r.state_start_time > ?1 AND r.state_start_time <= ?2
     UNION
     SELECT r.tenant_id, r.labels, f.flow_group_id
     FROM task_run t CROSS JOIN flow_run r ON r.id = t.flow_run_id JOIN flow f ON f.id = r.flow_id
     WHERE ${isWaiting("t.")} AND t.state_start_time > ?1 AND t.state_start_time <= ?2
       AND r.engine = 'millrace' AND r.state = 'Running' AND r.lease_agent_id IS NULL`,
    after,
    until,
  );
}

export interface LeaseRow {
  id: string;
  tenant_id: string;
  lease_expires_at: string | null;
  /** When the lease was given or last renewed. */
  heartbeat: string | null;
}

/** Leases that nobody renewed in time. */
export function expiredLeases(reads: Reads, now: string): Promise<LeaseRow[]> {
  return reads.all(
    `SELECT id, tenant_id, lease_expires_at, heartbeat FROM flow_run
     WHERE lease_agent_id IS NOT NULL AND lease_expires_at <= ?1 ORDER BY lease_expires_at`,
    now,
  );
}

/** The runs of an agent that are to stop; the agent's id may be anybody's word. */
export async function cancellingOf(reads: Reads, tenantId: string, agentId: string): Promise<string[]> {
  const rows = await reads.all<{ id: string }>(
    "SELECT id FROM flow_run WHERE state = 'Cancelling' AND lease_agent_id = ?1 AND tenant_id = ?2",
    agentId,
    tenantId,
  );
  return rows.map((each) => each.id);
}

/**
 * When the first run of all is due, after an instant: one step in the index for each label set, and for runs that are
 * Running and held by nobody the task run that is due first.
 */
export async function earliestDue(reads: Reads, after: string): Promise<string | null> {
  // Every tenant's: named, because the index begins with it.
  const [row] = await reads.all<{ due_at: string | null }>(
    `SELECT min(due_at) AS due_at FROM (
       SELECT min(state_start_time) AS due_at FROM flow_run
         WHERE ${isWaiting()} AND tenant_id > '' AND engine = 'millrace' AND state_start_time > ?1
       UNION ALL
       SELECT * FROM (SELECT t.state_start_time FROM task_run t CROSS JOIN flow_run r ON r.id = t.flow_run_id
         WHERE ${isWaiting("t.")} AND t.state_start_time > ?1 AND r.engine = 'millrace' AND r.state = 'Running' AND r.lease_agent_id IS NULL
         ORDER BY t.state_start_time LIMIT 1) AS first_task_run) AS waiting`,
    after,
  );
  return row?.due_at ?? null;
}

/** When the first of a flow run's waiting task runs is due; null: none ever is by itself. */
export async function earliestTaskRunDue(reads: Reads, flowRunId: string): Promise<string | null> {
  const [row] = await reads.all<{ due_at: string | null }>(
    `SELECT min(state_start_time) AS due_at FROM task_run WHERE flow_run_id = ?1 AND ${isWaiting()}`,
    flowRunId,
  );
  return row?.due_at ?? null;
}

/** The runs that a claim gave to an agent and that it holds still. */
export async function runsOfClaim(
  reads: Reads,
  claim: { tenantId: string; agentId: string; claimId: string },
): Promise<string[]> {
  const rows = await reads.all<{ id: string }>(
    "SELECT id FROM flow_run WHERE claim_id = ?1 AND lease_agent_id IS NOT NULL AND lease_agent_id = ?2 AND tenant_id = ?3",
    claim.claimId,
    claim.agentId,
    claim.tenantId,
  );
  return rows.map(({ id }) => id);
}
