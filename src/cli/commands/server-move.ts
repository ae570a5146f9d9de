import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { MillraceError } from "../../core/errors.js";
import type { RowCounts } from "../../db/move/export-database.js";
import type { Context } from "../command.js";
import { databasePlace } from "./server-database.js";

interface MoveOptions {
  database?: string;
}

/** Lines are gathered up to so many characters before they are written. */
const WRITE_CHARS = 256 * 1024;
/** People are told of every so many rows. */
const TOLD_ROWS = 50_000;

/** Writes all of a Cloud's database into a new file that only this user can read. */
export async function exportTo(context: Context, options: MoveOptions, file: string): Promise<void> {
  const { exportDatabase } = await import("../../db/move/export-database.js");
  const { openDatabase, shownPlace } = await import("../../db/open-database.js");
  const place = databasePlace(context, options.database);
  const database = await openDatabase(place);
  try {
    const rows = await intoNewFile(file, (take) => exportDatabase(database, take, tell(context, "exported")));
    const total = totalOf(rows);
    context.answer({ file, database: shownPlace(place), rows });
    context.say(`Exported ${total} rows of ${shownPlace(place)} to ${file}.`);
  } finally {
    await database.close();
  }
}

/** Fills an empty database with what an export holds. */
export async function importFrom(context: Context, options: MoveOptions, file: string): Promise<void> {
  const { importDatabase } = await import("../../db/move/import-database.js");
  const { openDatabase, shownPlace } = await import("../../db/open-database.js");
  const handle = await openToRead(file);
  await handle.close();
  const place = databasePlace(context, options.database);
  const database = await openDatabase(place);
  try {
    const lines = () => createInterface({ input: createReadStream(file, "utf8"), crlfDelay: Number.POSITIVE_INFINITY });
    const rows = await importDatabase(database, lines, tell(context, "imported"));
    context.answer({ file, database: shownPlace(place), rows });
    context.say(`Imported ${totalOf(rows)} rows into ${shownPlace(place)}.`);
  } finally {
    await database.close();
  }
}

/** Parameters and results may be secret: the file is this user's alone. One that is there is left as it is. */
async function intoNewFile<T>(file: string, write: (take: (line: string) => Promise<void>) => Promise<T>): Promise<T> {
  const handle = await open(file, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    const hint =
      error.code === "EEXIST" ? "Name another file, or remove this one." : "Check that this user may write there.";
    throw new MillraceError("USAGE", `The file "${file}" cannot be made: ${error.message}.`, { hint, cause: error });
  });
  try {
    let waiting: string[] = [];
    let chars = 0;
    const flush = async () => {
      await handle.writeFile(waiting.join(""));
      waiting = [];
      chars = 0;
    };
    const answer = await write(async (line) => {
      waiting.push(line, "\n");
      chars += line.length;
      if (chars >= WRITE_CHARS) await flush();
    });
    await flush();
    await handle.sync();
    await handle.close();
    return answer;
  } catch (error) {
    await handle.close().catch(() => {});
    // Half an export is none.
    await rm(file, { force: true });
    throw error;
  }
}

async function openToRead(file: string) {
  return open(file, "r").catch((error: NodeJS.ErrnoException) => {
    throw new MillraceError("FILE_NOT_FOUND", `The export "${file}" cannot be read: ${error.message}.`, {
      cause: error,
    });
  });
}

function tell(context: Context, done: string) {
  let told = 0;
  return (table: string, rows: number) => {
    if (rows < TOLD_ROWS) told = 0;
    if (rows - told < TOLD_ROWS) return;
    told = rows;
    context.note(`${table}: ${rows} rows ${done}`);
  };
}

const totalOf = (rows: RowCounts): number => Object.values(rows).reduce((sum, count) => sum + count, 0);
