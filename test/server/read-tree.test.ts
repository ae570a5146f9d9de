import t from "tap";
import { openReadWorld, type ReadWorld, uuid } from "../helpers/read-world.js";

const world = await openReadWorld(t.testdir());
t.after(() => world.close());

async function answer<T = Record<string, never>>(
  query: string,
  variables?: Record<string, unknown>,
  on: ReadWorld = world,
) {
  const { data, errors } = await on.ask(query, variables);
  if (errors) throw errors[0];
  return data as T;
}
type Versions = { flow_run: { version: number }[] };
const versions = ({ flow_run }: Versions) => flow_run.map(({ version }) => version);

t.test("one statement a relation, however many rows stand above it", async (t) => {
  const deep = `tenant { projects { flows { flow_runs { task_runs { task { slug } } } flow_runs_aggregate { aggregate { count } } } } }`;
  await answer(`{ ${deep} }`);
  t.equal(world.statements(), 7);
  await answer("{ flow_run { flow { name } again: flow { id } states { state } logs { message } agent { name } } }");
  t.equal(world.statements(), 6);
});

t.test("only what was selected is read", async (t) => {
  const { flow_run } = await answer<{ flow_run: object[] }>("{ flow_run(limit: 1) { __typename } }");
  t.same(flow_run, [{ __typename: "flow_run" }]);
  t.equal(world.statements(), 1);
});

t.test("aliases, fragments, @skip and @include read as one selection", async (t) => {
  const query = `
    query ($yes: Boolean!) {
      a: flow_run(where: {version: {_eq: 1}}) { ...run name: flow { ...of } }
      b: flow_run(where: {version: {_eq: 2}}) { ... on flow_run { flow { version } } ...run flow { name @skip(if: $yes) } }
    }
    fragment run on flow_run { title: name same: name first: task_runs(limit: 1, order_by: {created: asc}) { map_index }
      last: task_runs(limit: 1, order_by: {created: desc}) { map_index } logs @include(if: $yes) { level } states @skip(if: $yes) { id } }
    fragment of on flow { name }`;
  const { a, b } = await answer<{ a: object[]; b: object[] }>(query, { yes: true });
  const logs = ["INFO", "INFO", "ERROR"].map((level) => ({ level }));
  const ends = { first: [{ map_index: -1 }], last: [{ map_index: 1 }], logs };
  t.same(a, [{ title: "Blue-1", same: "Blue-1", ...ends, name: { name: "orders" } }]);
  t.same(b, [{ flow: { version: 1 }, title: "green_1-2", same: "green_1-2", ...ends }]);
});

t.test("the keys of order_by sort in the order in which they are written", async (t) => {
  const sorted = async (order: string) =>
    versions(await answer<Versions>(`{ flow_run(order_by: ${order}) { version } }`));
  t.same(await sorted("{auto_scheduled: asc, version: desc}"), [6, 4, 2, 0, 7, 5, 3, 1]);
  t.same(await sorted("{version: desc, auto_scheduled: asc}"), [7, 6, 5, 4, 3, 2, 1, 0]);
  t.same(await sorted("[{auto_scheduled: desc}, {version: asc}]"), [1, 3, 5, 7, 0, 2, 4, 6]);
  t.same(await sorted("{flow: {name: desc, version: asc}, version: asc}"), [2, 5, 0, 3, 6, 1, 4, 7]);
  t.same(await sorted("{flow: {project: {name: asc}}, version: desc}"), [5, 2, 7, 6, 4, 3, 1, 0]);
  t.same(await sorted("{version: null, name: null}"), [0, 1, 2, 3, 4, 5, 6, 7]);
});

t.test("so do those of a variable, and of the parts of one", async (t) => {
  const query = (type: string) => `query ($o: ${type}) { flow_run(order_by: $o) { version } }`;
  const sorted = async (type: string, o: unknown) => versions(await answer<Versions>(query(type), { o }));
  const expected = [6, 4, 2, 0, 7, 5, 3, 1];
  t.same(await sorted("[flow_run_order_by!]", { auto_scheduled: "asc", version: "desc" }), expected);
  t.same(await sorted("[flow_run_order_by!]", [{ auto_scheduled: "asc" }, { version: "desc" }]), expected);
  const inList = "query ($o: flow_run_order_by!) { flow_run(order_by: [$o]) { version } }";
  t.same(versions(await answer<Versions>(inList, { o: { auto_scheduled: "asc", version: "desc" } })), expected);
  const fallback =
    "query ($o: [flow_run_order_by!] = {auto_scheduled: asc, version: desc}) { flow_run(order_by: $o) { version } }";
  t.same(versions(await answer<Versions>(fallback)), expected);
  const parts = "query ($d: order_by, $f: flow_order_by) { flow_run(order_by: {flow: $f, version: $d}) { version } }";
  const byFlow = await answer<Versions>(parts, { d: "asc", f: { name: "desc", version: "asc" } });
  t.same(versions(byFlow), [2, 5, 0, 3, 6, 1, 4, 7]);
});

t.test("nulls sort last when ascending and first when descending, unless told otherwise", async (t) => {
  const sorted = async (direction: string) => {
    const query = `{ flow_run(order_by: {state_start_time: ${direction}, version: asc}) { version } }`;
    return versions(await answer<Versions>(query)).join("");
  };
  t.equal(await sorted("asc"), "07123456");
  t.equal(await sorted("asc_nulls_last"), "07123456");
  t.equal(await sorted("asc_nulls_first"), "12345607");
  t.equal(await sorted("desc"), "12345670");
  t.equal(await sorted("desc_nulls_first"), "12345670");
  t.equal(await sorted("desc_nulls_last"), "70123456");
});

t.test("limit and offset hold for the root and for each parent's list", async (t) => {
  t.same(versions(await answer("{ flow_run(order_by: {version: asc}, limit: 3, offset: 2) { version } }")), [2, 3, 4]);
  t.same(versions(await answer("{ flow_run(order_by: {version: asc}, offset: 6) { version } }")), [6, 7]);
  t.same(versions(await answer("{ flow_run(limit: 0) { version } }")), []);
  const query = `{ flow(order_by: {created: asc}) { flow_runs(order_by: {version: desc}, limit: 2, offset: 1) { version }
    flow_runs_aggregate(limit: 2) { aggregate { count } } rest: flow_runs(offset: 2, order_by: {version: asc}) { version } } }`;
  const list = (...numbers: number[]) => numbers.map((version) => ({ version }));
  const counted = { aggregate: { count: 2 } };
  t.same((await answer<{ flow: object[] }>(query)).flow, [
    { flow_runs: list(3, 0), flow_runs_aggregate: counted, rest: list(6) },
    { flow_runs: list(4, 1), flow_runs_aggregate: counted, rest: list(7) },
    { flow_runs: list(2), flow_runs_aggregate: counted, rest: list() },
  ]);
  t.equal(world.statements(), 4);
});

t.test("pages without an order do not overlap", async (t) => {
  const seen = new Set<string>();
  for (let offset = 0; offset < 40; offset += 7) {
    const { task_run } = await answer<{ task_run: { id: string }[] }>(
      `{ task_run(limit: 7, offset: ${offset}) { id } }`,
    );
    for (const { id } of task_run) seen.add(id);
  }
  t.equal(seen.size, 32);
});

t.test("distinct_on answers the row that sorts first, at the root, below parents, and with limits", async (t) => {
  const newest = await answer<Versions>(
    "{ flow_run(distinct_on: [auto_scheduled], order_by: {auto_scheduled: asc, version: desc}) { version } }",
  );
  t.same(versions(newest), [6, 7]);
  const query = `{ flow_run(where: {version: {_lt: 2}}, order_by: {version: asc}) {
    newest: task_runs(distinct_on: task_id, order_by: {map_index: desc}) { map_index }
    one: task_runs(distinct_on: task_id, order_by: {map_index: desc}, limit: 1) { map_index }
    second: task_runs(distinct_on: task_id, order_by: {map_index: desc}, limit: 5, offset: 1) { map_index }
    task_runs_aggregate(distinct_on: [task_id, name]) { aggregate { count } } } }`;
  const row = {
    newest: [{ map_index: 1 }, { map_index: -1 }],
    one: [{ map_index: 1 }],
    second: [{ map_index: -1 }],
    task_runs_aggregate: { aggregate: { count: 4 } },
  };
  t.same((await answer<{ flow_run: object[] }>(query)).flow_run, [row, row]);
});

t.test("aggregates count what their arguments leave", async (t) => {
  const query = `{ all: flow_run_aggregate { aggregate { count } } some: flow_run_aggregate(where: {state: {_eq: "Success"}}) { aggregate { count } }
    none: flow_run_aggregate(where: {_or: []}) { aggregate { count } } first: flow_run_aggregate(limit: 3) { aggregate { count } }
    names: flow_aggregate(distinct_on: name) { aggregate { n: count } } }`;
  const of = (count: number) => ({ aggregate: { count } });
  t.same(await answer(query), { all: of(8), some: of(2), none: of(0), first: of(3), names: { aggregate: { n: 2 } } });
});

t.test("an object relation that leads nowhere is null", async (t) => {
  const query =
    "{ flow_run(where: {version: {_eq: 0}}) { agent { name } } log(limit: 1) { task_run { id } flow_run { name } } }";
  t.same(await answer(query), { flow_run: [{ agent: null }], log: [{ task_run: null, flow_run: { name: "red-0" } }] });
});

t.test("a task's edges and a task run's logs are found through what they share", async (t) => {
  const query = `{ task(where: {flow_id: {_eq: "${uuid(4, 1, 1)}"}}, order_by: {name: asc}) { upstream_edges { key upstream_task { name } } downstream_edges { key } }
    task_run(where: {id: {_eq: "${uuid(9, 1, 5)}"}}) { logs { message } } }`;
  const edge = { key: "rows" };
  t.same(await answer(query), {
    task: [
      { upstream_edges: [], downstream_edges: [edge] },
      { upstream_edges: [{ ...edge, upstream_task: { name: "extract" } }], downstream_edges: [] },
    ],
    task_run: [{ logs: [{ message: "line 1 of run 1" }] }],
  });
});
