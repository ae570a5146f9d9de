import { type GraphQLObjectType, getNullableType, isObjectType, isScalarType } from "graphql";
import t from "tap";
import { openReadWorld, tenantRows, uuid } from "../helpers/read-world.js";

/** Tenant 2's first run was given an agent of tenant 1, as a forged header might; nothing in the database forbids it. */
const second = tenantRows(2);
const forged = uuid(7, 1, 0);
second.flow_run[0]!.agent_id = forged;
const world = await openReadWorld(t.testdir(), {}, [tenantRows(1), second]);
t.after(() => world.close());

const roots = Object.values(world.schema.getQueryType()!.getFields()).filter(({ name }) =>
  world.schema.getType(`${name}_bool_exp`),
);

function columnsOf(name: string): string {
  const fields = Object.values((world.schema.getType(name) as GraphQLObjectType).getFields());
  return fields
    .filter(({ type }) => isScalarType(getNullableType(type)))
    .map((field) => field.name)
    .join(" ");
}

/** All columns, and those of all that hangs on the row. */
function everything(name: string): string {
  const fields = Object.values((world.schema.getType(name) as GraphQLObjectType).getFields());
  const inner = fields.flatMap((field) => {
    const related = /^\[?(\w+?)!?\]?!?$/.exec(String(field.type))![1]!;
    if (related.endsWith("_aggregate")) return [`${field.name} { aggregate { count } }`];
    return isObjectType(world.schema.getType(related)) ? [`${field.name} { ${columnsOf(related)} }`] : [];
  });
  return `${columnsOf(name)} ${inner.join(" ")}`;
}

for (const { name } of roots) {
  t.test(`${name}: each tenant has its own rows and all that hangs on them`, async (t) => {
    const query = `{ ${name} { ${everything(name)} } ${name}_aggregate { aggregate { count } } }`;
    const [one, two] = [await world.ask(query, {}, 1), await world.ask(query, {}, 2)];
    t.equal(one.errors, undefined);
    t.equal(two.errors, undefined);
    t.ok((one.data![name] as unknown[]).length > 0);
    t.notOk(JSON.stringify(one.data).includes("4000-8000-0002"), "no id of tenant 2");
    // The forged id itself is the second tenant's own column.
    t.notOk(JSON.stringify(two.data).replaceAll(forged, "").includes("4000-8000-0001"), "no id of tenant 1");
    const rows = one.data![name] as { id: string }[];
    const count = { aggregate: { count: rows.length } };
    t.same(one.data![`${name}_aggregate`], count);
    t.same(two.data![`${name}_aggregate`], count);
    const byKey = `{ ${name}_by_pk(id: "${rows[0]!.id}") { id } ${name}(where: {}) { id } }`;
    t.same((await world.ask(byKey, {}, 1)).data![`${name}_by_pk`], { id: rows[0]!.id });
    t.equal((await world.ask(byKey, {}, 2)).data![`${name}_by_pk`], null);
  });
}

t.test("a row that points into another tenant shows nothing of it", async (t) => {
  const run = `where: {id: {_eq: "${uuid(8, 2, 0)}"}}`;
  const query = `{ flow_run(${run}) { agent { name } } agent { flow_runs { id } }
    filtered: flow_run(where: {id: {_eq: "${uuid(8, 2, 0)}"}, agent: {name: {_is_null: false}}}) { id }
    sorted: flow_run(${run}, order_by: {agent: {name: asc}}) { id } }`;
  const two = await world.ask(query, {}, 2);
  t.equal(two.errors, undefined);
  t.same(two.data!.flow_run, [{ agent: null }]);
  t.same(two.data!.filtered, []);
  t.equal((two.data!.sorted as unknown[]).length, 1);
  const one = await world.ask(query, {}, 1);
  t.notOk(JSON.stringify(one.data).includes(uuid(8, 2, 0)));
});

t.test("an unknown tenant has nothing", async (t) => {
  for (const { name } of roots) {
    const { data, errors } = await world.ask(`{ ${name} { id } }`, {}, 9);
    t.equal(errors, undefined);
    t.same(data![name], [], name);
  }
});

t.test("of an API key, only what is described can be asked for", async (t) => {
  const type = world.schema.getType("auth_api_key") as GraphQLObjectType;
  t.same(Object.keys(type.getFields()).sort(), ["created", "expires_at", "id", "last_used", "name", "scope"]);
  for (const query of ["{ auth_api_key { key_hash } }", '{ auth_api_key(where: {key_hash: {_like: "%"}}) { id } }']) {
    t.match((await world.ask(query)).errors?.[0]?.message, /key_hash/);
  }
});
