import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { openDatabase } from "../../src/db/open-database.js";
import { backupSqlite } from "../../src/db/sqlite/backup.js";
import { startServer } from "../../src/server/server.js";
import { startTestCloud } from "../helpers/server.js";

t.test("a file that a server is writing to is copied whole, for this user alone", async (t) => {
  const cloud = await startTestCloud(t);
  await cloud.call("create_project", { name: "before" });
  let writing = true;
  let written = 0;
  const writer = (async () => {
    for (; writing; written++) await cloud.call("create_project", { name: `during ${written}` });
  })();
  const folder = t.testdir();
  const file = join(folder, "copy.db");
  const made = [1, 2, 3].map(() => backupSqlite(cloud.file, file));
  writing = false;
  await writer;
  t.match(made.at(-1), { file, bytes: statSync(file).size });
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.strictSame(readdirSync(folder), ["copy.db"], "nothing is left beside it");
  const copy = await openDatabase(file);
  const names = (await copy.all<{ name: string }>("SELECT name FROM project")).map(({ name }) => name);
  t.ok(names.includes("before"));
  await copy.close();
  const second = await startServer({ database: file, port: 0 });
  t.teardown(() => second.close());
  t.equal(second.token, undefined, "a server over it knows the first one's tokens");
});

t.test("a backup that cannot be made says why, and leaves nothing and harms nothing", async (t) => {
  const cloud = await startTestCloud(t);
  const folder = t.testdir({ "text.db": "this is not a database at all, and long enough to be read as one" });
  const cases: [from: string, to: string, message: RegExp][] = [
    [join(folder, "none.db"), join(folder, "a.db"), /no such file/],
    [cloud.file, cloud.file, /take the place of the database itself/],
    [cloud.file, join(folder, "nowhere", "a.db"), /ENOENT/],
    [join(folder, "text.db"), join(folder, "a.db"), /is not a database/],
  ];
  for (const [from, to, message] of cases) t.throws(() => backupSqlite(from, to), { code: "DATABASE_FAILED", message });
  t.strictSame(readdirSync(folder), ["text.db"]);
  t.ok(existsSync(cloud.file));
  t.match((await cloud.ask("{ hello }")).body, { data: { hello: "hello" } });
});

t.test("a backup of an earlier day is replaced only by a whole one", async (t) => {
  const cloud = await startTestCloud(t);
  const file = join(t.testdir(), "copy.db");
  writeFileSync(file, "of yesterday");
  t.throws(() => backupSqlite(join(file, "..", "none.db"), file), { code: "DATABASE_FAILED" });
  t.equal(statSync(file).size, 12);
  backupSqlite(cloud.file, file);
  t.ok(statSync(file).size > 4_096);
});
