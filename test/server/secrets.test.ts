import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import t from "tap";
import { openDatabase } from "../../src/db/open-database.js";
import { rotateSealingKey } from "../../src/server/secrets/rotate-key.js";
import { keySource } from "../../src/server/secrets/sealing-keys.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { refusalOf, startTestCloud, type TestCloud } from "../helpers/server.js";

const VALUE = { user: "ada", password: "hunter2-and-more" };
const NAME = "DATABASE_LOGIN";

/** The value, as its text would be found in a file. */
const needles = [VALUE.password, Buffer.from(JSON.stringify(VALUE)).toString("base64").slice(4, 40)];

const read = (cloud: TestCloud, name: string, headers?: Record<string, string>) =>
  cloud.ask("query($name: String!) { secret_value(name: $name) secret_names }", { name }, headers);

/** A folder, so that a Cloud can be started again over its own file. */
const place = (t: { testdir(): string }) => join(t.testdir(), "cloud.db");

t.test("a secret is kept, replaced, listed by its name, and forgotten; each call may come twice", async (t) => {
  const cloud = await startTestCloud(t);
  for (const value of [VALUE, VALUE, "text", 12, false, [1, null]]) {
    await cloud.call("set_secret", { name: NAME, value });
    t.same((await read(cloud, NAME)).body, { data: { secret_value: value, secret_names: [NAME] } });
  }
  t.same(await cloud.call("delete_secret", { name: NAME }), { success: true, error: null });
  t.match(await cloud.call("delete_secret", { name: NAME }), { success: false, error: /was not found/ });
  const gone = await read(cloud, NAME);
  // Prefect's client makes a KeyError of these words.
  t.match(gone.body.errors, [
    { message: /^No value found for the requested key/, extensions: { code: "SECRET_NOT_FOUND" } },
  ]);
});

t.test("what is no secret is refused, and nothing of a value is repeated", async (t) => {
  const cloud = await startTestCloud(t);
  const refused = async (input: unknown) => {
    const { body } = await cloud.ask("mutation($input: set_secret_input!) { set_secret(input: $input) { success } }", {
      input,
    });
    t.notMatch(JSON.stringify(body), /hunter2/);
    t.notMatch(JSON.stringify(cloud.log), /hunter2/);
    return body.errors?.[0]?.message;
  };
  t.match(await refused({ name: " ", value: VALUE }), /`name` has 1 to 255 characters, and is empty/);
  t.match(await refused({ name: NAME }), /value/);
  t.match(
    await refused({ name: NAME, value: "hunter2".repeat(10_000) }),
    /is 70002 bytes of JSON, and may have at most 65536/,
  );
  t.same((await read(cloud, NAME)).body.errors?.length, 1);
});

t.test("another tenant's secret of the same name is another's", async (t) => {
  const cloud = await startTestCloud(t);
  const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
  await cloud.call("set_secret", { name: NAME, value: "mine" });
  t.match((await read(cloud, NAME, theirs)).body.errors, [{ extensions: { code: "SECRET_NOT_FOUND" } }]);
  await cloud.call("set_secret", { name: NAME, value: "theirs" }, theirs);
  t.match((await read(cloud, NAME)).body.data, { secret_value: "mine" });
  await cloud.call("delete_secret", { name: NAME }, theirs);
  t.match((await read(cloud, NAME)).body.data, { secret_value: "mine" });
  const sealed = await cloud.rows<{ sealed: string }>("SELECT sealed FROM secret");
  t.equal(sealed.length, 1);
});

t.test("no file of the Cloud's holds a value, and its key is in a file of its own", async (t) => {
  if (process.env.MILLRACE_TEST_POSTGRES) return t.comment("the files are Postgres' own");
  const cloud = await startTestCloud(t, { database: place(t) });
  await cloud.call("set_secret", { name: NAME, value: VALUE });
  await read(cloud, NAME);
  const folder = dirname(cloud.file);
  const names = await readdir(folder);
  for (const name of names) {
    const text = await readFile(join(folder, name), "latin1");
    for (const needle of needles) t.notOk(text.includes(needle), `${name} holds no part of it`);
  }
  t.ok(names.length >= 3, names.join(" "));
  t.equal((await stat(`${cloud.file}.secrets-key`)).mode & 0o777, 0o600);
  t.notMatch(JSON.stringify(cloud.log), /hunter2/);
});

t.test(
  "a Cloud that starts again opens what it kept; under a lost or another key it says so, and loses nothing",
  async (t) => {
    if (process.env.MILLRACE_TEST_POSTGRES) return t.comment("a Cloud is started again over its file");
    const database = place(t);
    const first = await startTestCloud(t, { database });
    await first.call("set_secret", { name: NAME, value: VALUE });
    const headers = { authorization: `Bearer ${first.token}` };
    await first.server.close();
    const keyFile = `${database}.secrets-key`;
    const key = await readFile(keyFile, "utf8");

    await rm(keyFile);
    const without = await startTestCloud(t, { database });
    t.match((await read(without, NAME, headers)).body.errors, [
      {
        message: /were sealed with the key [0-9a-f]{12}, and ".*secrets-key" has none/,
        extensions: { code: "SECRETS_KEY_INVALID" },
      },
    ]);
    const set = without.call("set_secret", { name: "OTHER", value: 1 }, headers);
    t.match(await refusalOf(set), { code: "SECRETS_KEY_INVALID" }, "nothing is sealed with a new key beside it");
    await t.rejects(stat(keyFile), { code: "ENOENT" }, "and no new key is made");
    await writeFile(keyFile, `${Buffer.alloc(32, 7).toString("base64")}\n`);
    t.match((await read(without, NAME, headers)).body.errors, [{ extensions: { code: "SECRETS_KEY_INVALID" } }]);
    await writeFile(keyFile, key);
    t.match(
      (await read(without, NAME, headers)).body.data,
      { secret_value: VALUE },
      "back with its key, while the server runs",
    );
  },
);

t.test("the key is changed under a running Cloud: all is sealed anew, and the old key opens nothing", async (t) => {
  const database = place(t);
  const cloud = await startTestCloud(t, process.env.MILLRACE_TEST_POSTGRES ? {} : { database });
  const source = { file: `${database}.secrets-key` };
  if (process.env.MILLRACE_TEST_POSTGRES)
    return t.comment("rotate-key is the same code over both; its lock is a row lock");
  for (const name of ["A", "B"]) await cloud.call("set_secret", { name, value: `${name} value` });
  const before = await readFile(source.file, "utf8");
  const own = await openDatabase(database);
  t.teardown(() => own.close());
  const rotation = await rotateSealingKey(own, source);
  t.match(rotation, { resealed: 2, oldKeyIds: [/^[0-9a-f]{12}$/] });
  t.match((await read(cloud, "A")).body.data, { secret_value: "A value" });
  await cloud.call("set_secret", { name: "C", value: "C value" });
  const ids = await cloud.rows<{ id: string }>("SELECT DISTINCT substr(sealed, 4, 12) AS id FROM secret");
  t.same(ids, [{ id: rotation.keyId }]);
  await writeFile(source.file, before);
  t.match(await rotateSealingKey(own, source).catch((error: unknown) => error), { code: "SECRETS_KEY_INVALID" });
  t.equal(await readFile(source.file, "utf8"), before, "a rotation that cannot open everything changes nothing");
});

t.test("a text that was changed in the database, or moved to another secret, does not open", async (t) => {
  const cloud = await startTestCloud(t);
  for (const name of ["A", "B"]) await cloud.call("set_secret", { name, value: name });
  const changed = (sealed: string) => sealed.slice(0, -2) + (sealed.endsWith("AA") ? "BB" : "AA");
  const [a] = await cloud.rows<{ sealed: string }>("SELECT sealed FROM secret WHERE name = 'A'");
  const write = (sealed: string) =>
    cloud.server.database.write((transaction) =>
      transaction.run("UPDATE secret SET sealed = ?1 WHERE name = 'B'", sealed),
    );
  for (const sealed of [a!.sealed, changed(a!.sealed), "v1.x", ""]) {
    await write(sealed);
    t.match((await read(cloud, "B")).body.errors, [{ extensions: { code: "SECRETS_KEY_INVALID" } }]);
  }
});

t.test("keys may come from the environment, and a key that is none is refused unseen", async (t) => {
  const source = keySource("cloud.db", { MILLRACE_SECRETS_KEY: "not-a-key-hunter2" });
  const cloud = await startTestCloud(t, { secretsKey: source });
  const set = refusalOf(cloud.call("set_secret", { name: NAME, value: 1 }));
  const refusal = await set;
  t.match(refusal, { code: "SECRETS_KEY_INVALID", message: /^Key 1 of MILLRACE_SECRETS_KEY is not 32 bytes/ });
  t.notMatch(refusal.message, /hunter2/);
});

t.test("small values are kept under keys, and what is too large is refused", async (t) => {
  const cloud = await startTestCloud(t);
  const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
  const all = async (headers?: Record<string, string>) =>
    (await cloud.ask("query { key_value(order_by: {key: asc}) { id key value } }", {}, headers)).body.data?.key_value;
  const { id } = await cloud.call("set_key_value", { key: "rate", value: { eur: 1.08 } });
  t.same(await cloud.call("set_key_value", { key: "rate", value: [1, null] }), { id }, "a key keeps its id");
  t.same(await all(), [{ id, key: "rate", value: [1, null] }]);
  t.same(await all(theirs), []);
  t.match(await cloud.call("delete_key_value", { key_value_id: id }, theirs), { success: false });
  t.match(await refusalOf(cloud.call("set_key_value", { key: "big", value: "x".repeat(10_000) })), {
    code: "INPUT_INVALID",
    message: /is 10002 bytes of JSON, and may have at most 10000/,
  });
  t.match(await refusalOf(cloud.call("set_key_value", { key: "", value: 1 })), { code: "INPUT_INVALID" });
  t.same(await cloud.call("delete_key_value", { key_value_id: id }), { success: true, error: null });
  t.match(await cloud.call("delete_key_value", { key_value_id: id }), { success: false });
});
