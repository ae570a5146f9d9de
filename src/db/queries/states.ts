import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import { insertSql, valuesOf } from "../sql.js";
import type { FlowRunStateTable, TaskRunStateTable } from "../tables.js";

export type FlowRunStateRow = Selectable<FlowRunStateTable>;
export type TaskRunStateRow = Selectable<TaskRunStateTable>;

const COLUMNS = [
  "tenant_id",
  "version",
  "timestamp",
  "state",
  "message",
  "result",
  "start_time",
  "serialized_state",
] as const;
const FLOW_RUN_COLUMNS = ["flow_run_id", ...COLUMNS] as const;
const TASK_RUN_COLUMNS = ["task_run_id", ...COLUMNS] as const;
const INSERT_FLOW_RUN_STATE = insertSql("flow_run_state", FLOW_RUN_COLUMNS);
const INSERT_TASK_RUN_STATE = insertSql("task_run_state", TASK_RUN_COLUMNS);

/*
 * History is only ever added to. These two are called by server/apply-state and by nothing else.
 */

export function insertFlowRunStates(transaction: Transaction, rows: readonly FlowRunStateRow[]): Promise<void> {
  return transaction.runMany(
    INSERT_FLOW_RUN_STATE,
    rows.map((row) => valuesOf(row, FLOW_RUN_COLUMNS)),
  );
}

export function insertTaskRunStates(transaction: Transaction, rows: readonly TaskRunStateRow[]): Promise<void> {
  return transaction.runMany(
    INSERT_TASK_RUN_STATE,
    rows.map((row) => valuesOf(row, TASK_RUN_COLUMNS)),
  );
}
