import t from "tap";
import { openReadWorld, uuid } from "../helpers/read-world.js";

const world = await openReadWorld(t.testdir());
t.after(() => world.close());

/** The first root's answer; the query must succeed. */
async function answer(query: string, variables: Record<string, unknown> = {}): Promise<unknown> {
  const { data, errors } = await world.ask(query, variables);
  if (errors) throw errors[0];
  return Object.values(data!)[0];
}

t.test("a count is of rows, of rows with a value, or of different values", async (t) => {
  const count = (args: string) => answer(`{ flow_run_aggregate { aggregate { count${args} } } }`);
  t.same(await count(""), { aggregate: { count: 8 } });
  t.same(await count("(columns: state)"), { aggregate: { count: 7 } }, "one run has no state");
  t.same(await count("(columns: state, distinct: true)"), { aggregate: { count: 4 } });
  t.same(await count("(columns: [state, flow_id], distinct: true)"), { aggregate: { count: 6 } });
  t.same(await count("(columns: [auto_scheduled, flow_id], distinct: true)"), { aggregate: { count: 6 } });
  t.same(await count("(columns: [state, flow_id])"), { aggregate: { count: 8 } }, "a pair is never null");
  t.same(await count("(distinct: true)"), { aggregate: { count: 8 } }, "without columns it is of rows");
  t.equal(world.statements(), 1);
});

t.test("values that would read the same when put together are told apart", async (t) => {
  const counted = await answer(
    `{ log_aggregate(where: {level: {_eq: "INFO"}}) { aggregate { count(columns: [message, level], distinct: true) } } }`,
  );
  t.same(counted, { aggregate: { count: 8 } });
});

t.test("smallest, largest, average and sum, of what a function takes, in one statement", async (t) => {
  t.same(
    await answer(`{ flow_run_aggregate { aggregate {
      count min { created name version } max { created version } avg { version } sum { version times_resurrected } } } }`),
    {
      aggregate: {
        count: 8,
        min: { created: "2026-11-23T10:00:00.000+00:00", name: "%odd-3", version: 0 },
        max: { created: "2026-11-23T10:00:07.000+00:00", version: 7 },
        avg: { version: 3.5 },
        sum: { version: 28, times_resurrected: 0 },
      },
    },
  );
  t.equal(world.statements(), 1);
  t.same(await answer(`{ task_aggregate { aggregate { max { retry_delay } } } }`), {
    aggregate: { max: { retry_delay: "00:01:30" } },
  });
  const { errors } = await world.ask("{ flow_run_aggregate { aggregate { avg { name } } } }");
  t.match(errors?.[0]?.message, /Cannot query field "name"/);
});

t.test("of no rows there is no smallest, and their number is 0", async (t) => {
  const none = { aggregate: { count: 0, min: { created: null }, avg: { version: null } }, nodes: [] };
  const select = "{ aggregate { count min { created } avg { version } } nodes { id } }";
  t.same(await answer(`{ flow_run_aggregate(where: {name: {_eq: "nobody"}}) ${select} }`), none);
  t.same(await answer(`{ flow_run_aggregate(where: {name: {_is_null: true}}) ${select} }`), none);
  t.equal(world.statements(), 0, "nothing to ask the database for");
  t.same(
    await answer(`{ flow_by_pk(id: "${uuid(4, 1, 0)}") { flow_runs_aggregate(where: {name: {_eq: "x"}}) ${select} } }`),
    {
      flow_runs_aggregate: none,
    },
  );
});

t.test("an aggregate is of the list's own page", async (t) => {
  t.same(
    await answer(
      "{ flow_run_aggregate(order_by: {created: desc}, limit: 3, offset: 1) { aggregate { count min { name version } } nodes { name } } }",
    ),
    {
      aggregate: { count: 3, min: { name: "Blue-5", version: 4 } },
      nodes: [{ name: "green_1-6" }, { name: "Blue-5" }, { name: "red-4" }],
    },
  );
  t.same(await answer("{ flow_aggregate(distinct_on: name) { aggregate { count } } }"), { aggregate: { count: 2 } });
  t.same(
    await answer(
      "{ flow_aggregate(distinct_on: name, order_by: [{name: asc}, {version: desc}]) { aggregate { sum { version } } } }",
    ),
    { aggregate: { sum: { version: 3 } } },
    "of each name the newest",
  );
});

t.test("below many rows it takes a statement for the values and one for the rows", async (t) => {
  const projects = (await answer(`{ project(order_by: {name: desc}) { name
    flows_aggregate(order_by: {version: desc}) {
      aggregate { count names: count(columns: name, distinct: true) max { version } }
      nodes { version tasks_aggregate { aggregate { count sum { max_retries } } } } } } }`)) as object[];
  t.same(projects, [
    {
      name: "Sales",
      flows_aggregate: {
        aggregate: { count: 2, names: 1, max: { version: 2 } },
        nodes: [2, 1].map((version) => ({
          version,
          tasks_aggregate: { aggregate: { count: 2, sum: { max_retries: 3 } } },
        })),
      },
    },
    {
      name: "Ops",
      flows_aggregate: {
        aggregate: { count: 1, names: 1, max: { version: 1 } },
        nodes: [{ version: 1, tasks_aggregate: { aggregate: { count: 2, sum: { max_retries: 3 } } } }],
      },
    },
  ]);
  t.equal(world.statements(), 4, "projects, their aggregates, their flows, the flows' aggregates");
});

t.test("the same aggregate may be asked for by several names and in fragments", async (t) => {
  const asked = `query ($only: Boolean!) { flow_aggregate { a: aggregate { count } ...more
    rows: nodes { id @include(if: $only) name } names: nodes { name } } }
    fragment more on flow_aggregate { b: aggregate { __typename count(columns: version, distinct: true) } }`;
  t.match(await answer(asked, { only: false }), {
    a: { count: 3 },
    b: { __typename: "flow_aggregate_fields", count: 2 },
    rows: [{ name: "orders" }, { name: "orders" }, { name: "report" }],
    names: [{ name: "orders" }, { name: "orders" }, { name: "report" }],
  });
});

t.test("keys of a JSON object are asked for one by one, or several at once", async (t) => {
  const named = async (condition: string) =>
    ((await answer(`{ flow_run(where: {labels: {${condition}}}, order_by: {created: asc}) { name } }`)) as object[])
      .length;
  t.equal(await named('_has_keys_any: ["gpu", "GPU"]'), 4);
  t.equal(await named('_has_keys_all: ["eu", "gpu"]'), 2);
  t.equal(await named('_has_keys_all: "eu"'), 4);
  t.equal(await named("_has_keys_any: []"), 0);
  t.equal(await named("_has_keys_all: []"), 8);
});
