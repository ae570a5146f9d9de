import { join } from "node:path";
import t, { type Test } from "tap";
import type { Transaction } from "../../src/db/database.js";
import { openSqlite } from "../../src/db/open-database.js";

const at = "2026-11-23T10:00:00.000Z";
const tenant = (name: string) => ({ id: name, created: at, updated: at, name, slug: name });

function bed(t: Test) {
  const database = openSqlite(join(t.testdir(), "millrace.db"));
  t.teardown(() => database.close());
  const names = async () =>
    (await database.all<{ name: string }>("SELECT name FROM tenant ORDER BY name")).map((row) => row.name);
  const insert = (transaction: Transaction, name: string) =>
    transaction.query.insertInto("tenant").values(tenant(name)).execute();
  return { database, names, insert };
}

t.test("transactions run one after the other, in the order in which they were asked for", async (t) => {
  const { database } = bed(t);
  const steps: string[] = [];
  await Promise.all(
    ["a", "b", "c"].map((name) =>
      database.write(async (transaction) => {
        for (let step = 0; step < 3; step++) {
          steps.push(name);
          await transaction.all("SELECT 1");
        }
      }),
    ),
  );
  t.equal(steps.join(""), "aaabbbccc");
});

t.test("a transaction that throws writes nothing, and the next one is not harmed", async (t) => {
  const { database, insert, names } = bed(t);
  const failing = database.write(async (transaction) => {
    await insert(transaction, "a");
    throw new Error("on purpose");
  });
  const next = database.write((transaction) => insert(transaction, "b"));
  await t.rejects(failing, { message: "on purpose" });
  await next;
  const duplicate = database.write(async (transaction) => {
    await insert(transaction, "c");
    await insert(transaction, "b");
  });
  await t.rejects(duplicate, /UNIQUE constraint failed: tenant/);
  t.strictSame(await names(), ["b"]);
});

t.test("a reader sees what was committed, and nothing of a transaction under way", async (t) => {
  const { database, insert, names } = bed(t);
  await database.write(async (transaction) => {
    await insert(transaction, "a");
    t.strictSame(await names(), []);
    t.strictSame(await database.read.selectFrom("tenant").selectAll().execute(), []);
    t.equal((await transaction.all("SELECT id FROM tenant")).length, 1, "but it sees itself");
  });
  t.strictSame(await names(), ["a"]);
});

t.test("nothing can be written past the transactions", async (t) => {
  const { database } = bed(t);
  await t.rejects(database.read.insertInto("tenant").values(tenant("a")).execute(), /readonly/);
  await t.rejects(database.all("DELETE FROM tenant"), /readonly/);
  await t.rejects(
    database.write(({ query }) => query.transaction().execute(async () => {})),
    { code: "DATABASE_FAILED", message: /through Kysely/ },
  );
});

t.test("closing waits for the transactions that were asked for, and refuses later ones", async (t) => {
  const { database, insert } = bed(t);
  const written = database.write((transaction) => insert(transaction, "a"));
  const closed = database.close();
  await t.rejects(
    database.write((transaction) => insert(transaction, "b")),
    { code: "DATABASE_FAILED", message: /is closed/ },
  );
  await Promise.all([written, closed, database.close()]);
});

t.test("values that SQLite does not take as they are, are bound as what they mean", async (t) => {
  const { database, insert } = bed(t);
  await database.write(async (transaction) => {
    await insert(transaction, "a");
    const project = { id: "p", created: at, updated: at, tenant_id: "a", name: "p", description: null };
    await transaction.query.insertInto("project").values(project).execute();
  });
  const isNull = await database.read
    .selectFrom("project")
    .select("name")
    .where("description", "is", undefined as unknown as null)
    .execute();
  t.equal(isNull.length, 1);
  const byFlag = await database.read
    .selectFrom("flow")
    .select("id")
    .where("archived", "=", true as unknown as number)
    .execute();
  t.strictSame(byFlag, []);
});

t.test("thousands of different queries do not fill the memory with statements, and all are answered", async (t) => {
  const { database } = bed(t);
  for (let n = 0; n < 2_000; n++) {
    const [row] = await database.all<{ n: number }>(`SELECT ${n} AS n`);
    if (row?.n !== n) t.fail(`${n} was answered with ${row?.n}`);
  }
  await t.rejects(database.all("SELECT * FROM nowhere"), /no such table/);
});
