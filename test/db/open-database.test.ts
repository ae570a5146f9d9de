import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { openSqlite } from "../../src/db/open-database.js";
import { SqliteConnection } from "../../src/db/sqlite/sqlite-connection.js";

t.test("a database is made where there is none, with its folders, by path or by URL", async (t) => {
  const folder = t.testdir();
  const path = join(folder, "a", "b", "millrace.db");
  await openSqlite(path).close();
  t.strictSame(readdirSync(join(folder, "a", "b")), ["millrace.db"], "closing leaves one file");
  const again = openSqlite(pathToFileURL(path).href);
  t.strictSame(await again.read.selectFrom("flow_run").selectAll().execute(), []);
  await again.close();
});

t.test(
  "what is made is for this user alone; what was there keeps its mode",
  { skip: process.platform === "win32" },
  async (t) => {
    const folder = t.testdir({ shared: { "old.db": "" } });
    const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
    const path = join(folder, "a", "b", "millrace.db");
    const database = openSqlite(path);
    await database.write((transaction) => transaction.run("DELETE FROM log"));
    for (const made of [path, `${path}-wal`, `${path}-shm`]) t.equal(modeOf(made), "600", made);
    for (const made of [join(folder, "a"), join(folder, "a", "b")]) t.equal(modeOf(made), "700", made);
    await database.close();
    const old = join(folder, "shared", "old.db");
    chmodSync(old, 0o664);
    await openSqlite(old).close();
    t.equal(modeOf(old), "664");
  },
);

t.test("the file is in WAL mode, commits are as durable as asked for, and foreign keys hold", async (t) => {
  const path = join(t.testdir(), "millrace.db");
  const pragmas = async (options: Parameters<typeof openSqlite>[1]) => {
    const database = openSqlite(path, options);
    const answer = await database.write(async (transaction) => [
      await transaction.all<object>("PRAGMA journal_mode"),
      await transaction.all<object>("PRAGMA synchronous"),
      await transaction.all<object>("PRAGMA foreign_keys"),
    ]);
    await database.close();
    return answer.flatMap((rows) => Object.values(rows[0]!));
  };
  t.strictSame(await pragmas({}), ["wal", 1, 1]);
  t.strictSame(await pragmas({ synchronous: "FULL" }), ["wal", 2, 1]);
});

t.test("what cannot be opened is DATABASE_FAILED, and names the file and what to do", async (t) => {
  const folder = t.testdir({
    "text.db": "this is a text and no database, however long it may be\n".repeat(50),
    file: "",
  });
  mkdirSync(join(folder, "folder.db"));
  const cases: [place: string, message: RegExp][] = [
    [join(folder, "text.db"), /text\.db" is not a database/],
    [join(folder, "folder.db"), /folder\.db" cannot be opened/],
    [join(folder, "file", "millrace.db"), /cannot be made/],
    ["", /"" is not the path of a database file/],
    [":memory:", /":memory:" is not the path/],
    ["mysql://localhost/millrace", /"mysql:\/\/localhost\/millrace" is not the path/],
  ];
  for (const [place, message] of cases) {
    t.throws(() => openSqlite(place), { code: "DATABASE_FAILED", message, hint: /\w/ }, place);
  }
});

t.test("a file that was damaged is DATABASE_FAILED, when it is opened or when the damage is met", async (t) => {
  const path = join(t.testdir(), "millrace.db");
  const whole = openSqlite(path);
  const at = "2026-11-23T10:00:00.000Z";
  await whole.write(async ({ query }) => {
    const tenants = Array.from({ length: 500 }, (_, n) => ({
      id: `t${n}`,
      created: at,
      updated: at,
      name: "x".repeat(100),
      slug: `s${n}`,
    }));
    await query.insertInto("tenant").values(tenants).execute();
  });
  await whole.close();
  const bytes = readFileSync(path);
  for (let page = 1; page < bytes.length / 4096; page++) bytes.fill(0xa5, page * 4096, page * 4096 + 64);
  writeFileSync(path, bytes);
  await t.rejects(
    async () => {
      const damaged = openSqlite(path);
      t.teardown(() => damaged.close().catch(() => {}));
      await damaged.all("SELECT * FROM tenant");
    },
    { code: "DATABASE_FAILED", message: /is damaged/ },
  );
});

t.test(
  "a file that another process holds is DATABASE_FAILED after the wait, and works again when it lets go",
  async (t) => {
    const path = join(t.testdir(), "millrace.db");
    const database = openSqlite(path, { busyTimeoutMs: 20 });
    t.teardown(() => database.close());
    const other = new SqliteConnection(path);
    t.teardown(() => other.close());
    other.exec("BEGIN IMMEDIATE");
    await t.rejects(
      database.write(async () => {}),
      { code: "DATABASE_FAILED", message: /is locked by another process/ },
    );
    t.strictSame(await database.all("SELECT id FROM tenant"), [], "reading goes on meanwhile");
    other.exec("COMMIT");
    t.equal(await database.write(async () => "written"), "written");
  },
);

t.test("a database of another program is left alone", async (t) => {
  const path = join(t.testdir(), "other.db");
  const other = new SqliteConnection(path);
  other.exec("CREATE TABLE invoices (id INTEGER)");
  other.close();
  const before = readFileSync(path);
  t.throws(() => openSqlite(path), { code: "DATABASE_FAILED", message: /belongs to another program/ });
  t.ok(readFileSync(path).equals(before), "not a byte of it is changed");
});
