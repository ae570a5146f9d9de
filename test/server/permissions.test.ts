import t from "tap";
import { tableInfo } from "../../src/db/read/describe-tables.js";
import { rootPermissions } from "../../src/server/access/guard-roots.js";
import { readPermissions, SCOPES, type Scope } from "../../src/server/access/permissions.js";
import { makeSchema } from "../../src/server/api/schema.js";
import { rootDocuments } from "../helpers/root-documents.js";
import { startTestCloud, type WireFailure } from "../helpers/server.js";

const cloud = await startTestCloud(t);
const documents = rootDocuments(makeSchema(cloud.server.database));
const tokens = new Map<Scope, string>();
for (const scope of SCOPES) {
  tokens.set(scope, (await cloud.call("create_api_key", { name: scope.toLowerCase(), scope })).key);
}
const headersOf = (scope: Scope) => ({ authorization: `Bearer ${tokens.get(scope)}` });

async function errorsOf(scope: Scope, kind: string, query: string): Promise<WireFailure[]> {
  if (kind !== "subscription") return (await cloud.ask(query, null, headersOf(scope))).body.errors ?? [];
  const response = await fetch(`${cloud.url}/graphql/stream`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", ...headersOf(scope) },
    body: JSON.stringify({ query }),
  });
  const event = /^data: (\{.*\})$/m.exec(await response.text())?.[1] ?? "{}";
  return (JSON.parse(event) as { errors?: WireFailure[] }).errors ?? [];
}

for (const scope of SCOPES) {
  t.test(`a token of scope ${scope} is let through to exactly the roots that the table gives it`, async (t) => {
    for (const { kind, name, text } of documents) {
      const type = { query: "Query", mutation: "Mutation", subscription: "Subscription" }[kind];
      const scopes = rootPermissions.get(`${type}.${name}`) ?? [];
      const errors = await errorsOf(scope, kind, text);
      t.strictSame(
        errors.filter(({ extensions }) => /^GRAPHQL_/.test(extensions.code)),
        [],
        `${kind} ${name} is a valid document`,
      );
      const refused = errors.filter(({ extensions }) => extensions.code === "FORBIDDEN");
      if (scopes.includes(scope)) t.strictSame(refused, [], `${kind} ${name} is let through`);
      else {
        t.equal(errors.length, 1, `${kind} ${name} gets one answer`);
        t.match(refused, [{ message: `needs a token of scope ${scopes.join(" or ")}` }], `${kind} ${name} is refused`);
      }
    }
  });
}

t.test("the table has no line for what the schema does not have", async (t) => {
  const types = { query: "Query", mutation: "Mutation", subscription: "Subscription" };
  const roots = documents.map(({ kind, name }) => `${types[kind]}.${name}`);
  t.strictSame([...rootPermissions.keys()].sort(), roots.sort());
});

t.test("every root is for USER; READ reads and changes nothing; tokens are for USER alone", async (t) => {
  for (const [root, scopes] of rootPermissions) {
    t.ok(scopes.includes("USER"), root);
    if (!root.startsWith("Query.")) t.notOk(scopes.includes("READ"), root);
    if (root.includes("api_key")) t.strictSame(scopes, ["USER"], root);
  }
});

t.test("no relation leads from a table to one that fewer may read", async (t) => {
  for (const { table, relations } of tableInfo.values()) {
    for (const { to, name } of relations.values()) {
      const missing = readPermissions[table].filter((scope) => !readPermissions[to].includes(scope));
      t.strictSame(missing, [], `${table}.${name}`);
    }
  }
});

t.test("aliases, fragments and directives lead past no check, and a refused mutation did nothing", async (t) => {
  const create = 'create_project(input: {name: "smuggled"}) { id }';
  const texts = [
    `mutation { hello: ${create} }`,
    `mutation { ...doing } fragment doing on Mutation { ${create} }`,
    `mutation { ... on Mutation { ... { ${create} } } }`,
    `mutation($yes: Boolean = true) { ... @include(if: $yes) { a: ${create} } }`,
  ];
  for (const text of texts) {
    t.match(await errorsOf("READ", "mutation", text), [{ extensions: { code: "FORBIDDEN" } }], text);
  }
  t.strictSame(await cloud.rows("SELECT id FROM project WHERE name = 'smuggled'"), []);
  const typed = await cloud.ask("{ __schema { queryType { name } } __typename }", null, headersOf("READ"));
  t.match(typed.body, { data: { __typename: "Query" } }, "whoever has a token may look at the schema");
});

t.test("who may not is told of the scope that is enough, and no more than that", async (t) => {
  const cases: [scope: Scope, root: string, enough: Scope][] = [
    ["READ", "create_flow_run", "DEPLOY"],
    ["READ", "create_project", "DEPLOY"],
    ["DEPLOY", "secret_value", "RUNNER"],
    ["DEPLOY", "create_api_key", "USER"],
  ];
  for (const [scope, root, enough] of cases) {
    const { kind, text } = documents.find(({ name }) => name === root)!;
    const hint = new RegExp(`^Scope ${enough}: .* --scope ${enough}`);
    t.match(await errorsOf(scope, kind, text), [{ extensions: { code: "FORBIDDEN", hint } }], root);
  }
});

t.test("a key whose scope this version does not know may do nothing", async (t) => {
  const { key, id } = await cloud.call("create_api_key", { name: "odd", scope: "READ" });
  await cloud.server.database.write((transaction) =>
    transaction.run("UPDATE api_key SET scope = 'KING' WHERE id = ?1", id),
  );
  const { body } = await cloud.ask("{ hello }", null, { authorization: `Bearer ${key}` });
  t.match(body.errors, [{ extensions: { code: "FORBIDDEN" }, message: /this one's is KING/ }]);
});
