import { MillraceError } from "../../core/errors.js";
import type { Database, SqlValue, Transaction } from "../database.js";
import { migrations } from "../migrate.js";
import { insertSql } from "../sql.js";
import {
  EXPORT_FORMAT,
  type ExportEnd,
  type ExportHead,
  type ExportTable,
  type Progress,
  type RowCounts,
} from "./export-database.js";
import { type TableName, tableKeys, tableNames } from "./table-keys.js";

/** Rows that are written at once. */
const BATCH_ROWS = 500;

/** The rows of a table that have been read and not written. */
interface Open {
  readonly table: TableName;
  readonly columns: readonly string[];
  readonly sql: string;
  rows: SqlValue[][];
}

/**
 * Fills an empty database with what `exportDatabase` wrote, all of it or nothing, and counts it.
 * @param lines Begins to read from the start each time it is called.
 * @throws IMPORT_REFUSED for a database that is not empty, and for lines that are no whole export of this version
 */
export async function importDatabase(
  database: Database,
  lines: () => AsyncIterable<string>,
  progress: Progress = () => {},
): Promise<RowCounts> {
  return database.write(async (transaction) => {
    const found = await countRows(transaction);
    const full = tableNames.filter((table) => found[table] !== 0);
    if (full.length > 0) {
      throw refused(
        `The database is not empty: it has rows in ${full.join(", ")}.`,
        "Give a new one, which no server has been started on.",
      );
    }
    const end = await readLines(transaction, lines(), progress);
    await checkCounts(await countRows(transaction), end.rows);
    await countOn(transaction, database.kind);
    return end.rows;
  });
}

async function readLines(
  transaction: Transaction,
  lines: AsyncIterable<string>,
  progress: Progress,
): Promise<ExportEnd> {
  let place = 0;
  let open: Open | undefined;
  let written = 0;
  const flush = async () => {
    if (open === undefined || open.rows.length === 0) return;
    await transaction.runMany(open.sql, open.rows);
    written += open.rows.length;
    progress(open.table, written);
    open.rows = [];
  };
  for await (const line of lines) {
    place += 1;
    const value = parse(line, place);
    if (place === 1) {
      checkHead(value);
    } else if (Array.isArray(value)) {
      if (open === undefined || value.length !== open.columns.length) throw notWhole(place);
      open.rows.push(value as SqlValue[]);
      if (open.rows.length >= BATCH_ROWS) await flush();
    } else {
      await flush();
      written = 0;
      if ((value as { end?: unknown }).end === true) return value as unknown as ExportEnd;
      open = openTable(value, place);
    }
  }
  throw notWhole(place);
}

function openTable(value: unknown, place: number): Open {
  const { table, columns } = value as Partial<ExportTable>;
  // Names become a part of SQL: only what can be a column's is taken.
  const isColumns =
    Array.isArray(columns) && columns.every((column) => typeof column === "string" && /^[a-z_]+$/.test(column));
  if (table === undefined || !Object.hasOwn(tableKeys, table) || !isColumns) throw notWhole(place);
  return { table, columns, sql: insertSql(table, columns), rows: [] };
}

function parse(line: string, place: number): unknown {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Said below, with the line's number.
  }
  throw notWhole(place);
}

function checkHead(value: unknown): void {
  const { format, version } = value as Partial<ExportHead>;
  if (format !== EXPORT_FORMAT)
    throw refused("That is no export of a Cloud's database.", "Make one with `millrace server export`.");
  if (version === migrations.length) return;
  throw refused(
    `The export is of a database of version ${version}, and this Millrace's are of version ${migrations.length}.`,
    "Import it with the Millrace that exported it, and start the newer one on the database then.",
  );
}

async function countRows(transaction: Transaction): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of tableNames) {
    const [row] = await transaction.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
    counts[table] = row?.n ?? 0;
  }
  return counts;
}

async function checkCounts(found: RowCounts, promised: RowCounts): Promise<void> {
  const wrong = tableNames.filter((table) => found[table] !== (promised[table] ?? 0));
  if (wrong.length === 0) return;
  const rows = wrong.map((table) => `${table} has ${found[table]} of ${promised[table] ?? 0}`).join(", ");
  throw refused(`Rows are missing: ${rows}. Nothing was kept.`, "Make the export again.");
}

/** Lines of the log are counted by the database, which has to go on behind those that were brought. */
async function countOn(transaction: Transaction, kind: Database["kind"]): Promise<void> {
  if (kind === "sqlite") return;
  await transaction.all(
    "SELECT setval(pg_get_serial_sequence('log', 'id'), coalesce(max(id), 0) + 1, false) AS next FROM log",
  );
}

function notWhole(line: number): MillraceError {
  return refused(
    `The export is not whole: line ${line} is not what is to be there. Nothing was kept.`,
    "Make the export again.",
  );
}

function refused(message: string, hint: string): MillraceError {
  return new MillraceError("IMPORT_REFUSED", message, { hint });
}
