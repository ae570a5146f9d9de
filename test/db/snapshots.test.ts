import { join } from "node:path";
import type { Kysely } from "kysely";
import t from "tap";
import type { Database } from "../../src/db/database.js";
import { openDatabase } from "../../src/db/open-database.js";
import type { Tables } from "../../src/db/tables.js";
import { databaseAt } from "../helpers/test-database.js";

const at = "2026-11-23T10:00:00.000Z";

function addTenant(database: Database, slug: string): Promise<void> {
  return database.write(async ({ query }) => {
    const row = { id: slug, created: at, updated: at, name: slug, slug, info: null };
    await query.insertInto("tenant").values(row).execute();
  });
}

async function tenants(read: Kysely<Tables>): Promise<string> {
  const rows = await read.selectFrom("tenant").select("slug").orderBy("slug").execute();
  return rows.map(({ slug }) => slug).join();
}

async function open(t: Parameters<typeof databaseAt>[0] & { testdir(): string }): Promise<Database> {
  const database = await openDatabase(await databaseAt(t, join(t.testdir(), "millrace.db")));
  t.teardown(() => database.close());
  await addTenant(database, "a");
  return database;
}

t.test("what is read of one moment stays as it was, whatever is committed meanwhile", async (t) => {
  const database = await open(t);
  const seen = await database.snapshot(async (read) => {
    const first = await tenants(read);
    await addTenant(database, "b");
    t.equal(await tenants(database.read), "a,b", "others see it");
    return [first, await tenants(read)];
  });
  t.same(seen, ["a", "a"]);
  t.equal(await database.snapshot(tenants), "a,b", "the next moment is another");
});

t.test("more readers than there are connections wait for each other, and each has its own moment", async (t) => {
  const database = await open(t);
  let inside = 0;
  let most = 0;
  const readers = Array.from({ length: 40 }, (_, n) =>
    database.snapshot(async (read) => {
      most = Math.max(most, ++inside);
      const first = await tenants(read);
      if (n === 0) await addTenant(database, "b");
      t.equal(await tenants(read), first);
      inside -= 1;
    }),
  );
  await Promise.all(readers);
  t.ok(most > 1 && most < 40, `${most} at once`);
});

t.test("a reader that fails leaves its connection to the next", async (t) => {
  const database = await open(t);
  for (let n = 0; n < 30; n++) {
    await t.rejects(
      database.snapshot(async (read) => {
        await tenants(read);
        throw new Error("the reader's own");
      }),
      { message: "the reader's own" },
    );
    await t.rejects(
      database.snapshot((read) =>
        read
          .selectFrom("tenant")
          .select("nothing" as "id")
          .execute(),
      ),
    );
  }
  t.equal(await database.snapshot(tenants), "a");
});

t.test("a database that is closed lets readers come to their end, and takes no more", async (t) => {
  const database = await open(t);
  const seen = database.snapshot(async (read) => [await tenants(read), await tenants(read)]);
  const closed = database.close();
  t.same(await seen, ["a", "a"]);
  await closed;
  await t.rejects(database.snapshot(tenants), { code: "DATABASE_FAILED" });
});
