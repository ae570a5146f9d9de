import { join } from "node:path";
import t, { type Test } from "tap";
import type { Transaction } from "../../src/db/database.js";
import { openSqlite } from "../../src/db/open-database.js";
import { SqliteConnection } from "../../src/db/sqlite/sqlite-connection.js";
import { SqliteDatabase } from "../../src/db/sqlite/sqlite-database.js";

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

t.test("transactions that wait together: one that throws takes back its own writes, and no other's", async (t) => {
  const { database, insert, names } = bed(t);
  const outcomes = await Promise.allSettled(
    ["a", "b", "c", "d"].map((name) =>
      database.write(async (transaction) => {
        await insert(transaction, name);
        if (name === "b" || name === "d") throw new Error(`${name}, on purpose`);
        return name;
      }),
    ),
  );
  t.strictSame(
    outcomes.map((each) => (each.status === "fulfilled" ? each.value : (each.reason as Error).message)),
    ["a", "b, on purpose", "c", "d, on purpose"],
  );
  t.strictSame(await names(), ["a", "c"]);
});

t.test("none is answered before the commit that it shares", async (t) => {
  const { database, insert } = bed(t);
  const names = Array.from({ length: 50 }, (_, index) => `t${index}`);
  const seen = await Promise.all(
    names.map(async (name) => {
      await database.write((transaction) => insert(transaction, name));
      return (await database.all("SELECT id FROM tenant WHERE id = ?1", name)).length;
    }),
  );
  t.same(new Set(seen), new Set([1]));
});

t.test(
  "where a shared commit fails, each transaction is run again by itself, and only the one at fault fails",
  async (t) => {
    const { database, insert, names } = bed(t);
    const tries: string[] = [];
    const one = (name: string, spoil: (transaction: Transaction) => Promise<unknown>) =>
      database.write(async (transaction) => {
        tries.push(name);
        await insert(transaction, name);
        await spoil(transaction);
      });
    const orphan = { id: "p", created: at, updated: at, tenant_id: "nobody", name: "p", description: null };
    const outcomes = await Promise.allSettled([
      one("a", async () => {}),
      // Its foreign key is looked at when everything is committed.
      one("b", async (transaction) => {
        await transaction.run("PRAGMA defer_foreign_keys = ON");
        await transaction.query.insertInto("project").values(orphan).execute();
      }),
      one("c", async () => {}),
    ]);
    t.strictSame(
      outcomes.map((each) => each.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    // How many share the commit is a matter of how fast the moment is; none is tried a third time.
    for (const name of ["a", "b", "c"])
      t.ok([1, 2].includes(tries.filter((each) => each === name).length), tries.join(""));
    t.strictSame(await names(), ["a", "c"]);
  },
);

t.test("where SQLite itself rolls a shared transaction back, the others are run again", async (t) => {
  const { database, insert, names } = bed(t);
  const outcomes = await Promise.allSettled([
    database.write((transaction) => insert(transaction, "a")),
    // As it does by itself when the disk is full.
    database.write(async (transaction) => {
      await transaction.run("ROLLBACK");
      throw new Error("on purpose");
    }),
    database.write((transaction) => insert(transaction, "c")),
  ]);
  t.strictSame(
    outcomes.map((each) => each.status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  t.strictSame(await names(), ["a", "c"]);
});

t.test("a connection that cannot even roll back refuses what comes, and nobody waits for ever", async (t) => {
  class Broken extends SqliteConnection {
    override rollback(): void {
      throw new Error("disk I/O error");
    }
  }
  const path = join(t.testdir(), "millrace.db");
  await openSqlite(path).close();
  const database = new SqliteDatabase(new Broken(path), () => new SqliteConnection(path, { queryOnly: true }));
  const fails = () => database.write(() => Promise.reject(new Error("on purpose")));
  const outcomes = await Promise.allSettled([fails(), fails(), database.write(async () => "never committed")]);
  t.same(
    outcomes.map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
  await t.rejects(
    database.write(async () => 1),
    "nor does a later one hang",
  );
  await t.rejects(database.close(), { code: "DATABASE_FAILED" }, "nor does its close");
});
