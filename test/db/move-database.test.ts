import { join } from "node:path";
import t from "tap";
import type { Database } from "../../src/db/database.js";
import { exportDatabase } from "../../src/db/move/export-database.js";
import { importDatabase } from "../../src/db/move/import-database.js";
import { tableKeys, tableNames } from "../../src/db/move/table-keys.js";
import { openDatabase, openSqlite } from "../../src/db/open-database.js";
import { deployFlow, flowState, startTestCloud, TestAgent, taskState } from "../helpers/server.js";
import { makeDatabase, postgresUrl } from "../helpers/test-database.js";

async function linesOf(database: Database): Promise<string[]> {
  const lines: string[] = [];
  await exportDatabase(database, async (line) => void lines.push(line));
  return lines;
}

async function* from(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

/** A database with rows in most tables, and its export. */
async function exported(t: Tap): Promise<string[]> {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  for (let n = 0; n < 3; n++) await cloud.call("create_flow_run", { flow_id: flowId });
  const run = await agent.claimOne();
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
  const logs = Array.from({ length: 1_200 }, (_, n) => ({ flow_run_id: run.flow_run_id, message: `line ${n}` }));
  await cloud.call("write_run_logs", { logs });
  return linesOf(cloud.server.database);
}

type Tap = Parameters<typeof startTestCloud>[0] & { testdir(): string };

t.test("every table is moved, behind those that it refers to", async (t) => {
  const database = openSqlite(join(t.testdir(), "millrace.db"));
  t.teardown(() => database.close());
  const rows = await database.all<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
  );
  t.strictSame(
    rows.map((row) => row.name),
    [...tableNames].sort(),
  );
  for (const [index, table] of tableNames.entries()) {
    for (const { table: other } of await database.all<{ table: string }>(`PRAGMA foreign_key_list(${table})`)) {
      t.ok(tableNames.indexOf(other as (typeof tableNames)[number]) < index, `${table} stands behind ${other}`);
    }
    const keys = await database.all<{ name: string }>(
      `SELECT name FROM pragma_table_info('${table}') WHERE pk > 0 ORDER BY pk`,
    );
    t.strictSame(
      keys.map((row) => row.name),
      [...tableKeys[table]],
      `the key of ${table}`,
    );
  }
});

t.test("what was exported is imported whole, from and to either kind of database", async (t) => {
  const lines = await exported(t);
  const places = [join(t.testdir(), "copy.db")];
  if (postgresUrl !== undefined) places.push(await makeDatabase(t, t.testdirName));
  for (const place of places) {
    const copy = await openDatabase(place);
    t.teardown(() => copy.close());
    const told: number[] = [];
    const rows = await importDatabase(
      copy,
      () => from(lines),
      (table, count) => {
        if (table === "log") told.push(count);
      },
    );
    t.equal(rows.flow_run, 3);
    t.strictSame(told, [500, 1_000, 1_200]);
    t.strictSame(await linesOf(copy), lines, `the same again from ${copy.kind}`);
    await copy.write(({ query }) =>
      query
        .insertInto("log")
        .columns(["tenant_id", "flow_run_id", "timestamp", "level"])
        .expression((build) => build.selectFrom("flow_run").select(["tenant_id", "id", "created", "name"]))
        .execute(),
    );
    await t.rejects(
      importDatabase(copy, () => from(lines)),
      { code: "IMPORT_REFUSED", message: /is not empty: .*tenant/ },
    );
  }
});

t.test(
  "an export that is not whole, of another version or of something else is refused, and nothing is kept",
  async (t) => {
    const lines = await exported(t);
    const database = await openDatabase(join(t.testdir(), "millrace.db"));
    t.teardown(() => database.close());
    const head = JSON.parse(lines[0]!) as { version: number };
    const cases: [name: string, lines: string[], message: RegExp][] = [
      ["cut off", lines.slice(0, -1), /is not whole/],
      ["a line is missing", lines.filter((line) => !line.includes("line 1199")), /Rows are missing/],
      ["cut off in a line", [...lines.slice(0, 8), lines[8]!.slice(0, 20)], /is not whole: line 9/],
      ["empty", [], /is not whole/],
      ["another file", ['{"a":1}'], /is no export/],
      [
        "a newer one",
        [JSON.stringify({ ...head, version: head.version + 1 }), ...lines.slice(1)],
        /of version \d+, and/,
      ],
      ["an unknown table", [lines[0]!, '{"table":"sqlite_schema","columns":["sql"]}'], /is not whole: line 2/],
      ["SQL for a column", [lines[0]!, '{"table":"tenant","columns":["id) SELECT"]}'], /is not whole: line 2/],
    ];
    for (const [name, given, message] of cases) {
      await t.rejects(
        importDatabase(database, () => from(given)),
        { code: "IMPORT_REFUSED", message },
        name,
      );
      t.strictSame(await database.all("SELECT id FROM tenant"), [], `nothing of it is kept: ${name}`);
    }
  },
);
