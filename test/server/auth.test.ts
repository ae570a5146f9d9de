import t from "tap";
import { newId } from "../../src/core/ids.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { HandClock, mutation, refusalOf, startTestCloud } from "../helpers/server.js";

const clock = new HandClock();
const cloud = await startTestCloud(t, { clock });

t.test("without a good token every request is UNAUTHENTICATED, with status 200 and the word in the text", async (t) => {
  const headers: [string, RegExp][] = [
    ["", /no token/],
    ["Basic abc", /Malformed Authorization header/],
    ["Bearer", /Malformed Authorization header/],
    ["Bearer a b", /Malformed Authorization header/],
    ["Bearer unknown", /not known/],
    [`Bearer ${cloud.token}x`, /not known/],
  ];
  for (const [authorization, message] of headers) {
    for (const query of ["{ hello }", "{ goodbye }", "{"]) {
      const { status, body } = await cloud.ask(query, null, { authorization });
      t.equal(status, 200);
      t.match(body.errors, [{ extensions: { code: "UNAUTHENTICATED" } }]);
      t.match(body.errors?.[0]?.message, /UNAUTHENTICATED/);
      t.match(body.errors?.[0]?.message, message);
      t.notOk(body.data);
    }
  }
});

t.test("auth_info says whose the token is", async (t) => {
  const { body } = await cloud.ask("{ auth_info { tenant_id user_id scope name } }");
  t.match(body.data, {
    auth_info: { tenant_id: /^[0-9a-f-]{36}$/, user_id: /^[0-9a-f-]{36}$/, scope: "USER", name: "first key" },
  });
});

t.test("api says what the server is", async (t) => {
  const { body } = await cloud.ask("{ api { backend mode version core_version } }");
  t.match(body.data, { api: { backend: "SERVER", mode: "normal", version: /^\d/ } });
});

t.test("a key that was made works until it expires", async (t) => {
  const expires_at = new Date(clock.now() + 60_000).toISOString();
  const { key } = await cloud.call("create_api_key", { name: "short", expires_at });
  const headers = { authorization: `Bearer ${key}` };
  t.match((await cloud.ask("{ auth_info { name scope } }", null, headers)).body, {
    data: { auth_info: { name: "short", scope: "USER" } },
  });
  clock.forward(60_000);
  t.match((await cloud.ask("{ hello }", null, headers)).body.errors, [
    { message: /expired at/, extensions: { code: "UNAUTHENTICATED" } },
  ]);
});

t.test("a RUNNER key works, but makes no keys, and a scope that is none is refused", async (t) => {
  const { key } = await cloud.call("create_api_key", { name: "runner", scope: "RUNNER" });
  const headers = { authorization: `Bearer ${key}` };
  t.match((await cloud.ask("{ hello }", null, headers)).body, { data: { hello: "hello" } });
  t.equal((await refusalOf(cloud.call("create_api_key", { name: "more" }, headers))).code, "FORBIDDEN");
  t.match(await refusalOf(cloud.call("create_api_key", { name: "odd", scope: "KING" })), {
    code: "INPUT_INVALID",
    message: /KING/,
  });
});

t.test("when a key was last used, and an agent last asked, is written by the loops, not by the request", async (t) => {
  const { id } = await cloud.call("register_agent", { type: "LocalAgent", name: "a", labels: [] });
  clock.forward(10_000);
  await cloud.call("claim_runs", { agent_id: id, labels: [], limit: 1, lease_ms: 1_000 });
  await cloud.server.tick();
  const at = new Date(clock.now()).toISOString();
  t.strictSame(await cloud.rows("SELECT last_queried FROM agent"), [{ last_queried: at }]);
  t.strictSame(await cloud.rows("SELECT last_used FROM api_key WHERE name = 'first key'"), [{ last_used: at }]);
});

t.test("a subscription without a token is refused with status 401", async (t) => {
  const headers = { accept: "text/event-stream", authorization: "" };
  const query = 'subscription { agent_events(agent_id: "018f0000-0000-7000-8000-000000000001") { run_due } }';
  const { status, body } = await cloud.post(JSON.stringify({ query }), headers, "/graphql/stream");
  t.equal(status, 401);
  t.match(body.errors, [{ extensions: { code: "UNAUTHENTICATED" } }]);
});

t.test("rows of another tenant can be neither reached nor changed", async (t) => {
  const [mine, theirs] = ["018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"];
  const at = "2026-11-23T10:00:00.000Z";
  await cloud.server.database.write(async ({ query }) => {
    const row = { created: at, updated: at };
    await query
      .insertInto("tenant")
      .values({ ...row, id: mine, name: "other", slug: "other" })
      .execute();
    await query
      .insertInto("project")
      .values({ ...row, id: theirs, tenant_id: mine, name: "theirs", description: null })
      .execute();
  });
  const create = cloud.ask(mutation("create_flow"), { input: { project_id: theirs, serialized_flow: { name: "f" } } });
  t.match((await create).body.errors, [{ extensions: { code: "PROJECT_NOT_FOUND" } }]);
});

t.test("two tenants share neither report streams nor agents, though they may name the same", async (t) => {
  const at = new Date(clock.now()).toISOString();
  const theirs = await addSecondTenant(cloud, at);
  const { id: agent_id } = await cloud.call("register_agent", { type: "LocalAgent", name: "mine", labels: [] });
  const stream_id = newId();
  const report = (batch: number, headers?: Record<string, string>) =>
    cloud.call("report_states", { agent_id, stream_id, batch, runs: [] }, headers);
  await report(1);
  await report(99, theirs);
  t.strictSame(await report(2), { refused: [], cancelling: [], queued: [], granted: [] });

  const renew = (headers?: Record<string, string>) =>
    cloud.call("renew_leases", { agent_id, leases: [], lease_ms: 1_000 }, headers);
  t.match(await refusalOf(renew(theirs)), { code: "INPUT_INVALID", message: `There is no agent "${agent_id}".` });
  const seenAt = async () => {
    clock.forward(10_000);
    await cloud.server.tick();
    return (await cloud.rows<{ last_queried: string }>("SELECT last_queried FROM agent WHERE id = ?1", agent_id))[0]!
      .last_queried;
  };
  await cloud.call("get_runs_in_queue", { labels: [] }, { ...theirs, "x-prefect-agent-id": agent_id });
  t.equal(await seenAt(), at, "another tenant's question is not this agent's");
  const now = new Date(clock.now()).toISOString();
  await renew();
  t.equal(await seenAt(), now);
});
