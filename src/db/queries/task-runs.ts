import type { Selectable } from "kysely";
import { isTerminal, stateTypes } from "../../core/state.js";
import type { Reads, Transaction } from "../database.js";
import { insertSql, listOf, updateSql, valuesOf } from "../sql.js";
import type { TaskRunTable } from "../tables.js";
import { STATE_COLUMNS } from "./state-columns.js";

export type TaskRunRow = Selectable<TaskRunTable>;

const FIXED = [
  "id",
  "created",
  "tenant_id",
  "flow_run_id",
  "task_id",
  "map_index",
  "name",
  "cache_key",
] as const satisfies (keyof TaskRunRow)[];
const ALL = [...FIXED, ...STATE_COLUMNS];
/** What a report may change. */
const CHANGING = [...STATE_COLUMNS, "name"] as const;
const INSERT = insertSql("task_run", ALL);
const UPDATE = updateSql("task_run", CHANGING, "id");

/** Up to so many, rows are looked up one by one: a list costs as much as two look-ups before it finds any. */
const MAX_SINGLE_LOOK_UPS = 4;

/** The task runs of these ids that there are, in any order. */
export async function loadTaskRuns(reads: Reads, tenantId: string, ids: readonly string[]): Promise<TaskRunRow[]> {
  if (ids.length <= MAX_SINGLE_LOOK_UPS) {
    const found: TaskRunRow[] = [];
    for (const id of ids) {
      found.push(
        ...(await reads.all<TaskRunRow>("SELECT * FROM task_run WHERE id = ?1 AND tenant_id = ?2", id, tenantId)),
      );
    }
    return found;
  }
  return reads.all(
    "SELECT * FROM task_run WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?2))",
    tenantId,
    listOf(ids),
  );
}

/** The flow runs that these task runs belong to. A task run never changes its flow run. */
export async function flowRunIdsOf(reads: Reads, tenantId: string, ids: readonly string[]): Promise<string[]> {
  const rows = await reads.all<{ flow_run_id: string }>(
    "SELECT DISTINCT flow_run_id FROM task_run WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?2))",
    tenantId,
    listOf(ids),
  );
  return rows.map((row) => row.flow_run_id);
}

/** The task runs of one mapped task at these places. */
export function loadMappedTaskRuns(
  reads: Reads,
  flowRunId: string,
  taskId: string,
  mapIndexes: readonly number[],
): Promise<TaskRunRow[]> {
  return reads.all(
    "SELECT * FROM task_run WHERE flow_run_id = ?1 AND task_id = ?2 AND map_index IN (SELECT value FROM json_each(?3))",
    flowRunId,
    taskId,
    listOf(mapIndexes),
  );
}

/** The task run at one place of a flow run; -1 is the task itself. */
export async function taskRunAt(
  reads: Reads,
  tenantId: string,
  place: { flowRunId: string; taskId: string; mapIndex: number },
): Promise<TaskRunRow | undefined> {
  const [row] = await reads.all<TaskRunRow>(
    "SELECT * FROM task_run WHERE flow_run_id = ?1 AND task_id = ?2 AND map_index = ?3 AND tenant_id = ?4",
    place.flowRunId,
    place.taskId,
    place.mapIndex,
    tenantId,
  );
  return row;
}

export function touchTaskRun(
  transaction: Transaction,
  tenantId: string,
  taskRunId: string,
  now: string,
): Promise<number> {
  return transaction.run(
    "UPDATE task_run SET heartbeat = ?1, updated = ?1 WHERE id = ?2 AND tenant_id = ?3",
    now,
    taskRunId,
    tenantId,
  );
}

const TERMINAL = stateTypes.filter((type) => isTerminal({ type })).map((type) => `'${type}'`);
const SELECT_OPEN = `SELECT * FROM task_run WHERE flow_run_id = ?1 AND (state IS NULL OR state NOT IN (${TERMINAL.join(", ")}))`;

/** The task runs of a flow run that have not ended. */
export function openTaskRunsOf(reads: Reads, flowRunId: string): Promise<TaskRunRow[]> {
  return reads.all(SELECT_OPEN, flowRunId);
}

export interface ClaimedTaskRunRow {
  id: string;
  flow_run_id: string;
  task_slug: string;
  map_index: number;
  version: number;
  serialized_state: string | null;
}

/** What an agent has to know of a run's task runs. */
export function claimedTaskRuns(reads: Reads, flowRunIds: readonly string[]): Promise<ClaimedTaskRunRow[]> {
  return reads.all(
    `SELECT r.id, r.flow_run_id, t.slug AS task_slug, r.map_index, r.version, r.serialized_state
     FROM task_run r JOIN task t ON t.id = r.task_id WHERE r.flow_run_id IN (SELECT value FROM json_each(?1))
     ORDER BY r.flow_run_id, r.task_id, r.map_index`,
    listOf(flowRunIds),
  );
}

export function insertTaskRuns(transaction: Transaction, rows: readonly TaskRunRow[]): Promise<void> {
  return transaction.runMany(
    INSERT,
    rows.map((row) => valuesOf(row, ALL)),
  );
}

/** Writes what may change of each row. */
export function writeTaskRuns(transaction: Transaction, rows: readonly TaskRunRow[]): Promise<void> {
  return transaction.runMany(
    UPDATE,
    rows.map((row) => [...valuesOf(row, CHANGING), row.id]),
  );
}
