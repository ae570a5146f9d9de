import { join } from "node:path";
import { buildSchema, graphql } from "graphql";
import t from "tap";
import type { SqlValue } from "../../src/db/database.js";
import { SqliteConnection } from "../../src/db/sqlite/sqlite-connection.js";
import { kyselyOver } from "../../src/db/sqlite/sqlite-dialect.js";
import { schemaText } from "../../src/server/api/schema.js";
import { addReadApi } from "../../src/server/read/read-schema.js";
import { openReadWorld, uuid } from "../helpers/read-world.js";

/*
 * How SQLite finds what lists ask for, in each statement that the read API makes of a query. The planner has no statistics here,
 * nor in a Cloud: it plans the same for a hundred rows and for a million.
 */

const folder = t.testdir();
const world = await openReadWorld(folder);
const connection = new SqliteConnection(join(folder, "millrace.db"), { queryOnly: true });
t.after(async () => {
  connection.close();
  await world.close();
});

/** The plan of each statement, in order. */
async function plansOf(query: string): Promise<string[]> {
  const plans: string[] = [];
  const explaining = {
    all: <Row>(sql: string, parameters: readonly SqlValue[]): Row[] => {
      const steps = connection.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, parameters);
      plans.push(steps.map(({ detail }) => detail).join("\n"));
      return connection.all<Row>(sql, parameters);
    },
  };
  const read = kyselyOver(explaining as SqliteConnection);
  const database = {
    kind: "sqlite" as const,
    read,
    snapshot: <T>(work: (db: typeof read) => Promise<T>) => work(read),
  };
  const schema = addReadApi(buildSchema(schemaText), { database });
  const contextValue = { tenantId: uuid(1, 1, 0), variables: {} };
  const { errors } = await graphql({ schema, source: `query { ${query} }`, contextValue });
  if (errors) throw errors[0];
  return plans;
}

const run = uuid(8, 1, 1);
const NEWEST = "limit: 10, order_by: {created: desc}";

/** A query, and what each of its statements is found by. */
const lists: [title: string, query: string, ...uses: RegExp[]][] = [
  [
    "the newest runs",
    `flow_run(${NEWEST}) { id flow { name } }`,
    /^SCAN t USING INDEX flow_run_newest$/,
    /SEARCH t USING INDEX \w+ \(id=\?\)/,
  ],
  [
    "the newest runs of a flow's name in a project",
    `flow_run(where: {flow: {_and: {name: {_eq: "orders"}, project: {name: {_eq: "Sales"}}}}}, ${NEWEST}) { id }`,
    /^SCAN t\b.*\n[\s\S]*SEARCH f1 .*INDEX \w+ \(id=\?\)$/,
    /SEARCH t USING INDEX flow_run_by_flow \(flow_id=\?\)/,
  ],
  [
    "the newest runs in a state, with a label",
    `flow_run(where: {state: {_eq: "Failed"}, labels: {_contains: "eu"}}, ${NEWEST}) { id }`,
    /SEARCH t USING INDEX flow_run_by_state \(<expr>=\?\)(?![\s\S]*TEMP B-TREE)/,
  ],
  [
    "the newest successful runs, which most are",
    `flow_run(where: {state: {_in: ["Success", "Failed"]}}, ${NEWEST}) { id }`,
    /^SCAN t USING INDEX flow_run_newest$/m,
  ],
  [
    "the runs that were started last",
    'flow_run(where: {_and: {flow: {name: {_eq: "orders"}}, start_time: {_is_null: false}}}, limit: 5, order_by: {start_time: desc}) { id }',
    /^SEARCH t USING INDEX flow_run_started \(tenant_id=\?( AND start_time>\?)?\)(?![\s\S]*TEMP B-TREE)/,
  ],
  [
    "the newest runs of a flow",
    `flow_run(where: {flow_id: {_eq: "${uuid(4, 1, 1)}"}}, ${NEWEST}) { id }`,
    /^SEARCH t USING INDEX flow_run_by_flow \(flow_id=\?\)$/,
  ],
  [
    "a flow with its last runs",
    `flow_by_pk(id: "${uuid(4, 1, 1)}") { flow_runs(${NEWEST}) { id } }`,
    /\(id=\?\)/,
    /^SEARCH t USING INDEX flow_run_by_flow \(flow_id=\?\)$/,
  ],
  [
    "a run by its name",
    'flow_run(where: {name: {_eq: "Blue-1"}}) { id }',
    /SEARCH t USING INDEX flow_run_by_name \(name=\?\)/,
  ],
  [
    "an agent with its runs",
    "agent { flow_runs { id } }",
    /agent|SCAN t/,
    /SEARCH t USING INDEX flow_run_by_agent \(agent_id=\?\)/,
  ],
  [
    "the log of a run, from a time on",
    `flow_run(where: {id: {_eq: "${run}"}}) { logs(order_by: {timestamp: asc}, where: {timestamp: {_gt: "2026-11-23T10:00:50Z"}}) { message } }`,
    /\(id=\?\)/,
    /^SEARCH t USING INDEX log_by_run \(flow_run_id=\? AND timestamp>\?\)$/,
  ],
  [
    "the log of a task run",
    `log(where: {task_run_id: {_eq: "${uuid(9, 1, 5)}"}}, order_by: {timestamp: asc}) { message }`,
    /SEARCH t USING INDEX log_by_run \(flow_run_id=\?\)/,
  ],
  [
    "the task runs of a run, with their tasks",
    `task_run(where: {flow_run_id: {_eq: "${run}"}, map_index: {_eq: -1}}) { id task { slug } }`,
    /SEARCH t USING INDEX \w+ \(flow_run_id=\?\)/,
    /SEARCH t USING INDEX \w+ \(id=\?\)/,
  ],
  [
    "one task run of a run, by its task's slug",
    `task_run(where: {task: {slug: {_eq: "load-1"}}, flow_run_id: {_eq: "${run}"}, map_index: {_eq: -1}}) { id }`,
    /SEARCH t USING INDEX \w+ \(flow_run_id=\?\)[\s\S]*SEARCH f1 .*INDEX \w+ \(id=\?\)/,
  ],
  [
    "the runs of a task",
    `task_run(where: {task_id: {_eq: "${uuid(5, 1, 1)}"}}, limit: 10, order_by: {start_time: desc}) { id }`,
    /SEARCH t USING INDEX task_run_by_task \(task_id=\?\)/,
  ],
  [
    "cached results by their key",
    'task_run(where: {state: {_eq: "Cached"}, state_timestamp: {_gte: "2026-11-23T10:00:00"}, cache_key: {_eq: "daily"}}, order_by: {state_timestamp: desc}, limit: 100) { serialized_state }',
    /SEARCH t USING INDEX task_run_cached_by_key \(tenant_id=\? AND cache_key=\? AND state_timestamp>\?\)/,
  ],
  [
    "cached results of a task",
    `task_run(where: {state: {_eq: "Cached"}, state_timestamp: {_gte: "2026-11-23T10:00:00"}, task_id: {_eq: "${uuid(5, 1, 1)}"}}, order_by: {state_timestamp: desc}, limit: 100) { serialized_state }`,
    /SEARCH t USING INDEX task_run_cached \(task_id=\? AND state_timestamp>\?\)/,
  ],
  [
    "a mapped task run's children",
    `mapped_children(task_run_id: "${uuid(9, 1, 1)}") { state_counts }`,
    /SEARCH p USING INDEX \w+ \(id=\?\)\nSEARCH c USING INDEX \w+ \(flow_run_id=\? AND task_id=\? AND map_index>\?\)/,
  ],
  [
    "the tasks that depend on one",
    `utility_downstream_tasks(args: {start_task_ids: ["${uuid(5, 1, 0)}"]}) { depth }`,
    /SEARCH e USING COVERING INDEX edge_by_upstream \(flow_id=\? AND upstream_task_id=\?\)/,
  ],
  [
    "the tasks that one depends on",
    `utility_upstream_tasks(args: {start_task_ids: ["${uuid(5, 1, 1)}"]}) { depth }`,
    /SEARCH e USING COVERING INDEX edge_by_flow \(flow_id=\? AND downstream_task_id=\?\)/,
  ],
];

for (const [title, query, ...uses] of lists) {
  t.test(`${title}: found by an index`, async (t) => {
    const plans = await plansOf(query);
    t.equal(plans.length, uses.length, "statements");
    for (const [at, plan] of plans.entries()) t.match(plan, uses[at]!);
  });
}
