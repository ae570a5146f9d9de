import { join } from "node:path";
import { buildSchema, type ExecutionResult, type GraphQLSchema, graphql } from "graphql";
import type { KyselyPlugin } from "kysely";
import t from "tap";
import type { Database } from "../../src/db/database.js";
import { openDatabase } from "../../src/db/open-database.js";
import type { ReadableTable } from "../../src/db/read/describe-tables.js";
import type { Tables } from "../../src/db/tables.js";
import { schemaText } from "../../src/server/api/schema.js";
import type { ReadLimits } from "../../src/server/read/read-limits.js";
import { addReadApi } from "../../src/server/read/read-schema.js";
import { databaseAt } from "./test-database.js";

type Row = Record<string, unknown>;
export type Rows = { [T in keyof Tables]?: Row[] };

/** A UUID that says whose it is: the table's number, the tenant's, the row's. */
export function uuid(table: number, tenant: number, row: number): string {
  return `${String(table).padStart(8, "0")}-0000-4000-8000-${String(tenant).padStart(4, "0")}${String(row).padStart(8, "0")}`;
}

const at = (second: number) => new Date(Date.UTC(2026, 10, 23, 10, 0, second)).toISOString();
const stamps = (second: number) => ({ created: at(second), updated: at(second) });

/** A small Cloud, the same for each tenant but for the ids: two projects, three flows, eight runs with their histories. */
export function tenantRows(tenant: number): Pick<Required<Rows>, ReadableTable> {
  const tenant_id = uuid(1, tenant, 0);
  const own = (table: number, row: number) => ({ id: uuid(table, tenant, row), tenant_id, ...stamps(row) });
  const project = ["Sales", "Ops"].map((name, n) => ({
    ...own(2, n),
    name,
    description: n === 0 ? "What is sold" : null,
  }));
  const flow_group = [0, 1].map((n) => ({
    ...own(3, n),
    name: `group-${n}`,
    labels: n === 0 ? '["eu"]' : null,
    settings: '{"heartbeat_enabled":true,"lazarus_enabled":false}',
  }));
  const flow = [
    { version: 1, archived: 1, name: "orders", group: 0, project: 0 },
    { version: 2, archived: 0, name: "orders", group: 0, project: 0 },
    { version: 1, archived: 0, name: "report", group: 1, project: 1 },
  ].map((one, n) => ({
    ...own(4, n),
    project_id: project[one.project]!.id,
    flow_group_id: flow_group[one.group]!.id,
    version_group_id: `group-${one.group}`,
    name: one.name,
    version: one.version,
    archived: one.archived,
    storage: '{"type":"Local","flows":{"orders":"/flows/orders"}}',
    settings: n === 2 ? '{"version_locking_enabled":true}' : "{}",
    core_version: "0.1.0",
  }));
  const task = flow.flatMap((one, f) =>
    ["extract", "load"].map((name, n) => ({
      ...own(5, f * 2 + n),
      flow_id: one.id,
      name,
      slug: `${name}-1`,
      type: n === 0 ? "millrace.task" : null,
      max_retries: n * 3,
      retry_delay: n === 0 ? null : 90,
      tags: n === 0 ? "[]" : '["io","slow"]',
      is_root_task: n === 0 ? 1 : 0,
      is_terminal_task: n,
    })),
  );
  const edge = flow.map((one, f) => ({
    ...own(6, f),
    flow_id: one.id,
    upstream_task_id: task[f * 2]!.id,
    downstream_task_id: task[f * 2 + 1]!.id,
    key: f === 0 ? null : "rows",
  }));
  const agent = [0, 1].map((n) => ({
    ...own(7, n),
    name: `agent-${n}`,
    type: "LocalAgent",
    labels: '["eu"]',
    last_queried: at(n),
  }));
  const states = ["Scheduled", "Running", "Success", "Failed", "Running", "Success", null, "Scheduled"];
  const flow_run = states.map((state, n) => ({
    ...own(8, n),
    flow_id: flow[n % 3]!.id,
    name: `${["red", "Blue", "green_1", "%odd"][n % 4]}-${n}`,
    parameters: `{"n":${n},"deep":{"list":[1,{"a":null}]}}`,
    labels: ["[]", '["eu"]', '["eu","gpu"]', '["GPU"]'][n % 4]!,
    context: n % 2 ? null : "{}",
    scheduled_start_time: at(n),
    auto_scheduled: n % 2,
    agent_id: n % 3 === 0 ? null : agent[n % 2]!.id,
    version: n,
    start_time: n % 3 === 1 ? null : at(10 + (n % 4)),
    end_time: n % 3 === 2 ? at(30) : null,
    state,
    state_timestamp: state && at(20 + n),
    state_start_time: state === "Scheduled" ? at(n) : null,
    state_message: n % 2 ? 'Müller & "Söhne" 100%' : null,
    serialized_state: state && JSON.stringify({ type: state, message: null, context: { tags: [] } }),
  }));
  const task_run = flow_run.flatMap((one, r) =>
    [-1, -1, 0, 1].map((map_index, n) => ({
      ...own(9, r * 4 + n),
      flow_run_id: one.id,
      task_id: task[(r % 3) * 2 + Math.min(n, 1)]!.id,
      map_index,
      name: n === 3 ? null : `part ${n}`,
      version: 1,
      cache_key: n === 1 ? "daily" : null,
      state: ["Success", "Cached", "Running", null][n]!,
      state_timestamp: n === 3 ? null : at(40 + r + n),
      state_start_time: n === 2 ? at(r) : null,
      serialized_state: n === 3 ? null : '{"type":"Success"}',
    })),
  );
  const history = (run: Row, second: number) =>
    [1, 2].map((version) => ({
      tenant_id,
      version,
      timestamp: at(second + version),
      state: version === 1 ? "Scheduled" : "Running",
      start_time: version === 1 ? at(second) : null,
      serialized_state: `{"type":"${version === 1 ? "Scheduled" : "Running"}"}`,
      ...run,
    }));
  const flow_run_state = flow_run.flatMap((one, n) => history({ flow_run_id: one.id }, n));
  const task_run_state = task_run.slice(0, 6).flatMap((one, n) => history({ task_run_id: one.id }, n));
  const log = flow_run.slice(0, 4).flatMap((one, n) =>
    [0, 1, 2].map((line) => ({
      id: tenant * 100 + n * 3 + line,
      tenant_id,
      flow_run_id: one.id,
      task_run_id: line === 0 ? null : task_run[n * 4 + line]!.id,
      timestamp: at(50 + line),
      name: "flow",
      level: line === 2 ? "ERROR" : "INFO",
      message: `line ${line} of run ${n}`,
      info: line === 1 ? '{"pid":7}' : null,
    })),
  );
  const api_key = [0, 1].map((n) => ({
    ...own(10, n),
    user_id: uuid(11, tenant, n),
    name: `key-${n}`,
    key_hash: `hash-${tenant}-${n}`,
    scope: n === 0 ? "USER" : "RUNNER",
    expires_at: n === 0 ? null : at(59),
  }));
  const tenants = [
    { id: tenant_id, ...stamps(0), name: `Tenant ${tenant}`, slug: `tenant-${tenant}`, info: null, settings: "{}" },
  ];
  const agent_config = [0, 1].map((n) => ({
    ...own(12, n),
    name: n === 0 ? null : "config",
    settings: `{"size":${n}}`,
  }));
  const task_run_artifact = [0, 1, 2].map((n) => ({
    ...own(13, n),
    task_run_id: task_run[n]!.id,
    kind: n === 0 ? "link" : "markdown",
    data: n === 0 ? '{"link":"http://127.0.0.1/"}' : `{"markdown":"# ${n}"}`,
  }));
  const message = [0, 1].map((n) => ({
    ...own(14, n),
    read: n,
    type: "REPORT",
    text: n === 0 ? null : "all well",
    content: "{}",
  }));
  const cloud_hook = [0, 1].map((n) => ({
    ...own(15, n),
    name: n === 0 ? null : "hook",
    version_group_id: null,
    states: '["FAILED"]',
    type: "WEBHOOK",
    config: '{"url":"http://127.0.0.1/"}',
    sealed: "sealed",
    active: n,
  }));
  const cloud_hook_delivery = [0, 1].map((n) => ({
    ...own(19, n),
    cloud_hook_id: cloud_hook[0]!.id,
    flow_run_id: flow_run[n]!.id,
    version: n + 1,
    attempts: n,
    next_attempt_at: n === 0 ? at(40) : null,
    delivered_at: n === 0 ? null : at(41),
    last_error: n === 0 ? "HTTP 503" : null,
  }));
  const key_value = [0, 1, 2].map((n) => ({ ...own(16, n), key: `key-${n}`, value: `{"n":${n}}` }));
  const task_tag_limit = [0, 1].map((n) => ({ ...own(17, n), tag: `tag-${n}`, slots: n + 1 }));
  const flow_concurrency_limit = [0, 1].map((n) => ({ ...own(18, n), name: `label-${n}`, slots: n + 1 }));
  return {
    tenant: tenants,
    project,
    flow_group,
    flow,
    task,
    edge,
    agent,
    flow_run,
    task_run,
    flow_run_state,
    task_run_state,
    log,
    api_key,
    agent_config,
    task_run_artifact,
    message,
    cloud_hook,
    cloud_hook_delivery,
    key_value,
    task_tag_limit,
    flow_concurrency_limit,
  };
}

export interface ReadWorld {
  database: Database;
  schema: GraphQLSchema;
  /** Statements that the last query took. */
  statements(): number;
  /** Executes as the tenant; without one, as tenant 1. */
  ask(query: string, variables?: Record<string, unknown>, tenant?: number): Promise<ExecutionResult>;
  close(): Promise<void>;
}

/**
 * A real database with these rows, or two tenants of the small Cloud, and over it the read
 * API, which needs nothing of the rest of the server.
 */
export async function openReadWorld(
  folder: string,
  limits: Partial<ReadLimits> = {},
  worlds: readonly Rows[] = [tenantRows(1), tenantRows(2)],
): Promise<ReadWorld> {
  const database = await openDatabase(await databaseAt(t, join(folder, "millrace.db")));
  await database.write(async ({ query }) => {
    for (const rows of worlds) {
      for (const [table, list] of Object.entries(rows)) {
        for (let from = 0; from < list.length; from += 500) {
          await query
            .insertInto(table as "flow")
            .values(list.slice(from, from + 500) as never)
            .execute();
        }
      }
    }
  });
  let statements = 0;
  const counter: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements++;
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  const counted: Pick<Database, "kind" | "read" | "snapshot"> = {
    kind: database.kind,
    read: database.read.withPlugin(counter),
    snapshot: (work) => database.snapshot((read) => work(read.withPlugin(counter))),
  };
  const schema = addReadApi(buildSchema(schemaText), { database: counted, limits });
  return {
    database,
    schema,
    statements: () => statements,
    ask(query, variables = {}, tenant = 1) {
      statements = 0;
      const contextValue = { tenantId: uuid(1, tenant, 0), variables };
      return graphql({ schema, source: query, variableValues: variables, contextValue });
    },
    close: () => database.close(),
  };
}
