import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t from "tap";
import { startServer } from "../../src/server/server.js";
import { startTestCloud } from "../helpers/server.js";

t.test("the first start makes a tenant and a key, and keeps only the key's hash", async (t) => {
  const cloud = await startTestCloud(t);
  t.match(cloud.token, /^[\w-]{43}$/);
  t.strictSame(await cloud.rows("SELECT name, slug FROM tenant"), [{ name: "default", slug: "default" }]);
  const [key] = await cloud.rows<{ key_hash: string; scope: string }>("SELECT key_hash, scope FROM api_key");
  t.equal(key?.scope, "USER");
  t.not(key?.key_hash, cloud.token);
  t.match((await cloud.ask("{ hello }")).body, { data: { hello: "hello" } });
  await cloud.server.close();
  if (cloud.server.database.kind !== "sqlite") return;
  const folder = join(cloud.file, "..");
  for (const name of readdirSync(folder)) {
    t.notOk(readFileSync(join(folder, name)).includes(cloud.token), `${name} does not hold the key`);
  }
});

t.test("a second start on the same file makes no key, and the first one still works", async (t) => {
  const first = await startTestCloud(t);
  await first.call("create_project", { name: "kept" });
  await first.server.close();
  const second = await startServer({ database: first.file, port: 0 });
  t.teardown(() => second.close());
  t.equal(second.token, undefined);
  const headers = { "content-type": "application/json", authorization: `Bearer ${first.token}` };
  const answer = await fetch(second.url, { method: "POST", headers, body: '{"query":"{ project { name } }"}' });
  t.strictSame(await answer.json(), { data: { project: [{ name: "kept" }] } });
});

t.test("a port that is taken is ADDRESS_IN_USE, and leaves no file open", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const folder = t.testdir();
  const database = join(folder, "millrace.db");
  await t.rejects(startServer({ database, port }), { code: "ADDRESS_IN_USE", message: new RegExp(`Port ${port} `) });
  // SQLite removes the log file when the last connection is closed.
  t.strictSame(readdirSync(folder), ["millrace.db"]);
  const server = await startServer({ database, port: 0 });
  t.teardown(() => server.close());
  t.match(server.token, /^[\w-]{43}$/, "the start that failed did not take the first key with it");
});

t.test("an address that other machines reach is refused unless it is said to be meant", async (t) => {
  const folder = t.testdir();
  for (const host of ["0.0.0.0", "::", "192.168.0.1", "example.org", "127.0.0.1.example.org"]) {
    await t.rejects(
      startServer({ database: join(folder, "a.db"), port: 0, host }),
      { code: "ADDRESS_NOT_LOCAL" },
      host,
    );
  }
  t.strictSame(readdirSync(folder), [], "nothing was made");
  const server = await startServer({ database: join(folder, "b.db"), port: 0, host: "localhost" });
  await server.close();
});

t.test("health is answered without a token, and says the version", async (t) => {
  const cloud = await startTestCloud(t);
  const answer = await fetch(`${cloud.url}/health`);
  t.equal(answer.status, 200);
  t.match(await answer.json(), { status: "ok", version: /^\d+\.\d+\.\d+/ });
  t.equal((await fetch(`${cloud.url}/nowhere`)).status, 404);
});

t.test("close may be called twice, lets a request under way finish, and then nothing listens", async (t) => {
  const cloud = await startTestCloud(t);
  const asked = cloud.call("create_project", { name: "under way" });
  await asked;
  await Promise.all([cloud.server.close(), cloud.server.close()]);
  await t.rejects(fetch(`${cloud.url}/health`));
  await t.rejects(
    cloud.server.database.write(async () => {}),
    { code: "DATABASE_FAILED" },
  );
});
