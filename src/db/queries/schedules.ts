import type { Reads, Transaction } from "../database.js";
import { listOf } from "../sql.js";
import { type FlowToRun, flowToRun } from "./flows.js";

/** A flow that is run on a schedule, and when it or its group was last changed. */
export interface ScheduledFlowRow {
  id: string;
  tenant_id: string;
  updated: string;
  group_updated: string;
}

/** Flows with an active schedule, by their ids, after one of them. */
export function scheduledFlows(reads: Reads, afterId: string, limit: number): Promise<ScheduledFlowRow[]> {
  return reads.all(
    `SELECT f.id, f.tenant_id, f.updated, g.updated AS group_updated FROM flow f JOIN flow_group g ON g.id = f.flow_group_id
     WHERE f.is_schedule_active = 1 AND f.archived = 0 AND f.id > ?1 ORDER BY f.id LIMIT ?2 + 0`,
    afterId,
    limit,
  );
}

/** What the scheduler has to know of a flow. */
export interface FlowToSchedule extends FlowToRun {
  is_schedule_active: number;
  schedule: string | null;
  group_schedule: string | null;
  scheduled_at: string | null;
  schedule_error: string | null;
}

type ScheduleFacts = Omit<FlowToSchedule, keyof FlowToRun>;

const SCHEDULE_FACTS = `SELECT f.is_schedule_active, f.schedule, g.schedule AS group_schedule, f.scheduled_at, f.schedule_error
  FROM flow f JOIN flow_group g ON g.id = f.flow_group_id WHERE f.tenant_id = ?1 AND f.id = ?2`;

export async function flowToSchedule(
  reads: Reads,
  tenantId: string,
  flowId: string,
): Promise<FlowToSchedule | undefined> {
  const [facts] = await reads.all<ScheduleFacts>(SCHEDULE_FACTS, tenantId, flowId);
  const flow = facts && (await flowToRun(reads, tenantId, flowId));
  return flow && { ...flow, ...facts };
}

/** As {@link flowToSchedule}; until the transaction ends nobody else archives the flow, or makes its schedule inactive. */
export async function lockFlowToSchedule(
  transaction: Transaction,
  tenantId: string,
  flowId: string,
): Promise<FlowToSchedule | undefined> {
  await transaction.all("SELECT id FROM flow WHERE id = ?1 FOR UPDATE", flowId);
  return flowToSchedule(transaction, tenantId, flowId);
}

/** Which of these keys have a run. */
export async function knownRunKeys(reads: Reads, flowId: string, keys: readonly string[]): Promise<Set<string>> {
  const rows = await reads.all<{ idempotency_key: string }>(
    "SELECT idempotency_key FROM flow_run WHERE flow_id = ?1 AND idempotency_key IN (SELECT value FROM json_each(?2))",
    flowId,
    listOf(keys),
  );
  return new Set(rows.map((row) => row.idempotency_key));
}

/** Runs that a schedule made, that were due within a span, and that nobody has touched. */
export function untouchedAutoRuns(
  reads: Reads,
  flowId: string,
  span: { after: string; until: string },
): Promise<{ id: string; idempotency_key: string; scheduled_start_time: string }[]> {
  return reads.all(
    `SELECT id, idempotency_key, scheduled_start_time FROM flow_run
     WHERE flow_id = ?1 AND idempotency_key >= ?2 AND idempotency_key < 'auto-scheduled;' AND auto_scheduled = 1
       AND state = 'Scheduled' AND version = 1 AND scheduled_start_time > ?3 AND scheduled_start_time <= ?4
     ORDER BY scheduled_start_time`,
    flowId,
    `auto-scheduled:${span.after.slice(0, "2026-11-23T10:00:00".length)}`,
    span.after,
    span.until,
  );
}

export function writeScheduledAt(
  transaction: Transaction,
  flowId: string,
  { at, error }: { at: string; error: string | null },
): Promise<number> {
  return transaction.run("UPDATE flow SET scheduled_at = ?1, schedule_error = ?2 WHERE id = ?3", at, error, flowId);
}
