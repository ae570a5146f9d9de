import t from "tap";
import { openReadWorld, uuid } from "../helpers/read-world.js";

/*
 * The queries that Prefect 1.4.1 sends to roots that are tables, in its own words, each with the number of SQL statements
 * that it may take: one a relation, whatever the number of rows.
 */

const world = await openReadWorld(t.testdir());
t.after(() => world.close());

const run = uuid(8, 1, 1);
const flowId = uuid(4, 1, 1);
const count = (length: number) => (rows: unknown) => (rows as unknown[]).length === length;

type Check = (answer: never) => boolean;
type Query = [title: string, statements: number, root: string, check: Check | object | null];

const queries: Query[] = [
  ["default tenant", 1, "tenant { id }", [{ id: uuid(1, 1, 0) }]],
  ["cloud url", 1, "tenant { id slug }", [{ id: uuid(1, 1, 0), slug: "tenant-1" }]],
  ["tenants in order", 1, "tenant(order_by: {slug: asc}) { id slug name }", count(1)],
  ["one tenant", 1, `tenant(where: {id: {_eq: "${uuid(1, 1, 0)}"}}) { id slug name }`, count(1)],
  ["project by name", 1, 'project(where: {name: {_eq: "Sales"}}) { id }', [{ id: uuid(2, 1, 0) }]],
  ["after register", 1, `flow_by_pk(id: "${flowId}") { flow_group_id }`, { flow_group_id: uuid(3, 1, 0) }],
  [
    "CLI register pre-check",
    1,
    `flow(where: {_and: {name: {_eq: "orders"}, project: {id: {_eq: "${uuid(2, 1, 0)}"}}}}, order_by: {version: desc}, limit: 1) { id version }`,
    [{ id: flowId, version: 2 }],
  ],
  [
    "flow view by name",
    3,
    `flow(where: {name: {_eq: "orders"}, archived: {_eq: false}, project: {name: {_eq: "Sales"}}}, order_by: {created: desc}) {
      id settings run_config serialized_flow name archived project { name } core_version storage flow_group { labels } }`,
    [
      {
        id: flowId,
        settings: { heartbeat_enabled: true, lazarus_enabled: false },
        run_config: null,
        serialized_flow: null,
        name: "orders",
        archived: false,
        project: { name: "Sales" },
        core_version: "0.1.0",
        storage: { type: "Local", flows: { orders: "/flows/orders" } },
        flow_group: { labels: ["eu"] },
      },
    ],
  ],
  [
    "flow view without a project",
    0,
    'flow(where: {name: {_eq: "orders"}, archived: {_eq: false}, project: {name: {_is_null: true}}}) { id }',
    [],
  ],
  [
    "runner init",
    5,
    `flow_run_by_pk(id: "${run}") { id name flow_id parameters context version scheduled_start_time serialized_state
      task_runs(where: {map_index: {_eq: -1}}) { id version serialized_state task { id slug } } flow { project { id name } } }`,
    {
      id: run,
      name: "Blue-1",
      flow_id: flowId,
      parameters: { n: 1, deep: { list: [1, { a: null }] } },
      context: null,
      version: 1,
      scheduled_start_time: "2026-11-23T10:00:01.000+00:00",
      serialized_state: { type: "Running", message: null, context: { tags: [] } },
      task_runs: [0, 1].map((n) => ({
        id: uuid(9, 1, 4 + n),
        version: 1,
        serialized_state: { type: "Success" },
        task: { id: uuid(5, 1, 2 + n), slug: `${["extract", "load"][n]}-1` },
      })),
      flow: { project: { id: uuid(2, 1, 0), name: "Sales" } },
    },
  ],
  ["a run that is not there", 1, `flow_run_by_pk(id: "${uuid(8, 1, 77)}") { id }`, null],
  [
    "heartbeat setting: the group's settings over the flow's",
    2,
    `flow_run_by_pk(id: "${uuid(8, 1, 2)}") { flow { settings } }`,
    { flow: { settings: { version_locking_enabled: true, heartbeat_enabled: true, lazarus_enabled: false } } },
  ],
  [
    "cache candidates, by a time without a zone",
    1,
    'task_run(where: {state: {_eq: "Cached"}, state_timestamp: {_gte: "2026-11-23T10:00:43.586928"}, cache_key: {_eq: "daily"}}, order_by: {state_timestamp: desc}, limit: 100) { state_timestamp serialized_state }',
    [7, 6, 5, 4, 3].map((r) => ({
      state_timestamp: `2026-11-23T10:00:${41 + r}.000+00:00`,
      serialized_state: { type: "Success" },
    })),
  ],
  [
    "agent metadata",
    3,
    `flow_run(where: {id: {_in: ["${uuid(8, 1, 0)}", "${run}", "${uuid(8, 1, 4)}"]}, _or: [{state: {_eq: "Scheduled"}},
      {state: {_eq: "Running"}, task_runs: {state_start_time: {_lte: "2026-11-23T10:00:02+00:00"}}}]}, order_by: {id: asc}) {
      id version state serialized_state parameters scheduled_start_time run_config name
      flow { id name environment storage version core_version }
      task_runs(where: {state_start_time: {_lte: "2026-11-23T10:00:02+00:00"}}) { id version task_id serialized_state } }`,
    (rows: { id: string; task_runs: unknown[]; flow: { version: number } }[]) =>
      rows.length === 2 && rows[1]!.id === run && rows[1]!.task_runs.length === 1 && rows[1]!.flow.version === 2,
  ],
  [
    "execute flow-run",
    2,
    `flow_run(where: {id: {_eq: "${run}"}}) { flow { name storage run_config } version }`,
    (rows: { flow: { name: string } }[]) => rows[0]!.flow.name === "orders",
  ],
  [
    "flow run view",
    2,
    `flow_run(where: {id: {_eq: "${run}"}}) { id name flow_id serialized_state states { timestamp serialized_state } labels parameters context updated run_config }`,
    (rows: { states: unknown[]; labels: unknown; updated: string }[]) => {
      t.same(rows[0]!.labels, ["eu"]);
      t.equal(rows[0]!.updated, "2026-11-23T10:00:01.000+00:00");
      t.same(rows[0]!.states, [
        { timestamp: "2026-11-23T10:00:02.000+00:00", serialized_state: { type: "Scheduled" } },
        { timestamp: "2026-11-23T10:00:03.000+00:00", serialized_state: { type: "Running" } },
      ]);
      return true;
    },
  ],
  [
    "logs since the last look",
    2,
    `flow_run(where: {id: {_eq: "${run}"}}) { logs(order_by: {timestamp: asc}, where: {_and: [{timestamp: {_lte: "2026-11-23T10:00:52Z"}}, {timestamp: {_gt: "2026-11-23T10:00:50.000+00:00"}}]}) { timestamp message level } }`,
    [
      {
        logs: [1, 2].map((line) => ({
          timestamp: `2026-11-23T10:00:${50 + line}.000+00:00`,
          message: `line ${line} of run 1`,
          level: line === 2 ? "ERROR" : "INFO",
        })),
      },
    ],
  ],
  [
    "logs for the first time",
    2,
    `flow_run(where: {id: {_eq: "${run}"}}) { logs(order_by: {timestamp: asc}, where: {_and: [{timestamp: {_lte: "2026-11-23T10:00:52Z"}}, {}]}) { message } }`,
    (rows: { logs: unknown[] }[]) => rows[0]!.logs.length === 3,
  ],
  [
    "task run by slug",
    2,
    `task_run(where: {task: {slug: {_eq: "load-1"}}, flow_run_id: {_eq: "${run}"}, map_index: {_eq: -1}}) { id name task { id slug } map_index serialized_state flow_run_id }`,
    count(1),
  ],
  [
    "mapped children in order",
    2,
    `task_run(where: {task: {slug: {_eq: "load-1"}}, flow_run_id: {_eq: "${run}"}, map_index: {_neq: -1}}, order_by: {map_index: asc}) { map_index task { slug } }`,
    [0, 1].map((map_index) => ({ map_index, task: { slug: "load-1" } })),
  ],
  [
    "task runs that are not known yet",
    1,
    `task_run(where: {map_index: {_eq: -1}, flow_run_id: {_eq: "${run}"}, id: {_nin: ["${uuid(9, 1, 4)}"]}}) { id }`,
    [{ id: uuid(9, 1, 5) }],
  ],
  ["task runs but none", 1, `task_run(where: {flow_run_id: {_eq: "${run}"}, id: {_nin: []}}) { id }`, count(4)],
  [
    "run --execute, states",
    2,
    `flow_run(where: {id: {_eq: "${run}"}}) { states(where: {state: {_eq: "Scheduled"}}) { start_time created } scheduled_start_time }`,
    [
      {
        states: [{ start_time: "2026-11-23T10:00:01.000+00:00", created: "2026-11-23T10:00:02.000+00:00" }],
        scheduled_start_time: "2026-11-23T10:00:01.000+00:00",
      },
    ],
  ],
  [
    "run --execute, task runs",
    1,
    `task_run(where: {state_start_time: {_is_null: false}, flow_run_id: {_eq: "${run}"}, flow_run: {state: {_eq: "Running"}}}) { state_start_time }`,
    count(1),
  ],
  [
    "agents",
    1,
    "agent(order_by: {name: asc}) { last_queried labels name id }",
    (rows: { labels: string[] }[]) => rows.length === 2 && rows[0]!.labels[0] === "eu",
  ],
  [
    "api keys",
    1,
    "auth_api_key(order_by: {name: asc}) { name expires_at }",
    [
      { name: "key-0", expires_at: null },
      { name: "key-1", expires_at: "2026-11-23T10:00:59.000+00:00" },
    ],
  ],
  [
    "get flows: the newest version of each name",
    2,
    "flow(where: {_and: {name: {_eq: null}, version: {_eq: null}, project: {name: {_eq: null}}}}, order_by: {name: asc, version: desc}, distinct_on: name, limit: 10) { name version created id project { name } }",
    [
      { name: "orders", version: 2, created: "2026-11-23T10:00:01.000+00:00", id: flowId, project: { name: "Sales" } },
      {
        name: "report",
        version: 1,
        created: "2026-11-23T10:00:02.000+00:00",
        id: uuid(4, 1, 2),
        project: { name: "Ops" },
      },
    ],
  ],
  [
    "get flows --all-versions",
    1,
    "flow(where: {_and: {name: {_eq: null}}}, order_by: {name: asc, version: desc}, distinct_on: null, limit: 10) { name version }",
    [
      { name: "orders", version: 2 },
      { name: "orders", version: 1 },
      { name: "report", version: 1 },
    ],
  ],
  [
    "get projects",
    2,
    "project(where: {_and: {name: {_eq: null}}}, order_by: {name: asc}) { name created description flows_aggregate(distinct_on: name) { aggregate { count } } }",
    [
      {
        name: "Ops",
        created: "2026-11-23T10:00:01.000+00:00",
        description: null,
        flows_aggregate: { aggregate: { count: 1 } },
      },
      {
        name: "Sales",
        created: "2026-11-23T10:00:00.000+00:00",
        description: "What is sold",
        flows_aggregate: { aggregate: { count: 1 } },
      },
    ],
  ],
  [
    "get flow-runs",
    2,
    "flow_run(where: {flow: {_and: {name: {_eq: null}, project: {name: {_eq: null}}}}}, limit: 3, order_by: {created: desc}) { flow { name } id created state name start_time }",
    (rows: { name: string }[]) => rows.map(({ name }) => name).join() === "%odd-7,green_1-6,Blue-5",
  ],
  [
    "get flow-runs --started",
    2,
    'flow_run(where: {_and: {flow: {_and: {name: {_eq: "orders"}, project: {name: {_eq: null}}}}, start_time: {_is_null: false}}}, limit: 10, order_by: {start_time: desc}) { flow { name } name start_time }',
    (rows: { name: string }[]) => rows.map(({ name }) => name).join() === "%odd-3,green_1-6,red-0",
  ],
  [
    "get tasks",
    2,
    'task(where: {_and: {name: {_eq: "load"}, flow: {name: {_eq: "orders"}, version: {_eq: null}, project: {name: {_eq: null}}}}}, limit: 10, order_by: {created: desc}) { name created flow { name version } mapped type }',
    (rows: { flow: { version: number }; mapped: boolean }[]) =>
      rows.map(({ flow }) => flow.version).join() === "2,1" && rows[0]!.mapped === false,
  ],
  [
    "get logs",
    2,
    'flow_run(where: {name: {_eq: "Blue-1"}, id: {_eq: null}}, order_by: {start_time: desc}) { logs(order_by: {timestamp: asc}) { timestamp info } start_time }',
    (rows: { logs: { info: unknown }[]; start_time: null }[]) => {
      t.same(rows[0]!.logs[1]!.info, { pid: 7 });
      return rows[0]!.start_time === null;
    },
  ],
  [
    "describe tasks",
    2,
    'flow(where: {_and: {name: {_eq: "orders"}, version: {_eq: null}, project: {name: {_eq: null}}}}, order_by: {name: asc, version: desc}, distinct_on: name) { tasks { name created slug description type max_retries retry_delay mapped } }',
    (rows: { tasks: { name: string; retry_delay: string | null; max_retries: number }[] }[]) =>
      rows[0]!.tasks.some((task) => task.name === "load" && task.retry_delay === "00:01:30" && task.max_retries === 3),
  ],
  [
    "describe flow-runs",
    2,
    'flow_run(where: {_and: {name: {_eq: "Blue-1"}, flow: {name: {_eq: "orders"}}}}) { name flow { name } created parameters auto_scheduled scheduled_start_time start_time end_time serialized_state }',
    (rows: { auto_scheduled: boolean }[]) => rows[0]!.auto_scheduled,
  ],
];

for (const [title, statements, root, expected] of queries) {
  t.test(title, async (t) => {
    const { data, errors } = await world.ask(`query { ${root} }`);
    t.equal(errors, undefined);
    const answer = Object.values(data ?? {})[0];
    if (typeof expected === "function") t.ok(expected(answer as never), JSON.stringify(answer));
    else t.same(answer, expected);
    t.equal(world.statements(), statements, "statements");
  });
}

t.test("tenant switch asks by a variable of its own type", async (t) => {
  const query = "query($slug: String) { tenant(where: {slug: {_eq: $slug}}) { id } }";
  t.same((await world.ask(query, { slug: "tenant-1" })).data, { tenant: [{ id: uuid(1, 1, 0) }] });
  t.same((await world.ask(query, { slug: "tenant-2" })).data, { tenant: [] });
  t.same((await world.ask(query, { slug: null })).data, { tenant: [{ id: uuid(1, 1, 0) }] });
});
