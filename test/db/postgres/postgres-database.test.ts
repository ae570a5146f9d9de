import t from "tap";
import type { Transaction } from "../../../src/db/database.js";
import { isUniqueViolation } from "../../../src/db/database-error.js";
import { openDatabase } from "../../../src/db/open-database.js";
import { eventually } from "../../helpers/eventually.js";
import { makeDatabase, needsPostgres, withAdmin } from "../../helpers/test-database.js";

const at = "2026-11-23T10:00:00.000Z";
const insert = "INSERT INTO key_value (id, created, updated, tenant_id, key, value) VALUES (?1, ?2, ?2, ?3, ?4, ?5)";
const tenant = "INSERT INTO tenant (id, created, updated, name, slug) VALUES (?1, ?2, ?2, ?1, ?1)";

t.test("a Postgres database", needsPostgres, async (t) => {
  const url = await makeDatabase(t, t.testdirName);
  const database = await openDatabase(url);
  t.teardown(() => database.close());
  await database.write((transaction) => transaction.run(tenant, "t", at));
  const put = (transaction: Transaction, key: string, value: string | null) =>
    transaction.run(insert, key, at, "t", key, value);
  const storedAt = async (key: string) =>
    (await database.all<{ value: string }>("SELECT value FROM key_value WHERE key = ?1", key))[0]?.value;
  const reset = () => database.write((transaction) => transaction.run("DELETE FROM key_value"));

  await t.test("a transaction that throws writes nothing; numbers come back as numbers", async (t) => {
    await reset();
    await t.rejects(
      database.write(async (transaction) => {
        await put(transaction, "a", "1");
        throw new Error("no");
      }),
      /^no$/,
    );
    t.strictSame(await database.all("SELECT count(*) AS n, 1 = 1 AS yes, 1.5 AS half FROM key_value"), [
      { n: 0, yes: 1, half: 1.5 },
    ]);
  });

  await t.test("an error that was caught does not let half a transaction through", async (t) => {
    await reset();
    const written = database.write(async (transaction) => {
      await put(transaction, "a", "1");
      await put(transaction, "a", "2").catch(() => {});
    });
    t.equal(await written.catch(isUniqueViolation), true);
    t.equal(await storedAt("a"), undefined);
  });

  await t.test("transactions that hold every connection of theirs hold up no read", async (t) => {
    await reset();
    const small = await openDatabase(url, { poolSize: 2 });
    t.teardown(() => small.close());
    const gate = Promise.withResolvers<void>();
    const held = small.write(async (transaction) => {
      await put(transaction, "held", "1");
      await gate.promise;
    });
    const waits = small.write((transaction) => put(transaction, "waits", "1"));
    t.same(
      await small.all("SELECT key FROM key_value"),
      [],
      "answered while one holds the connection and one waits for it",
    );
    gate.resolve();
    await Promise.all([held, waits]);
    t.equal(await storedAt("waits"), "1");
  });

  await t.test("what no text can hold is replaced, and does not fail the rest", async (t) => {
    await reset();
    await database.write(async (transaction) => {
      await put(transaction, "nul", "a\0b");
      await put(transaction, "half", "a\ud800b");
      await transaction.runMany(
        insert,
        [
          ["m\0", at, "t", "many 1", "\0"],
          ["m2", at, "t", "many 2", '{"a":"\\u0000"}'],
        ].map(([id, when, ...rest]) => [id!, when!, ...rest]),
      );
    });
    t.equal(await storedAt("nul"), "a\ufffdb");
    t.equal(await storedAt("half"), "a\ufffdb");
    t.equal(await storedAt("many 1"), "\ufffd");
    t.equal(await storedAt("many 2"), '{"a":"\\u0000"}', "JSON is kept as it is");
  });

  await t.test("many changes at once: as one after the other, the last of the same row counts", async (t) => {
    await reset();
    await database.write(async (transaction) => {
      await transaction.runMany(
        insert,
        ["a", "b", "c"].map((key) => [key, at, "t", key, "0"]),
      );
      await transaction.runMany("UPDATE key_value SET value = ?1 WHERE id = ?2 AND tenant_id = ?3", [
        ["1", "a", "t"],
        ["1", "b", "other"],
        ["2", "a", "t"],
        ['{"x": [1, "two", null]}', "c", "t"],
      ]);
    });
    t.strictSame(
      [await storedAt("a"), await storedAt("b"), await storedAt("c")],
      ["2", "0", '{"x": [1, "two", null]}'],
    );
  });

  await t.test("transactions that lock each other out are run again until both come through", async (t) => {
    await reset();
    await database.write((transaction) =>
      transaction.runMany(
        insert,
        ["a", "b"].map((key) => [key, at, "t", key, "0"]),
      ),
    );
    const lock = "SELECT value FROM key_value WHERE id = ?1 FOR UPDATE";
    let runs = 0;
    let met: () => void = () => {};
    const both = new Promise<void>((resolve) => {
      met = resolve;
    });
    let begun = 0;
    const add = (first: string, second: string) =>
      database.write(async (transaction) => {
        runs += 1;
        const [one] = await transaction.all<{ value: string }>(lock, first);
        begun += 1;
        if (begun === 2) met();
        await both;
        const [two] = await transaction.all<{ value: string }>(lock, second);
        const set = "UPDATE key_value SET value = ?1 WHERE id = ?2";
        await transaction.run(set, String(Number(one!.value) + 1), first);
        await transaction.run(set, String(Number(two!.value) + 1), second);
      });
    await Promise.all([add("a", "b"), add("b", "a")]);
    t.strictSame([await storedAt("a"), await storedAt("b")], ["2", "2"]);
    t.equal(runs, 3, "one of the two was run twice");
  });

  await t.test("a name that is locked is had by one transaction at a time", async (t) => {
    let inside = 0;
    let most = 0;
    const one = () =>
      database.write(async (transaction) => {
        await transaction.lock("the only");
        inside += 1;
        most = Math.max(most, inside);
        await transaction.all("SELECT pg_sleep(0.01) IS NULL AS slept");
        inside -= 1;
      });
    await Promise.all(Array.from({ length: 8 }, one));
    t.equal(most, 1);
  });

  await t.test("work is done by one server; the other is told what it asks to be told", async (t) => {
    const other = await openDatabase(url);
    t.teardown(() => other.close());
    const told: string[] = [];
    const own: string[] = [];
    other.onTold((message) => told.push(message));
    database.onTold((message) => own.push(message));
    let done: () => void = () => {};
    const working = new Promise<void>((resolve) => {
      done = resolve;
    });
    let begun = false;
    const first = database.exclusively("loop", () => {
      begun = true;
      return working;
    });
    await eventually(() => begun, { message: "the work to be begun" });
    t.equal(await other.exclusively("loop", async () => {}), false);
    t.equal(await database.exclusively("loop", async () => {}), false, "nor twice in one server");
    t.equal(await other.exclusively("another loop", async () => {}), true);
    done();
    t.equal(await first, true);
    t.equal(await other.exclusively("loop", async () => {}), true);
    for (let n = 0; n < 50; n++) database.tell(`message ${n}`);
    await eventually(() => told.length === 50, { message: "50 messages" });
    t.equal(told[49], "message 49");
    t.strictSame(own, [], "nobody tells itself");
  });

  await t.test(
    "connections that break are replaced; a transaction that had not been committed is run again",
    async (t) => {
      await reset();
      const name = new URL(url).pathname.slice(1);
      const breakAll = () =>
        withAdmin((admin) =>
          admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name]),
        );
      let runs = 0;
      await database.write(async (transaction) => {
        runs += 1;
        await put(transaction, "a", String(runs));
        if (runs === 1) await breakAll();
        await put(transaction, "b", "after it");
      });
      t.equal(runs, 2);
      t.equal(await storedAt("a"), "2");
      await breakAll();
      const answers = await Promise.all(Array.from({ length: 10 }, () => storedAt("a")));
      t.strictSame(new Set(answers), new Set(["2"]));
      await eventually(() => database.exclusively("loop", async () => {}).catch(() => false), {
        message: "the line to be back",
      });
    },
  );

  await t.test("what takes too long is ended, and says so", async (t) => {
    await t.rejects(
      database.write(async (transaction) => {
        await transaction.run("SET LOCAL statement_timeout = 20");
        await transaction.all("SELECT pg_sleep(5) IS NULL AS slept");
      }),
      { code: "DATABASE_FAILED", message: /took too long over a statement/ },
    );
  });

  await t.test("what is longer than an index takes is INPUT_INVALID", async (t) => {
    const key = Array.from({ length: 9_000 }, (_, n) => String.fromCodePoint(33 + ((n * n * 31) % 8_000))).join("");
    await t.rejects(
      database.write((transaction) => put(transaction, key, "1")),
      { code: "INPUT_INVALID", message: /too long for the database/ },
    );
  });

  await t.test("a closed database takes nothing", async (t) => {
    const closed = await openDatabase(url);
    await closed.close();
    await closed.close();
    await t.rejects(closed.all("SELECT id FROM tenant"), { code: "DATABASE_FAILED", message: /is closed/ });
    await t.rejects(
      closed.write(async () => {}),
      { code: "DATABASE_FAILED", message: /is closed/ },
    );
  });
});
