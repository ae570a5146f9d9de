import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "../src/db/open-database.js";
import { loadPg } from "../src/db/postgres/load-pg.js";
import type { Place } from "./places.js";

/*
 * The database's own bare commit rate: how many transactions a second it commits, each of which writes what one state of a
 * task run writes, an update of its row and a new row of its history, in tables of the same columns and indexes; without a
 * server, a judge, or JSON. On SQLite there is one writer; on Postgres as many connections as the Cloud has.
 */

const MEASURED_MS = 1_500;
const RUNS = 1_000;
export const CONNECTIONS = 10;

const now = new Date().toISOString();
const STATE = JSON.stringify({ type: "Running", message: "The run entered Running.", __version__: "1.4.1" });

/** Both texts with `$1` for the task run's id and `$2` for the version; the rest is the same for all. */
const UPDATE = `UPDATE task_run SET updated = '${now}', version = $2, heartbeat = '${now}', start_time = '${now}', end_time = NULL,
  state = 'Running', state_timestamp = '${now}', state_message = 'The run entered Running.', state_result = NULL,
  state_start_time = NULL, serialized_state = '${STATE}' WHERE id = $1`;
const INSERT = `INSERT INTO task_run_state (task_run_id, version, tenant_id, timestamp, state, message, serialized_state)
  VALUES ($1, $2, 'bare', '${now}', 'Running', 'The run entered Running.', '${STATE}')`;

interface Fixed {
  taskRunIds: string[];
}

/** One flow run with a thousand task runs. */
async function prepare(place: Place): Promise<Fixed> {
  const database = await openDatabase(place.url);
  const taskRunIds = Array.from({ length: RUNS }, () => randomUUID());
  try {
    await database.write(async (transaction) => {
      const row = (id: string) => [id, now, now];
      await transaction.run(
        "INSERT INTO tenant (id, created, updated, name, slug) VALUES (?1, ?2, ?3, 'bare', 'bare')",
        ...row("bare"),
      );
      await transaction.run(
        "INSERT INTO project (id, created, updated, tenant_id, name) VALUES (?1, ?2, ?3, 'bare', 'bare')",
        ...row("bare"),
      );
      await transaction.run(
        "INSERT INTO flow_group (id, created, updated, tenant_id, name) VALUES (?1, ?2, ?3, 'bare', 'bare')",
        ...row("bare"),
      );
      await transaction.run(
        `INSERT INTO flow (id, created, updated, tenant_id, project_id, flow_group_id, version_group_id, name, version)
         VALUES (?1, ?2, ?3, 'bare', 'bare', 'bare', 'bare', 'bare', 1)`,
        ...row("bare"),
      );
      await transaction.run(
        `INSERT INTO flow_run (id, created, updated, tenant_id, flow_id, name, scheduled_start_time, state)
         VALUES (?1, ?2, ?3, 'bare', 'bare', 'bare', ?3, 'Running')`,
        ...row("bare"),
      );
      await transaction.runMany(
        `INSERT INTO task_run (id, created, updated, tenant_id, flow_run_id, task_id, map_index, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
        taskRunIds.map((id, index) => [...row(id), "bare", "bare", "bare", index, "Pending"]),
      );
    });
  } finally {
    await database.close();
  }
  return { taskRunIds };
}

/** Commits a second over one connection, and over as many as the Cloud has where there may be several. */
export async function bareCommits(place: Place): Promise<{ one: number; many: number }> {
  const fixed = await prepare(place);
  if (place.kind === "SQLite") {
    const rate = commitOnSqlite(place.url, fixed);
    return { one: rate, many: rate };
  }
  return {
    one: await commitOnPostgres(place.url, fixed, 1),
    many: await commitOnPostgres(place.url, fixed, CONNECTIONS),
  };
}

function commitOnSqlite(path: string, { taskRunIds }: Fixed): number {
  const database = new DatabaseSync(path);
  // As the Cloud's own connection has them.
  database.exec("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -65536");
  const numbered = (sql: string) => database.prepare(sql.replaceAll("$", "?"));
  const [update, insert] = [numbered(UPDATE), numbered(INSERT)];
  const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
  const from = performance.now();
  let commits = 0;
  for (; performance.now() - from < MEASURED_MS; commits += 1) {
    const id = taskRunIds[commits % RUNS]!;
    const version = 1 + Math.floor(commits / RUNS);
    begin.run();
    update.run(id, version);
    insert.run(id, version);
    commit.run();
  }
  const rate = (commits * 1_000) / (performance.now() - from);
  database.close();
  return rate;
}

let versionsUsed = 0;

async function commitOnPostgres(url: string, { taskRunIds }: Fixed, connections: number): Promise<number> {
  const { Client } = await loadPg();
  const clients = Array.from({ length: connections }, () => new Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  const firstVersion = versionsUsed;
  const from = performance.now();
  let commits = 0;
  const one = async (client: (typeof clients)[number]) => {
    while (performance.now() - from < MEASURED_MS) {
      const id = taskRunIds[commits % RUNS]!;
      const version = firstVersion + 1 + Math.floor(commits / RUNS);
      commits += 1;
      // Not awaited one by one, as the Cloud's driver does not: what is known beforehand goes out together.
      const sent = [
        client.query("BEGIN"),
        client.query({ name: "bare update", text: UPDATE, values: [id, version] }),
        client.query({ name: "bare insert", text: INSERT, values: [id, version] }),
        client.query("COMMIT"),
      ];
      await Promise.all(sent);
    }
  };
  await Promise.all(clients.map(one));
  const rate = (commits * 1_000) / (performance.now() - from);
  versionsUsed += Math.ceil(commits / RUNS) + 1;
  await Promise.all(clients.map((client) => client.end()));
  return rate;
}
