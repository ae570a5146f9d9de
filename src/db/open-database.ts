import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MillraceError } from "../core/errors.js";
import type { Database } from "./database.js";
import { migrate } from "./migrate.js";
import { openPostgres } from "./postgres/open-postgres.js";
import { isPostgresUrl, withoutPassword } from "./postgres/postgres-address.js";
import { SqliteConnection } from "./sqlite/sqlite-connection.js";
import { SqliteDatabase } from "./sqlite/sqlite-database.js";

/** How a database is opened. */
export interface DatabaseOptions {
  /**
   * `NORMAL` (the default): a commit survives any crash of the process. `FULL`: it survives a power cut too, for one disk
   * flush a commit.
   */
  readonly synchronous?: "NORMAL" | "FULL";
  /** How long a write waits for another process that holds the file, in milliseconds. Default 5,000. */
  readonly busyTimeoutMs?: number;
  /** Postgres: how many connections at most, beside the one for messages between servers. Default 10. */
  readonly poolSize?: number;
  /** Postgres: make and change no tables, and let statements take as long as they take. For who only looks. Default false. */
  readonly asItIs?: boolean;
}

/**
 * Opens the Cloud's database and brings its tables up to date.
 * @param place The path of a SQLite file, a `file:` URL, or `postgres://user:password@host/database`.
 * @throws DATABASE_FAILED, DATABASE_TOO_NEW, DATABASE_PACKAGE_MISSING
 */
export async function openDatabase(place: string, options: DatabaseOptions = {}): Promise<Database> {
  return isPostgresUrl(place) ? openPostgres(place, options) : openSqlite(place, options);
}

/** A database's place as it may be shown: without the password. */
export const shownPlace = withoutPassword;

/**
 * Opens a SQLite file; makes it and its folder, both for this user alone, where there are none.
 * @throws DATABASE_FAILED, DATABASE_TOO_NEW
 */
export function openSqlite(place: string, options: DatabaseOptions = {}): Database {
  const path = sqlitePath(place);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new MillraceError(
      "DATABASE_FAILED",
      `The folder of the database "${path}" cannot be made: ${(error as Error).message}.`,
      {
        hint: "Check that this user may write there, or give the server another file.",
        cause: error,
      },
    );
  }
  makePrivateFile(path);
  const writer = new SqliteConnection(path, options);
  try {
    migrate(writer);
    return new SqliteDatabase(writer, () => new SqliteConnection(path, { ...options, queryOnly: true }));
  } catch (error) {
    writer.close();
    throw error;
  }
}

/** Parameters and results may be secret: what SQLite makes beside the file has the file's own mode. One that is there keeps its mode. */
function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, "ax", 0o600));
  } catch {
    // It is there, or cannot be made: SQLite finds out which, and says so.
  }
}

/** @throws DATABASE_FAILED when it cannot be the path of a file */
export function sqlitePath(place: string): string {
  if (place.startsWith("file:")) return fileURLToPath(place);
  if (place === "" || place === ":memory:" || /^[a-z][a-z0-9+.-]+:\/\//i.test(place)) {
    throw new MillraceError("DATABASE_FAILED", `"${place}" is not the path of a database file.`, {
      hint: "Give a path, for instance ./millrace.db, or a URL that begins with postgres://.",
    });
  }
  return resolve(place);
}
