import { type Kysely, sql } from "kysely";
import type { Database } from "../database.js";
import { migrations } from "../migrate.js";
import type { Tables } from "../tables.js";
import { type TableName, tableKeys, tableNames } from "./table-keys.js";

/** Rows that are read at once: some megabytes, when states carry results. */
const BATCH_ROWS = 1_000;

/** How an export begins, and how it ends; what begins and does not end was cut off. */
export const EXPORT_FORMAT = "millrace-export";
export interface ExportHead {
  readonly format: typeof EXPORT_FORMAT;
  /** Of the tables: the number of the newest migration. */
  readonly version: number;
}
export interface ExportTable {
  readonly table: TableName;
  readonly columns: readonly string[];
}
export type RowCounts = Readonly<Record<string, number>>;
export interface ExportEnd {
  readonly end: true;
  readonly rows: RowCounts;
}

/** What was done so far: rows of a table. */
export type Progress = (table: TableName, rows: number) => void;

/** Takes one line; what comes next waits for it. */
export type TakeLine = (line: string) => Promise<void>;

/**
 * Everything in a database as lines of JSON, as of one moment: a head, then for each table its columns and a list of values
 * a row, then how many rows there were.
 * @throws DATABASE_FAILED
 */
export function exportDatabase(database: Database, take: TakeLine, progress: Progress = () => {}): Promise<RowCounts> {
  return database.snapshot((reads) => readAll(reads, take, progress));
}

async function readAll(reads: Kysely<Tables>, take: TakeLine, progress: Progress): Promise<RowCounts> {
  const rows: Record<string, number> = {};
  const head: ExportHead = { format: EXPORT_FORMAT, version: migrations.length };
  await take(JSON.stringify(head));
  for (const table of tableNames) {
    rows[table] = await readTable(reads, table, take, progress);
  }
  const end: ExportEnd = { end: true, rows };
  await take(JSON.stringify(end));
  return rows;
}

async function readTable(reads: Kysely<Tables>, table: TableName, take: TakeLine, progress: Progress): Promise<number> {
  const keys: readonly string[] = tableKeys[table];
  const order = sql.join(keys.map((key) => sql.ref(key)));
  let count = 0;
  let last: Record<string, unknown> | undefined;
  for (;;) {
    const after = last === undefined ? sql`` : sql` where (${order}) > (${sql.join(keys.map((key) => last![key]))})`;
    const query = sql<
      Record<string, unknown>
    >`select * from ${sql.table(table)}${after} order by ${order} limit ${sql.lit(BATCH_ROWS)}`;
    const { rows } = await query.execute(reads);
    if (last === undefined && rows[0])
      await take(JSON.stringify({ table, columns: Object.keys(rows[0]) } as ExportTable));
    for (const row of rows) await take(JSON.stringify(Object.values(row)));
    count += rows.length;
    progress(table, count);
    if (rows.length < BATCH_ROWS) return count;
    last = rows.at(-1)!;
  }
}
