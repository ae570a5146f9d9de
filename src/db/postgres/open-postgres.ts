import type { ClientBase, ClientConfig } from "pg";
import type { DatabaseOptions } from "../open-database.js";
import { loadPg, type PgModule } from "./load-pg.js";
import { type PostgresAddress, readAddress } from "./postgres-address.js";
import { PostgresDatabase } from "./postgres-database.js";
import { toPostgresError } from "./postgres-errors.js";
import { PostgresLine } from "./postgres-line.js";
import { migratePostgres } from "./postgres-migrate.js";
import { valueTypes } from "./postgres-values.js";

/** For a connection to be made, and for a read or a transaction to get one. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Postgres ends a statement after so long, and a transaction that says nothing: no query of ours takes a tenth of it. */
const STATEMENT_TIMEOUT_MS = 60_000;
/** Longer, so that Postgres' own word comes first: for when nothing comes at all, because the network is cut. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 15_000;

/** Of the connections; transactions have the others. */
const SHARE_OF_READERS = 0.4;

/**
 * Connects to a Postgres database and brings our tables in it up to date.
 * @throws DATABASE_FAILED, DATABASE_TOO_NEW, DATABASE_PACKAGE_MISSING
 */
export async function openPostgres(url: string, options: DatabaseOptions = {}): Promise<PostgresDatabase> {
  const address = readAddress(url, options.poolSize);
  const pg = await loadPg();
  const config = options.asItIs ? patient(configOf(address)) : configOf(address);
  if (!options.asItIs) await prepare(pg, config, address);
  const makePool = (max: number) => {
    const pool = new pg.Pool({ ...config, max, onConnect: (client) => useSchema(client, address) });
    // A connection that breaks while nobody uses it: the pool makes another when one is needed.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  };
  const readers = Math.max(1, Math.floor(address.poolSize * SHARE_OF_READERS));
  const pools = { readers: makePool(readers), writers: makePool(address.poolSize - readers) };
  const line = new PostgresLine({ connect: () => new pg.Client(config), ...address });
  const database = new PostgresDatabase(pools, line, address);
  try {
    await line.open();
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

function configOf({ connectionString }: PostgresAddress): ClientConfig {
  return {
    connectionString,
    application_name: "millrace",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    keepAlive: true,
    pipeline: true,
    types: valueTypes,
  };
}

function patient({ query_timeout: _, ...config }: ClientConfig): ClientConfig {
  return { ...config, statement_timeout: 0 };
}

async function useSchema(client: ClientBase, { schema }: PostgresAddress): Promise<void> {
  await client.query(`SET search_path = "${schema}"`);
}

/** Over a connection of its own, so that the pool's first one finds everything there. */
async function prepare(pg: PgModule, config: ClientConfig, address: PostgresAddress): Promise<void> {
  // Migrations take as long as they take.
  const client = makeClient(pg, patient(config), address);
  client.on("error", () => {});
  try {
    await client.connect();
    await useSchema(client, address);
    await migratePostgres(client, address);
  } catch (error) {
    throw toPostgresError(error, address.name);
  } finally {
    await client.end();
  }
}

function makeClient(pg: PgModule, config: ClientConfig, { name }: PostgresAddress) {
  try {
    return new pg.Client(config);
  } catch (error) {
    // The URL's own words, for instance a certificate file that is not there.
    throw toPostgresError(error, name);
  }
}
