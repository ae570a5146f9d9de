import { MillraceError } from "../core/errors.js";
import { firstTables } from "./migrations/001-first-tables.js";
import { streamsByTenant } from "./migrations/002-streams-by-tenant.js";
import { cachedResults } from "./migrations/003-cached-results.js";
import { waitingAsOrs } from "./migrations/004-waiting-as-ors.js";
import { limits } from "./migrations/005-limits.js";
import { settings } from "./migrations/006-settings.js";
import { services } from "./migrations/007-services.js";
import { engines } from "./migrations/008-engines.js";
import { lists } from "./migrations/009-lists.js";
import { manyRuns } from "./migrations/010-many-runs.js";
import type { SqliteConnection } from "./sqlite/sqlite-connection.js";

/** One step of the database's shape, and the way back. A step that was released is never changed: add another. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

/** In order; the versions count from 1 without a gap. */
export const migrations: readonly Migration[] = [
  firstTables,
  streamsByTenant,
  cachedResults,
  waitingAsOrs,
  limits,
  settings,
  services,
  engines,
  lists,
  manyRuns,
];

/** "MILL": how a file says that it is one of ours (https://www.sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x4d494c4c;

/**
 * Brings the file to a version, up or down, in one transaction.
 * @param target Default: the newest.
 * @throws DATABASE_TOO_NEW when the file is newer than the newest migration; DATABASE_FAILED when it is another program's
 */
export function migrate(connection: SqliteConnection, target = migrations.length): void {
  // Nothing of a file that is not ours is changed, its journal mode included.
  readVersion(connection);
  connection.exec("PRAGMA journal_mode = WAL");
  connection.exec("BEGIN IMMEDIATE");
  try {
    const version = readVersion(connection);
    for (const step of migrations) if (step.version > version && step.version <= target) connection.exec(step.up);
    for (const step of migrations.toReversed()) {
      if (step.version <= version && step.version > target) connection.exec(step.down);
    }
    connection.exec(`PRAGMA user_version = ${target}`);
    connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    connection.exec("COMMIT");
  } catch (error) {
    connection.rollback();
    throw error;
  }
}

function readVersion(connection: SqliteConnection): number {
  const version = readPragma(connection, "user_version");
  const application = readPragma(connection, "application_id");
  const [{ tables } = { tables: 0 }] = connection.all<{ tables: number }>(
    "SELECT count(*) AS tables FROM sqlite_schema",
    [],
  );
  if (tables > 0 && application !== APPLICATION_ID) {
    throw new MillraceError("DATABASE_FAILED", `The database "${connection.path}" belongs to another program.`, {
      hint: "Give the server a file of its own.",
    });
  }
  if (version > migrations.length) {
    throw new MillraceError(
      "DATABASE_TOO_NEW",
      `The database "${connection.path}" has version ${version}, and this Millrace knows versions up to ${migrations.length}.`,
      { hint: "Start the newer Millrace that wrote it, or give this one another file." },
    );
  }
  return version;
}

function readPragma(connection: SqliteConnection, name: "user_version" | "application_id"): number {
  const [row] = connection.all<Record<string, number>>(`PRAGMA ${name}`, []);
  return row?.[name] ?? 0;
}
