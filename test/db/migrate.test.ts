import { join } from "node:path";
import t from "tap";
import { migrate, migrations } from "../../src/db/migrate.js";
import { openSqlite } from "../../src/db/open-database.js";
import { SqliteConnection } from "../../src/db/sqlite/sqlite-connection.js";

const schemaOf = (connection: SqliteConnection) =>
  connection
    .all<{ name: string; sql: string | null }>("SELECT name, sql FROM sqlite_schema ORDER BY name", [])
    .map((row) => ({ ...row }));

t.test("migrations are numbered from 1 without a gap", async (t) => {
  t.strictSame(
    migrations.map((each) => each.version),
    migrations.map((_, index) => index + 1),
  );
});

t.test("each migration can be taken back and done again, and leaves nothing behind", async (t) => {
  const connection = new SqliteConnection(join(t.testdir(), "millrace.db"));
  t.teardown(() => connection.close());
  const shapes = [schemaOf(connection)];
  for (const { version } of migrations) {
    migrate(connection, version);
    shapes.push(schemaOf(connection));
  }
  for (const { version } of migrations.toReversed()) {
    migrate(connection, version - 1);
    t.strictSame(schemaOf(connection), shapes[version - 1], `down from ${version}`);
  }
  migrate(connection);
  t.strictSame(schemaOf(connection), shapes.at(-1));
  migrate(connection);
  t.strictSame(schemaOf(connection), shapes.at(-1), "once more changes nothing");
});

t.test("a migration that fails changes nothing", async (t) => {
  const connection = new SqliteConnection(join(t.testdir(), "millrace.db"));
  t.teardown(() => connection.close());
  // A table of ours stands in the way of the last statement.
  connection.exec("PRAGMA application_id = 1296649292; CREATE TABLE report_stream (id TEXT)");
  const before = schemaOf(connection);
  t.throws(() => migrate(connection), /report_stream already exists/);
  t.strictSame(schemaOf(connection), before);
  connection.exec("BEGIN IMMEDIATE; ROLLBACK");
});

t.test("a file that a newer Millrace wrote is DATABASE_TOO_NEW, and is left as it is", async (t) => {
  const path = join(t.testdir(), "millrace.db");
  await openSqlite(path).close();
  const newer = new SqliteConnection(path);
  newer.exec(`PRAGMA user_version = ${migrations.length + 1}`);
  newer.close();
  t.throws(() => openSqlite(path), {
    code: "DATABASE_TOO_NEW",
    message: new RegExp(
      `has version ${migrations.length + 1}, and this Millrace knows versions up to ${migrations.length}`,
    ),
  });
});
