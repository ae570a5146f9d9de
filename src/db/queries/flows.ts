import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import { insertSql, valuesOf } from "../sql.js";
import type { EdgeTable, Engine, FlowGroupTable, FlowTable, TaskTable } from "../tables.js";

export type FlowRow = Omit<Selectable<FlowTable>, "scheduled_at" | "schedule_error">;
export type FlowGroupRow = Selectable<FlowGroupTable>;
export type TaskRow = Selectable<TaskTable>;
export type EdgeRow = Selectable<EdgeTable>;

/** The flow of that name in a project that was registered last, archived ones included. */
export function newestFlowOfName(
  transaction: Transaction,
  projectId: string,
  name: string,
): Promise<{ version_group_id: string } | undefined> {
  return transaction.query
    .selectFrom("flow")
    .select("version_group_id")
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .orderBy("created", "desc")
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
}

export async function insertFlowGroup(transaction: Transaction, group: FlowGroupRow): Promise<void> {
  await transaction.query.insertInto("flow_group").values(group).execute();
}

/** Versions of a group, newest first. */
export function versionsOf(
  transaction: Transaction,
  groupId: string,
): Promise<{ id: string; version: number; archived: number }[]> {
  return transaction.query
    .selectFrom("flow")
    .select(["id", "version", "archived"])
    .where("flow_group_id", "=", groupId)
    .orderBy("version", "desc")
    .execute();
}

export async function insertFlow(transaction: Transaction, flow: FlowRow): Promise<void> {
  await transaction.query.insertInto("flow").values(flow).execute();
}

export async function archiveFlow(transaction: Transaction, flowId: string, now: string): Promise<void> {
  await transaction.query.updateTable("flow").set({ archived: 1, updated: now }).where("id", "=", flowId).execute();
}

const TASK_COLUMNS = [
  "id",
  "created",
  "updated",
  "tenant_id",
  "flow_id",
  "name",
  "slug",
  "description",
  "type",
  "max_retries",
  "retry_delay",
  "trigger",
  "tags",
  "mapped",
  "auto_generated",
  "cache_key",
  "is_root_task",
  "is_terminal_task",
  "is_reference_task",
] as const satisfies (keyof TaskRow)[];
const INSERT_TASK = `${insertSql("task", TASK_COLUMNS)} ON CONFLICT (flow_id, slug) DO NOTHING`;

/** A task whose slug the flow has already is left as it is. */
export function insertTasks(transaction: Transaction, rows: readonly TaskRow[]): Promise<void> {
  return transaction.runMany(
    INSERT_TASK,
    rows.map((row) => valuesOf(row, TASK_COLUMNS)),
  );
}

const EDGE_COLUMNS = [
  "id",
  "created",
  "updated",
  "tenant_id",
  "flow_id",
  "upstream_task_id",
  "downstream_task_id",
  "key",
  "mapped",
] as const satisfies (keyof EdgeRow)[];
const INSERT_EDGE = `${insertSql("edge", EDGE_COLUMNS)} ON CONFLICT DO NOTHING`;

/** An edge that is there already is left as it is. */
export function insertEdges(transaction: Transaction, rows: readonly EdgeRow[]): Promise<void> {
  return transaction.runMany(
    INSERT_EDGE,
    rows.map((row) => valuesOf(row, EDGE_COLUMNS)),
  );
}

/** What a new run takes from its flow and the flow's group. */
export interface FlowToRun {
  id: string;
  flow_group_id: string;
  engine: Engine;
  name: string;
  archived: number;
  parameters: string;
  run_config: string | null;
  environment: string | null;
  group_labels: string | null;
  group_run_config: string | null;
  group_default_parameters: string;
}

const FLOW_TO_RUN = `SELECT f.id, f.flow_group_id, f.engine, f.name, f.archived, f.parameters, f.run_config, f.environment, g.labels AS group_labels,
  g.run_config AS group_run_config, g.default_parameters AS group_default_parameters
  FROM flow f JOIN flow_group g ON g.id = f.flow_group_id WHERE f.tenant_id = ?1`;

const FLOW_TO_RUN_BY_ID = `${FLOW_TO_RUN} AND f.id = ?2`;

export async function flowToRun(reads: Reads, tenantId: string, flowId: string): Promise<FlowToRun | undefined> {
  const [row] = await reads.all<FlowToRun>(FLOW_TO_RUN_BY_ID, tenantId, flowId);
  return row;
}

const FLOW_TO_RUN_HELD = `${FLOW_TO_RUN_BY_ID} FOR SHARE OF f`;

/** As {@link flowToRun}; until the transaction ends nobody archives or deletes it, and others may hold it too. */
export async function holdFlowToRun(
  transaction: Transaction,
  tenantId: string,
  flowId: string,
): Promise<FlowToRun | undefined> {
  const [row] = await transaction.all<FlowToRun>(FLOW_TO_RUN_HELD, tenantId, flowId);
  return row;
}

/** The newest version of a group that is not archived. */
export async function currentFlowToRun(
  reads: Reads,
  tenantId: string,
  versionGroupId: string,
): Promise<FlowToRun | undefined> {
  const [row] = await reads.all<FlowToRun>(
    `${FLOW_TO_RUN} AND g.name = ?2 AND f.archived = 0 ORDER BY f.version DESC LIMIT 1`,
    tenantId,
    versionGroupId,
  );
  return row;
}

export function tasksOf(
  reads: Reads,
  flowId: string,
): Promise<{ id: string; slug: string; cache_key: string | null }[]> {
  return reads.all("SELECT id, slug, cache_key FROM task WHERE flow_id = ?1 ORDER BY id", flowId);
}

/** A task by its id, when it is one of this flow. */
export async function taskOfFlow(
  reads: Reads,
  flowId: string,
  taskId: string,
): Promise<{ id: string; cache_key: string | null } | undefined> {
  const [row] = await reads.all<{ id: string; cache_key: string | null }>(
    "SELECT id, cache_key FROM task WHERE id = ?1 AND flow_id = ?2",
    taskId,
    flowId,
  );
  return row;
}

export async function findTask(
  reads: Reads,
  flowId: string,
  slug: string,
): Promise<{ id: string; cache_key: string | null } | undefined> {
  const [row] = await reads.all<{ id: string; cache_key: string | null }>(
    "SELECT id, cache_key FROM task WHERE flow_id = ?1 AND slug = ?2",
    flowId,
    slug,
  );
  return row;
}

export async function flowGroupIdOf(reads: Reads, flowId: string): Promise<string | undefined> {
  const [row] = await reads.all<{ flow_group_id: string }>("SELECT flow_group_id FROM flow WHERE id = ?1", flowId);
  return row?.flow_group_id;
}
