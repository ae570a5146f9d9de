import type { Transaction } from "../database.js";
import { listOf } from "../sql.js";
import type { FlowGroupRow } from "./flows.js";

/*
 * What is done to flow groups and to versions of flows as a whole. Each `hold…` reads a row to change it: nobody else does
 * until the transaction ends. Who needs both holds the group first, as a registration does.
 */

export async function holdFlowGroup(
  transaction: Transaction,
  tenantId: string,
  groupId: string,
): Promise<FlowGroupRow | undefined> {
  const sql = "SELECT * FROM flow_group WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE";
  const [row] = await transaction.all<FlowGroupRow>(sql, groupId, tenantId);
  return row;
}

/** The group that a version belongs to. */
export async function holdFlowGroupOf(
  transaction: Transaction,
  tenantId: string,
  flowId: string,
): Promise<FlowGroupRow | undefined> {
  const sql = `SELECT * FROM flow_group WHERE id IN (SELECT flow_group_id FROM flow WHERE id = ?1 AND tenant_id = ?2)
    FOR UPDATE`;
  const [row] = await transaction.all<FlowGroupRow>(sql, flowId, tenantId);
  return row;
}

/** By the version group id. */
export async function holdFlowGroupOfName(
  transaction: Transaction,
  tenantId: string,
  name: string,
): Promise<FlowGroupRow | undefined> {
  const sql = "SELECT * FROM flow_group WHERE tenant_id = ?1 AND name = ?2 FOR UPDATE";
  const [row] = await transaction.all<FlowGroupRow>(sql, tenantId, name);
  return row;
}

/** What a group says of its flows, apart from its settings. */
export type FlowGroupChange = Partial<
  Pick<FlowGroupRow, "description" | "labels" | "schedule" | "default_parameters" | "run_config" | "settings">
>;

export async function writeFlowGroup(
  transaction: Transaction,
  groupId: string,
  change: FlowGroupChange,
  now: string,
): Promise<void> {
  const values = { ...change, updated: now };
  await transaction.query.updateTable("flow_group").set(values).where("id", "=", groupId).execute();
}

/** A version of a flow, as what changes it sees it. */
export interface HeldFlow {
  id: string;
  project_id: string;
  flow_group_id: string;
  name: string;
  version: number;
  archived: number;
  parameters: string;
  schedule: string | null;
  is_schedule_active: number;
}

const HELD = "id, project_id, flow_group_id, name, version, archived, parameters, schedule, is_schedule_active";

export async function holdFlow(
  transaction: Transaction,
  tenantId: string,
  flowId: string,
): Promise<HeldFlow | undefined> {
  const sql = `SELECT ${HELD} FROM flow WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE`;
  const [row] = await transaction.all<HeldFlow>(sql, flowId, tenantId);
  return row;
}

/** The versions of a group that make runs by a schedule. */
export function holdScheduledFlows(transaction: Transaction, groupId: string): Promise<HeldFlow[]> {
  return transaction.all<HeldFlow>(
    `SELECT ${HELD} FROM flow WHERE flow_group_id = ?1 AND is_schedule_active = 1 AND archived = 0 ORDER BY id FOR UPDATE`,
    groupId,
  );
}

/** The schedule is looked at anew: what passed before counts no more. */
export function writeScheduleActive(
  transaction: Transaction,
  flowIds: readonly string[],
  active: boolean,
  now: string,
): Promise<number> {
  return transaction.run(
    `UPDATE flow SET is_schedule_active = ?1, scheduled_at = NULL, schedule_error = NULL, updated = ?2
     WHERE id IN (SELECT value FROM json_each(?3))`,
    active ? 1 : 0,
    now,
    listOf(flowIds),
  );
}

/**
 * Deletes the runs of these flows that a schedule made for `from` or later and that have not begun. One that was given back
 * had begun.
 */
export function deleteAutoRuns(transaction: Transaction, flowIds: readonly string[], from: string): Promise<number> {
  return transaction.run(
    `DELETE FROM flow_run WHERE flow_id IN (SELECT value FROM json_each(?1)) AND state = 'Scheduled'
     AND auto_scheduled = 1 AND start_time IS NULL AND scheduled_start_time >= ?2`,
    listOf(flowIds),
    from,
  );
}

/** Runs of these flows that an agent holds. */
export function heldRunsOf(
  transaction: Transaction,
  flowIds: readonly string[],
): Promise<{ id: string; lease_agent_id: string }[]> {
  return transaction.all(
    `SELECT id, lease_agent_id FROM flow_run WHERE lease_agent_id IS NOT NULL
     AND flow_id IN (SELECT value FROM json_each(?1)) ORDER BY id FOR UPDATE`,
    listOf(flowIds),
  );
}

export async function flowsOfGroup(transaction: Transaction, groupId: string): Promise<string[]> {
  return idsOf(await transaction.all("SELECT id FROM flow WHERE flow_group_id = ?1 ORDER BY id FOR UPDATE", groupId));
}

export async function flowsOfProject(transaction: Transaction, projectId: string): Promise<string[]> {
  return idsOf(await transaction.all("SELECT id FROM flow WHERE project_id = ?1 ORDER BY id FOR UPDATE", projectId));
}

const idsOf = (rows: readonly { id: string }[]): string[] => rows.map((row) => row.id);

export function moveFlows(transaction: Transaction, groupId: string, projectId: string, now: string): Promise<number> {
  const sql = "UPDATE flow SET project_id = ?1, updated = ?2 WHERE flow_group_id = ?3";
  return transaction.run(sql, projectId, now, groupId);
}

/** With its runs and their histories. */
export function deleteFlow(transaction: Transaction, flowId: string): Promise<number> {
  return transaction.run("DELETE FROM flow WHERE id = ?1", flowId);
}

/** With its versions. */
export function deleteFlowGroup(transaction: Transaction, groupId: string): Promise<number> {
  return transaction.run("DELETE FROM flow_group WHERE id = ?1", groupId);
}

/** With its flows, and the groups that have no flows elsewhere. */
export async function deleteProject(transaction: Transaction, projectId: string): Promise<void> {
  const groups = await transaction.all<{ flow_group_id: string }>(
    "SELECT DISTINCT flow_group_id FROM flow WHERE project_id = ?1",
    projectId,
  );
  await transaction.run("DELETE FROM project WHERE id = ?1", projectId);
  await transaction.run(
    `DELETE FROM flow_group WHERE id IN (SELECT value FROM json_each(?1))
     AND NOT EXISTS (SELECT 1 FROM flow WHERE flow.flow_group_id = flow_group.id)`,
    listOf(groups.map((each) => each.flow_group_id)),
  );
}
