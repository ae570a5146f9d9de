import { request } from "node:http";
import t from "tap";
import { MAX_BODY_BYTES } from "../../src/server/http/request-body.js";
import { mutation, startTestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t);

t.test("variables may be an object, JSON text, null, or null as JSON text", async (t) => {
  const query = "query($n: String) { project(where: {name: {_eq: $n}}) { id } }";
  for (const variables of [{ n: "x" }, '{"n":"x"}', null, "null", undefined]) {
    const { status, body } = await cloud.post(JSON.stringify({ query, variables }));
    t.equal(status, 200);
    t.strictSame(body, { data: { project: [] } }, "and no `errors` key on success");
  }
});

t.test("the same API answers at / and at /graphql", async (t) => {
  for (const path of ["/", "/graphql", "/graphql/"]) {
    t.strictSame((await cloud.post('{"query":"{ hello }"}', {}, path)).body, { data: { hello: "hello" } });
  }
  const headers = { authorization: `Bearer ${cloud.token}` };
  const got = await fetch(`${cloud.url}/graphql?query=${encodeURIComponent("{ hello }")}`, { headers });
  t.strictSame(await got.json(), { data: { hello: "hello" } });
  const asking = '{ project(where: {name: {_eq: "what?"}}) { id } }';
  const asked = await fetch(`${cloud.url}/graphql?query=${encodeURIComponent(asking).replace("%3F", "?")}`, {
    headers,
  });
  t.strictSame(await asked.json(), { data: { project: [] } }, "a question mark may stand in the query as it is");
  const put = await fetch(cloud.url, { method: "PUT", headers, body: "{}" });
  t.equal(put.status, 405);
  const doing = encodeURIComponent('mutation { create_project(input: {name: "by link"}) { id } }');
  const mutated = await fetch(`${cloud.url}/graphql?query=${doing}`, { headers });
  t.equal(mutated.status, 405);
  t.equal(mutated.headers.get("allow"), "POST");
  const accept = "text/event-stream";
  const streamed = await fetch(`${cloud.url}/graphql/stream?query=${doing}`, { headers: { ...headers, accept } });
  t.equal(streamed.status, 405);
  t.strictSame(await cloud.rows("SELECT id FROM project WHERE name = 'by link'"), [], "following a link does nothing");
});

t.test("a body that is not a request is refused with status 400 and a code", async (t) => {
  const cases: [body: string, code: string][] = [
    ["", "INPUT_INVALID"],
    ["{", "INPUT_INVALID"],
    ["[]", "INPUT_INVALID"],
    ['{"query":7}', "INPUT_INVALID"],
    ['{"query":"{ hello }","variables":"{"}', "INPUT_INVALID"],
    ['{"query":"{ hello }","variables":[1]}', "INPUT_INVALID"],
    ['{"query":"{ hello }","operationName":7}', "INPUT_INVALID"],
    ['{"query":"{ hello"}', "GRAPHQL_PARSE_FAILED"],
    ['{"query":"{ goodbye }"}', "GRAPHQL_VALIDATION_FAILED"],
    ['{"query":"mutation { create_project(input: {name: \\"a\\", colour: 1}) { id } }"}', "GRAPHQL_VALIDATION_FAILED"],
    ['{"query":"query A { hello } query B { hello }"}', "GRAPHQL_VALIDATION_FAILED"],
    ['{"query":"query A { hello }","operationName":"B"}', "GRAPHQL_VALIDATION_FAILED"],
  ];
  for (const [body, code] of cases) {
    const answer = await cloud.post(body);
    t.equal(answer.status, 400, body);
    t.equal(answer.body.errors?.[0]?.extensions.code, code, body);
  }
});

t.test("variables that do not fit the schema are INPUT_INVALID and name what is wrong", async (t) => {
  const unknown = await cloud.ask(mutation("create_project"), { input: { name: "a", colour: "red" } });
  t.match(unknown.body.errors, [{ message: /colour/, extensions: { code: "INPUT_INVALID" } }]);
  const missing = await cloud.ask(mutation("create_project"), { input: {} });
  t.match(missing.body.errors, [{ message: /name/, extensions: { code: "INPUT_INVALID" } }]);
  const badId = await cloud.ask(mutation("cancel_flow_run"), { input: { flow_run_id: "seven" } });
  t.match(badId.body.errors, [{ message: /"seven" is not a UUID/, extensions: { code: "INPUT_INVALID" } }]);
  const badTime = await cloud.ask(mutation("get_runs_in_queue"), { input: { before: "soon" } });
  t.match(badTime.body.errors, [{ message: /ISO 8601/, extensions: { code: "INPUT_INVALID" } }]);
});

t.test("an instant without a zone is UTC, one with a zone is converted, and a UUID may be in capitals", async (t) => {
  const query = mutation("get_runs_in_queue");
  for (const before of ["2026-11-23T10:53:48.586928", "2026-11-23T11:53:48+01:00", "2026-11-23"]) {
    t.strictSame((await cloud.ask(query, { input: { before } })).body, {
      data: { get_runs_in_queue: { flow_run_ids: [] } },
    });
  }
  const { id } = await cloud.call("create_project", { name: "capitals" });
  const found = await cloud.ask("query($id: UUID!) { project_by_pk(id: $id) { name } }", { id: id.toUpperCase() });
  t.strictSame(found.body, { data: { project_by_pk: { name: "capitals" } } });
});

t.test("one item may stand where a list is wanted", async (t) => {
  const { body } = await cloud.ask(mutation("write_run_logs"), { input: { logs: { message: "alone" } } });
  t.strictSame(body, { data: { write_run_logs: { success: true, error: null } } });
});

t.test("an escaped surrogate pair in a literal is one character", async (t) => {
  const query = 'mutation { create_project(input: {name: "run \\ud83d\\ude00"}) { id } }';
  t.notOk((await cloud.ask(query)).body.errors);
  t.strictSame(await cloud.rows("SELECT name FROM project WHERE name LIKE 'run %'"), [{ name: "run 😀" }]);
});

t.test("a body above the limit is BODY_TOO_LARGE with status 413, and the connection still serves", async (t) => {
  const query = mutation("create_project");
  const atLimit = JSON.stringify({ query, variables: { input: { name: "large", description: "" } } });
  const filled = atLimit.replace('""', JSON.stringify("x".repeat(MAX_BODY_BYTES - atLimit.length)));
  t.equal(Buffer.byteLength(filled), MAX_BODY_BYTES);
  t.equal((await cloud.post(filled)).status, 200);
  const answer = await cloud.post(`${filled} `);
  t.equal(answer.status, 413);
  t.match(answer.body.errors, [{ extensions: { code: "BODY_TOO_LARGE" }, message: /5242881 bytes/ }]);
  t.equal((await cloud.ask("{ hello }")).status, 200);
});

t.test("a client that goes away in the middle of a body harms nobody and is not logged", async (t) => {
  await new Promise<void>((resolve) => {
    const cut = request(cloud.url, {
      method: "POST",
      headers: { "content-length": 1_000, authorization: `Bearer ${cloud.token}` },
    });
    cut.once("error", () => resolve());
    cut.write("{", () => cut.destroy(new Error("gone")));
  });
  t.equal((await cloud.ask("{ hello }")).status, 200);
  t.strictSame(cloud.log, []);
});

t.test(
  "an unknown failure is INTERNAL: the caller is told an id, which stands in the log with the cause",
  async (t) => {
    const { id } = await cloud.call("create_project", { name: "broken" });
    const flow = await cloud.call("create_flow", { project_id: id, serialized_flow: { name: "f" } });
    await cloud.server.database.write((transaction) =>
      transaction.run("UPDATE flow SET parameters = 'secret, and not JSON' WHERE id = ?1", flow.id),
    );
    const { status, body } = await cloud.ask(mutation("create_flow_run"), { input: { flow_id: flow.id } });
    t.equal(status, 200);
    const [error] = body.errors ?? [];
    t.equal(error?.extensions.code, "INTERNAL");
    t.notMatch(JSON.stringify(body), /secret/);
    const failureId = /[0-9a-f-]{36}/.exec(error?.message ?? "")?.[0] ?? "no id";
    t.match(cloud.log, [{ level: "error", message: new RegExp(failureId), error: { message: /JSON/ } }]);
    t.strictSame(await cloud.rows("SELECT id FROM flow_run"), [], "and nothing was written");
  },
);

t.test("several mutations of one request are done in order, and a refused one leaves the others", async (t) => {
  const query = `mutation {
    a: create_project(input: {name: "twice"}) { id }
    b: create_project(input: {name: "twice"}) { id }
    c: create_project(input: {name: "after"}) { id } }`;
  const { body } = await cloud.ask(query);
  t.equal(body.data, null, "a payload is never null, so the whole answer is");
  t.match(body.errors, [{ path: ["b"] }]);
  t.equal((await cloud.rows("SELECT id FROM project WHERE name = 'twice'")).length, 1);
});
