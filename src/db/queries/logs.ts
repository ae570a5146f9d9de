import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import { insertSql, valuesOf } from "../sql.js";
import type { LogTable } from "../tables.js";

export type NewLogRow = Omit<Selectable<LogTable>, "id">;

const COLUMNS = [
  "tenant_id",
  "flow_run_id",
  "task_run_id",
  "timestamp",
  "name",
  "level",
  "message",
  "info",
] as const satisfies (keyof NewLogRow)[];
const INSERT = insertSql("log", COLUMNS);

export function insertLogs(transaction: Transaction, rows: readonly NewLogRow[]): Promise<void> {
  return transaction.runMany(
    INSERT,
    rows.map((row) => valuesOf(row, COLUMNS)),
  );
}
