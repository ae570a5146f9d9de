import { statSync } from "node:fs";
import { MillraceError } from "../../core/errors.js";
import type { Database } from "../database.js";
import { sqlitePath } from "../open-database.js";
import { openPostgres } from "../postgres/open-postgres.js";
import { isPostgresUrl } from "../postgres/postgres-address.js";
import { SqliteConnection } from "../sqlite/sqlite-connection.js";
import { SqliteSnapshots } from "../sqlite/sqlite-snapshots.js";

/** A database that is only looked at. */
export type LookedAt = Pick<Database, "kind" | "snapshot" | "close">;

/**
 * Opens a database as it is: nothing is made, and its tables are not brought up to date.
 * @throws DATABASE_FAILED, DATABASE_TOO_NEW, DATABASE_PACKAGE_MISSING
 */
export async function openToVerify(place: string): Promise<LookedAt> {
  if (isPostgresUrl(place)) return openPostgres(place, { asItIs: true });
  const path = sqlitePath(place);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new MillraceError("DATABASE_FAILED", `There is no database file "${path}".`, {
      hint: "Name the server's database with `--database`.",
    });
  }
  const snapshots = new SqliteSnapshots(() => new SqliteConnection(path, { queryOnly: true }));
  return { kind: "sqlite", snapshot: (work) => snapshots.read(work), close: () => snapshots.close() };
}
