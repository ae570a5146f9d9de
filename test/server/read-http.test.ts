import { join } from "node:path";
import t from "tap";
import { startServer } from "../../src/server/server.js";
import { uuid } from "../helpers/read-world.js";

const server = await startServer({ database: join(t.testdir(), "millrace.db"), port: 0, log: () => {} });
const [tenant] = await server.database.all<{ id: string }>("SELECT id FROM tenant");
const at = "2026-11-23T10:00:00.000Z";
await server.database.write(async ({ query }) => {
  const names = ["b", "a", "c"];
  const rows = names.map((name, n) => ({ id: uuid(2, 1, n), created: at, updated: at, tenant_id: tenant!.id, name }));
  await query
    .insertInto("project")
    .values(rows.map((row) => ({ ...row, description: row.name === "c" ? null : "same" })))
    .execute();
});

/** As Prefect's client sends it: the variables are JSON text. */
async function post(query: string, variables: unknown = null): Promise<{ status: number; answer: unknown }> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${server.token}` };
  const body = JSON.stringify({ query, variables: JSON.stringify(variables) });
  const response = await fetch(`${server.url}/graphql`, { method: "POST", headers, body });
  return { status: response.status, answer: await response.json() };
}

t.test("a root is answered over HTTP, with nothing but data", async (t) => {
  const { status, answer } = await post('{ project(where: {name: {_eq: "a"}}) { id created tenant { id } } }');
  t.equal(status, 200);
  const project = { id: uuid(2, 1, 1), created: "2026-11-23T10:00:00.000+00:00", tenant: { id: tenant!.id } };
  t.strictSame(answer, { data: { project: [project] } });
});

t.test("the keys of an order_by variable keep their order on the way through the server", async (t) => {
  const query = "query ($o: [project_order_by!]) { project(order_by: $o) { name } }";
  const named = (...names: string[]) => ({ data: { project: names.map((name) => ({ name })) } });
  t.strictSame((await post(query, { o: { description: "asc", name: "desc" } })).answer, named("b", "a", "c"));
  t.strictSame((await post(query, { o: { name: "desc", description: "asc" } })).answer, named("c", "b", "a"));
});

t.test("what cannot be answered comes back as INPUT_INVALID with status 200", async (t) => {
  for (const query of ["{ project(limit: 10001) { id } }", "{ project(offset: -1) { id } }"]) {
    const { status, answer } = await post(query);
    t.equal(status, 200);
    t.match(answer, { errors: [{ message: /"project" cannot be answered/, extensions: { code: "INPUT_INVALID" } }] });
  }
});

// A listening server keeps the process alive, so it does not wait for the end to be closed.
t.test("the server closes", () => server.close());
