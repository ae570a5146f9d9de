import { createHash } from "node:crypto";
import type { ClientBase } from "pg";
import { migrations } from "../../src/db/migrate.js";
import { openDatabase } from "../../src/db/open-database.js";
import { loadPg } from "../../src/db/postgres/load-pg.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** The URL of a Postgres server where databases may be made: then tests whose database may be of any kind use it. */
export const postgresUrl: string | undefined = process.env.MILLRACE_TEST_POSTGRES || undefined;

/** For `t.test`: skips what needs a Postgres server where there is none. */
export const needsPostgres = {
  skip: postgresUrl === undefined && "MILLRACE_TEST_POSTGRES is not set: see scripts/with-postgres.mjs",
};

/** For `t.test`: skips what is about SQLite's files where tests run on Postgres. */
export const needsSqlite = {
  skip: postgresUrl !== undefined && "it is about a SQLite file, and tests run on Postgres",
};

const given = new Map<string, Promise<string>>();

/**
 * Where the database is that a test keeps at `path`: there, in a SQLite file; or, where tests run on Postgres, in a database
 * of its own, the same for the same path, which is dropped when the test ends.
 */
export function databaseAt(t: Teardown, path: string): Promise<string> {
  if (postgresUrl === undefined || path.startsWith("postgres:")) return Promise.resolve(path);
  const place = given.get(path) ?? makeDatabase(t, path);
  given.set(path, place);
  t.teardown(() => void given.delete(path));
  return place;
}

/** An empty Postgres database with our tables, dropped when the test ends. */
export async function makeDatabase(t: Teardown, key: string): Promise<string> {
  const name = `millrace_test_${hashOf(key + process.pid)}`;
  const template = await makeTemplate();
  t.teardown(() =>
    withAdmin(async (admin) => void (await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  );
  await withAdmin((admin) => admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  return urlOf(name);
}

/** An empty Postgres database without any tables, dropped when the test ends. */
export async function makeBareDatabase(t: Teardown, key: string): Promise<string> {
  const name = `millrace_test_${hashOf(`bare ${key}${process.pid}`)}`;
  t.teardown(() =>
    withAdmin(async (admin) => void (await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  );
  await withAdmin((admin) => admin.query(`CREATE DATABASE ${name}`));
  return urlOf(name);
}

/** Made once a server: copying it takes a third of what the migrations take. */
async function makeTemplate(): Promise<string> {
  const name = `millrace_template_${hashOf(JSON.stringify(migrations))}`;
  await withAdmin(async (admin) => {
    await admin.query("SELECT pg_advisory_lock(4711)");
    const { rowCount } = await admin.query("SELECT 1 FROM pg_database WHERE datname = $1", [name]);
    if (rowCount !== 0) return;
    await admin.query(`DROP DATABASE IF EXISTS ${name}_new WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${name}_new`);
    await (await openDatabase(urlOf(`${name}_new`))).close();
    await admin.query(`ALTER DATABASE ${name}_new RENAME TO ${name}`);
  });
  return name;
}

/** Runs `work` with a connection to the server's first database. */
export async function withAdmin<T>(work: (admin: ClientBase) => Promise<T>): Promise<T> {
  const { Client } = await loadPg();
  const client = new Client({ connectionString: postgresUrl! });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function urlOf(database: string): string {
  const url = new URL(postgresUrl!);
  url.pathname = `/${database}`;
  return url.href;
}

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 20);
