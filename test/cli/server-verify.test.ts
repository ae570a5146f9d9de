import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { openDatabase, openSqlite } from "../../src/db/open-database.js";
import type { Violation } from "../../src/db/verify/verify-database.js";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace } from "../helpers/command-line.js";
import { databaseAt, needsSqlite } from "../helpers/test-database.js";

interface Answer {
  database: string;
  violations: Violation[];
  notes: Violation[];
}

t.test("verify looks at a Cloud that runs, and its exit code says whether the database holds together", async (t) => {
  const home = t.testdir();
  await startCloudProcess(t, home);
  const place = await databaseAt(t, join(home, "millrace.db"));
  const words = ["server", "verify", "--database", place];
  const sound = await millrace(words, { home });
  t.match(sound, { code: 0, stdout: /holds together/, stderr: "" });

  const database = await openDatabase(place);
  await database.write((transaction) => transaction.run("UPDATE tenant SET settings = '{', created = 'today'"));
  await database.close();
  const broken = await millrace(words, { home });
  t.match(broken, { code: 1, stdout: /INSTANT_UNREADABLE in tenant: 1\n {2}Its column created holds "today"/ });
  t.match(broken.stdout, "does NOT hold together");
  const { code, stdout } = await millrace([...words, "--json"], { home });
  const answer = JSON.parse(stdout) as Answer;
  t.equal(code, 1);
  t.match(answer.violations[0], { code: "INSTANT_UNREADABLE", table: "tenant", total: 1 });
  t.strictSame(answer.notes, []);
});

t.test("verify makes no file, and says of an older database that it is one", needsSqlite, async (t) => {
  const home = t.testdir();
  const file = join(home, "nowhere.db");
  t.match(await millrace(["server", "verify", "--database", file], { home }), { code: 1, stderr: /DATABASE_FAILED/ });
  t.notOk(existsSync(file));
  const database = openSqlite(file);
  await database.write((transaction) => transaction.run("PRAGMA user_version = 3"));
  await database.close();
  const { code, stdout } = await millrace(["server", "verify", "--database", file], { home });
  t.equal(code, 1);
  t.match(stdout, /SCHEMA_VERSION.*\n {2}The database has version 3/);
});

t.test("a file that was written over is found damaged", needsSqlite, async (t) => {
  const home = t.testdir();
  const file = join(home, "millrace.db");
  const database = openSqlite(file);
  const insert = "INSERT INTO tenant (id, created, updated, name, slug) VALUES (?1, ?2, ?2, ?1, ?1)";
  const lists = Array.from({ length: 2_000 }, (_, index) => [`tenant ${index}`, "2026-11-23T10:00:00.000Z"]);
  await database.write((transaction) => transaction.runMany(insert, lists));
  await database.close();
  const handle = await open(file, "r+");
  const { size } = await handle.stat();
  await handle.write(Buffer.alloc(4_096, 7), 0, 4_096, size - 3 * 4_096);
  await handle.close();
  const found = { code: 1, stdout: /FILE_DAMAGED/, stderr: "" };
  t.match(await millrace(["server", "verify", "--database", file], { home }), found);
  await writeFile(file, Buffer.alloc(8_192, 7));
  t.match(
    await millrace(["server", "verify", "--database", file], { home }),
    found,
    "also one that SQLite does not open",
  );
});
