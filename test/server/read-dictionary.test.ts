import { type GraphQLObjectType, getNamedType, isListType, isNonNullType, isObjectType } from "graphql";
import t from "tap";
import { openReadWorld } from "../helpers/read-world.js";

/*
 * What a client of the protocol may ask each table for: `column: type`, with `?` where it may be null; `one` and `many` are its
 * relations. Written from the protocol's own tables and not from our description of them, so that neither forgets any.
 */

const row = "id: uuid, created: time, updated: time";
const run = `${row}, tenant_id: uuid, version: int, heartbeat: time?, start_time: time?, end_time: time?, state: text?,
  state_timestamp: time?, state_message: text?, state_result: json?, state_start_time: time?, serialized_state: json?`;
const state = `id: id, created: time, updated: time, tenant_id: uuid, timestamp: time, state: text, message: text?, result: json?,
  start_time: time?, serialized_state: json, version: int`;

interface Entry {
  columns: string;
  one?: Record<string, string>;
  many?: Record<string, string>;
}

const dictionary: Record<string, Entry> = {
  tenant: {
    columns: `${row}, name: text, slug: text, info: json?, settings: json`,
    many: { flow_groups: "flow_group", flows: "flow", projects: "project" },
  },
  project: {
    columns: `${row}, tenant_id: uuid, name: text, description: text?`,
    one: { tenant: "tenant" },
    many: { flows: "flow" },
  },
  flow_group: {
    columns: `${row}, tenant_id: uuid, name: text, description: text?, labels: json?, schedule: json?, settings: json,
      default_parameters: json, run_config: json?`,
    one: { tenant: "tenant" },
    many: { flows: "flow" },
  },
  flow: {
    columns: `${row}, tenant_id: uuid, project_id: uuid, flow_group_id: uuid, name: text, version: int, version_group_id: text,
      archived: bool, description: text?, environment: json?, run_config: json?, parameters: json, storage: json?, schedule: json?,
      is_schedule_active: bool, serialized_flow: json?, core_version: text?, settings: json`,
    one: { flow_group: "flow_group", project: "project", tenant: "tenant" },
    many: { edges: "edge", flow_runs: "flow_run", tasks: "task" },
  },
  task: {
    columns: `${row}, tenant_id: uuid, flow_id: uuid, name: text, slug: text, description: text?, type: text?, max_retries: int,
      retry_delay: span?, trigger: text?, tags: json, mapped: bool, auto_generated: bool, cache_key: text?, is_root_task: bool,
      is_terminal_task: bool, is_reference_task: bool`,
    one: { flow: "flow" },
    many: { task_runs: "task_run", upstream_edges: "edge", downstream_edges: "edge" },
  },
  edge: {
    columns: `${row}, tenant_id: uuid, flow_id: uuid, upstream_task_id: uuid, downstream_task_id: uuid, key: text?, mapped: bool`,
    one: { flow: "flow", upstream_task: "task", downstream_task: "task" },
  },
  flow_run: {
    columns: `${run}, flow_id: uuid, name: text, parameters: json, labels: json, run_config: json?, context: json?,
      scheduled_start_time: time, auto_scheduled: bool, times_resurrected: int, idempotency_key: text?, agent_id: uuid?`,
    one: { agent: "agent", flow: "flow", tenant: "tenant" },
    many: { logs: "log", states: "flow_run_state", task_runs: "task_run" },
  },
  task_run: {
    columns: `${run}, flow_run_id: uuid, task_id: uuid, map_index: int, name: text?, cache_key: text?`,
    one: { flow_run: "flow_run", task: "task", tenant: "tenant" },
    many: { logs: "log", states: "task_run_state" },
  },
  flow_run_state: { columns: `${state}, flow_run_id: uuid`, one: { flow_run: "flow_run" } },
  task_run_state: { columns: `${state}, task_run_id: uuid`, one: { task_run: "task_run" } },
  log: {
    columns: `${row}, tenant_id: uuid, flow_run_id: uuid, task_run_id: uuid?, timestamp: time, name: text?, level: text,
      message: text?, info: json?, is_loaded_from_archive: bool?`,
    one: { flow_run: "flow_run", task_run: "task_run" },
  },
  agent: {
    columns: `${row}, tenant_id: uuid, agent_config_id: uuid?, name: text, type: text, core_version: text?, labels: json, last_queried: time`,
    one: { agent_config: "agent_config" },
    many: { flow_runs: "flow_run" },
  },
  agent_config: { columns: `${row}, tenant_id: uuid, name: text?, settings: json` },
  task_run_artifact: { columns: `${row}, tenant_id: uuid, task_run_id: uuid, kind: text, data: json` },
  message: { columns: `${row}, tenant_id: uuid, read: bool, type: text, text: text?, content: json` },
  cloud_hook: {
    columns: `${row}, tenant_id: uuid, name: text?, version_group_id: text?, states: json, type: text, config: json, active: bool`,
  },
  key_value: { columns: `${row}, tenant_id: uuid, key: text, value: json` },
  task_tag_limit: { columns: `${row}, tenant_id: uuid, tag: text, limit: int` },
  flow_concurrency_limit: { columns: `${row}, tenant_id: uuid, name: text, limit: int` },
  auth_api_key: { columns: "id: uuid, name: text, expires_at: time?, created: time" },
};

const scalars: Record<string, string> = {
  uuid: "UUID",
  id: "ID",
  text: "String",
  int: "Int",
  bool: "Boolean",
  json: "JSON",
  time: "DateTime",
  span: "Interval",
};

const world = await openReadWorld(t.testdir());
t.after(() => world.close());
const query = world.schema.getQueryType()!.getFields();
const LIST = ["where", "order_by", "limit", "offset", "distinct_on"];

for (const [name, { columns, one = {}, many = {} }] of Object.entries(dictionary)) {
  t.test(`${name} has the protocol's columns and relations`, async (t) => {
    for (const root of [name, `${name}_aggregate`]) {
      t.same(
        query[root]?.args.map((each) => each.name),
        LIST,
        `${root} is a list`,
      );
    }
    t.same(
      query[`${name}_by_pk`]?.args.map((each) => each.name),
      ["id"],
    );
    const fields = (world.schema.getType(name) as GraphQLObjectType).getFields();
    for (const column of columns.split(",").map((each) => each.trim())) {
      const [field, kind = ""] = column.split(": ");
      const scalar = scalars[kind.replace("?", "")]!;
      const found = `${fields[field!]?.type}`;
      // What is never null may be promised to be; what may be null must not be.
      t.equal(found, kind.endsWith("?") ? scalar : `${scalar}!`, `${name}.${field}`);
    }
    for (const [field, to] of Object.entries(one)) {
      t.equal(`${fields[field]?.type}`, to, `${name}.${field} is a ${to}`);
      t.ok(isObjectType(fields[field]!.type));
    }
    for (const [field, to] of Object.entries(many)) {
      const type = fields[field]?.type;
      t.ok(type && isNonNullType(type) && isListType(type.ofType), `${name}.${field} is a list`);
      t.equal(getNamedType(type!).name, to);
      t.same(
        fields[field]!.args.map((each) => each.name),
        LIST,
      );
      t.equal(`${fields[`${field}_aggregate`]?.type}`, `${to}_aggregate!`, `${name}.${field} can be counted`);
    }
  });
}

t.test("every column can be answered", async (t) => {
  for (const [name, { columns }] of Object.entries(dictionary)) {
    const names = columns.split(",").map((each) => each.trim().split(":")[0]);
    const { errors, data } = await world.ask(`{ ${name}(limit: 1) { ${names.join(" ")} } }`);
    t.equal(errors, undefined, name);
    t.equal((data![name] as unknown[]).length, 1, `there is a ${name} to answer`);
  }
});
