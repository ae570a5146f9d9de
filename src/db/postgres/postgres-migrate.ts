import type { ClientBase } from "pg";
import { MillraceError } from "../../core/errors.js";
import { migrations } from "../migrate.js";
import { toPostgresSchema } from "./postgres-text.js";

/** Which database, for messages, and where in it our tables are. */
export interface MigrationPlace {
  readonly name: string;
  readonly schema: string;
}

/**
 * Brings the tables to a version, up or down, in one transaction. Of several servers that start at once the first does it,
 * and the others find it done.
 * @param target Default: the newest.
 * @throws DATABASE_TOO_NEW when the tables are newer than the newest migration; DATABASE_FAILED when they are another program's
 */
export async function migratePostgres(
  client: ClientBase,
  place: MigrationPlace,
  target = migrations.length,
): Promise<void> {
  const { schema } = place;
  await client.query("BEGIN");
  try {
    // Tables full of rows may take longer to change than any query of ours may.
    await client.query("SET LOCAL statement_timeout = 0");
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 2))", [`millrace migration ${schema}`]);
    const version = await readVersion(client, place);
    if (version === target) {
      await client.query("ROLLBACK");
      return;
    }
    if (version === null) {
      await client.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
      await client.query("CREATE TABLE schema_version (version BIGINT NOT NULL)");
      await client.query("INSERT INTO schema_version (version) VALUES (0)");
    }
    const from = version ?? 0;
    for (const step of migrations) {
      if (step.version > from && step.version <= target) await client.query(toPostgresSchema(step.up));
    }
    for (const step of migrations.toReversed()) {
      if (step.version <= from && step.version > target) await client.query(toPostgresSchema(step.down));
    }
    await client.query("UPDATE schema_version SET version = $1", [target]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

/** Null: there is nothing of ours, nor of anybody else's. */
async function readVersion(client: ClientBase, { name, schema }: MigrationPlace): Promise<number | null> {
  const { rows } = await client.query<{ relname: string }>(
    "SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p', 'v', 'm', 'f')",
    [schema],
  );
  if (rows.length === 0) return null;
  const found = rows.some((row) => row.relname === "schema_version")
    ? (await client.query<{ version: number }>("SELECT version FROM schema_version")).rows
    : [];
  const version = found[0]?.version;
  if (
    found.length !== 1 ||
    typeof version !== "number" ||
    !(version === 0 || rows.some((row) => row.relname === "tenant"))
  ) {
    throw new MillraceError(
      "DATABASE_FAILED",
      `The schema "${schema}" of the database "${name}" belongs to another program.`,
      {
        hint: "Give the server a schema of its own, for instance ?schema=millrace.",
      },
    );
  }
  if (version > migrations.length) {
    throw new MillraceError(
      "DATABASE_TOO_NEW",
      `The database "${name}" has version ${version}, and this Millrace knows versions up to ${migrations.length}.`,
      { hint: "Start the newer Millrace that wrote it, or give this one another database." },
    );
  }
  return version;
}
