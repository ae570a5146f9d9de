import t from "tap";
import { startServer } from "../../src/server/server.js";
import { subscribe } from "../helpers/agent-events.js";
import { HandClock, refusalOf, startTestCloud, type TestCloud } from "../helpers/server.js";

const headersOf = (key: string) => ({ authorization: `Bearer ${key}` });
const codeOf = async (cloud: TestCloud, key: string) =>
  (await cloud.ask("{ hello }", null, headersOf(key))).body.errors?.[0]?.extensions.code ?? "none";
const UNKNOWN_ID = "018f0000-0000-7000-8000-0000000000ff";

t.test("a deleted key is refused at once, though it was used a moment ago, and its subscriptions end", async (t) => {
  const cloud = await startTestCloud(t);
  const { id, key } = await cloud.call("create_api_key", { name: "lost laptop" });
  t.equal(await codeOf(cloud, key), "none");
  const agent = await cloud.call("register_agent", { type: "LocalAgent", name: "a", labels: [] });
  const events = await subscribe({ ...cloud, token: key }, agent.id);
  const others = await subscribe(cloud, agent.id);
  t.teardown(() => others.close());
  t.strictSame(await cloud.call("delete_api_key", { key_id: id }), { success: true, error: null });
  t.equal(await codeOf(cloud, key), "UNAUTHENTICATED");
  await events.ended;
  t.equal(cloud.server.listeners, 1, "those of other keys go on");
  t.match(await refusalOf(cloud.call("delete_api_key", { key_id: id })), {
    code: "INPUT_INVALID",
    message: `There is no token "${id}".`,
  });
});

t.test("a key that is deleted while it is being looked up is not remembered", async (t) => {
  const cloud = await startTestCloud(t);
  for (let round = 0; round < 8; round++) {
    const { id, key } = await cloud.call("create_api_key", { name: `short ${round}` });
    await Promise.all([codeOf(cloud, key), cloud.call("delete_api_key", { key_id: id }), codeOf(cloud, key)]);
    t.equal(await codeOf(cloud, key), "UNAUTHENTICATED");
  }
});

t.test("another server on the same database refuses a deleted key within five seconds", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const other = await startServer({ database: cloud.file, port: 0, clock, log: () => {} });
  t.teardown(() => other.close());
  const there = { ...cloud, server: other, url: other.url };
  const { id, key } = await cloud.call("create_api_key", { name: "shared" });
  const agent = await cloud.call("register_agent", { type: "LocalAgent", name: "a", labels: [] });
  const events = await subscribe({ ...there, token: key }, agent.id);
  await cloud.call("delete_api_key", { key_id: id });
  clock.forward(5_000);
  await other.tick();
  await events.ended;
  const answer = await fetch(other.url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headersOf(key) },
    body: '{"query":"{ hello }"}',
  });
  t.match(await answer.json(), { errors: [{ extensions: { code: "UNAUTHENTICATED" } }] });
});

t.test("a subscription ends with the key that opened it", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const expires_at = new Date(clock.now() + 60_000).toISOString();
  const { key } = await cloud.call("create_api_key", { name: "hour", scope: "RUNNER", expires_at });
  const agent = await cloud.call("register_agent", { type: "LocalAgent", name: "a", labels: [] });
  const events = await subscribe({ ...cloud, token: key }, agent.id);
  clock.forward(59_000);
  await cloud.server.tick();
  t.equal(cloud.server.listeners, 1);
  clock.forward(6_000);
  await cloud.server.tick();
  await events.ended;
  t.equal(cloud.server.listeners, 0);
});

t.test("the last key of scope USER that does not end stays", async (t) => {
  const cloud = await startTestCloud(t);
  const [first] = await cloud.rows<{ id: string }>("SELECT id FROM api_key");
  await cloud.call("create_api_key", { name: "ci", scope: "RUNNER" });
  await cloud.call("create_api_key", { name: "visitor", expires_at: "2999-01-01T00:00:00Z" });
  const refusal = refusalOf(cloud.call("delete_api_key", { key_id: first!.id }));
  t.match(await refusal, { code: "INPUT_INVALID", message: /"first key" is the last one of scope USER/ });
  const { key } = await cloud.call("create_api_key", { name: "successor" });
  const gone = await cloud.call("delete_api_key", { key_id: first!.id }, headersOf(key));
  t.equal(gone.success, true);
  t.equal(await codeOf(cloud, cloud.token), "UNAUTHENTICATED");
});

t.test("a key makes none that outlasts it, that is over, or that is another user's", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const at = (ms: number) => new Date(clock.now() + ms).toISOString();
  const short = await cloud.call("create_api_key", { name: "short", expires_at: at(60_000) });
  const headers = headersOf(short.key);
  const longer = cloud.call("create_api_key", { name: "longer", expires_at: at(60_001) }, headers);
  t.match(await refusalOf(longer), { code: "FORBIDDEN", message: /would last until/ });
  const { id } = await cloud.call("create_api_key", { name: "same" }, headers);
  t.strictSame(await cloud.rows("SELECT expires_at FROM api_key WHERE id = ?1", id), [{ expires_at: at(60_000) }]);
  const over = cloud.call("create_api_key", { name: "over", expires_at: at(0) });
  t.match(await refusalOf(over), { code: "INPUT_INVALID", message: /which is over/ });
  for (const name of ["", "  ", "x".repeat(201)]) {
    t.match(await refusalOf(cloud.call("create_api_key", { name })), { code: "INPUT_INVALID", message: /`name`/ });
  }
  const theirs = cloud.call("create_api_key", { name: "theirs", user_id: UNKNOWN_ID });
  t.match(await refusalOf(theirs), { code: "FORBIDDEN" });
  const [me] = await cloud.rows<{ user_id: string }>("SELECT user_id FROM api_key WHERE name = 'first key'");
  t.ok((await cloud.call("create_api_key", { name: "mine", user_id: me!.user_id })).key, "as Prefect's client asks");
});

t.test("keys are listed with their end and last use, and never with what they are", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { key } = await cloud.call("create_api_key", { name: "ci", scope: "RUNNER" });
  await codeOf(cloud, key);
  clock.forward(10_000);
  await cloud.server.tick();
  const { body } = await cloud.ask("{ auth_api_key(order_by: {name: asc}) { id name scope expires_at last_used } }");
  t.match(body.data?.auth_api_key, [
    { name: "ci", scope: "RUNNER", expires_at: null, last_used: /^2026-11-23T10:00:00/ },
    { name: "first key", scope: "USER" },
  ]);
  t.notMatch(JSON.stringify(body), key);
  const stored = await cloud.rows("SELECT * FROM api_key");
  t.notMatch(JSON.stringify(stored), key, "only its hash is kept");
  t.equal((stored as { key_hash: string }[])[0]?.key_hash.length, 64);
});

t.test("auth_info says which key it is and when it ends", async (t) => {
  const cloud = await startTestCloud(t);
  const made = await cloud.call("create_api_key", { name: "x", expires_at: "2999-01-01T00:00:00Z" });
  const { body } = await cloud.ask("{ auth_info { key_id expires_at } }", null, headersOf(made.key));
  t.match(body.data, { auth_info: { key_id: made.id, expires_at: "2999-01-01T00:00:00.000Z" } });
});
