import type { Tables } from "../tables.js";
import type { ColumnInfo, ColumnKind, OfTable, ReadableTable, RelationInfo } from "./table-info.js";

export type { ColumnInfo, OfTable, ReadableTable, RelationInfo, TableInfo } from "./table-info.js";

/*
 * The one description of the tables that can be read over GraphQL: the read API's schema, its SQL and the checks of what a
 * caller asks for are all made from it. What does not stand here cannot be read.
 */

type Column = Omit<ColumnInfo, "name" | "column"> & { readonly column?: string };
type Relation = Omit<RelationInfo, "name">;
type ColumnsOf<T extends ReadableTable> = { readonly [C in keyof Tables[T]]?: Column };

const of = (kind: ColumnKind): Column => ({ kind, nullable: false, comparable: true });
const uuid = of("uuid");
const text = of("text");
const int = of("int");
const bool = of("bool");
const json = of("json");
const instant = of("instant");
const maybe = (column: Column): Column => ({ ...column, nullable: true });

const one = (to: ReadableTable, here: string): Relation => ({ to, many: false, here, there: "id", nullable: false });
const oneOrNone = (to: ReadableTable, here: string): Relation => ({ ...one(to, here), nullable: true });
const many = (to: ReadableTable, there: string): Relation => ({ to, many: true, here: "id", there, nullable: false });

const within = (shared: string, relation: Relation): Relation => ({ ...relation, shared });

const row = { id: uuid, created: instant, updated: instant };
const owned = { ...row, tenant_id: uuid };
/** History and log rows are written once: when they were written is the time they speak of. */
const writtenOnce = { created: { ...instant, column: "timestamp" }, updated: { ...instant, column: "timestamp" } };
const stateId: Column = { kind: "stateId", nullable: false, comparable: false, column: "version" };
const run = {
  version: int,
  heartbeat: maybe(instant),
  start_time: maybe(instant),
  end_time: maybe(instant),
  state: maybe(text),
  state_timestamp: maybe(instant),
  state_message: maybe(text),
  state_result: maybe(json),
  state_start_time: maybe(instant),
  serialized_state: maybe(json),
};
const state = {
  tenant_id: uuid,
  version: int,
  timestamp: instant,
  state: text,
  message: maybe(text),
  result: maybe(json),
  start_time: maybe(instant),
  serialized_state: json,
};

interface Description<T extends ReadableTable> {
  name?: string;
  columns: ColumnsOf<T>;
  /** Columns that the protocol has and the table makes from others. */
  made?: Record<string, Column>;
  relations?: Record<string, Relation>;
  key?: (keyof Tables[T] & string)[];
  tenant?: keyof Tables[T] & string;
  order?: (keyof Tables[T] & string)[];
}

function describe<T extends ReadableTable>(table: T, description: Description<T>): OfTable {
  const columns = new Map<string, ColumnInfo>();
  for (const [name, column] of Object.entries({ ...description.columns, ...description.made } as Record<
    string,
    Column
  >)) {
    columns.set(name, { column: name, ...column, name });
  }
  return {
    table,
    name: description.name ?? table,
    columns,
    relations: new Map(
      Object.entries(description.relations ?? {}).map(([name, relation]) => [name, { ...relation, name }]),
    ),
    key: description.key ?? ["id"],
    tenant: description.tenant ?? "tenant_id",
    order: description.order ?? [],
  };
}

const described: readonly OfTable[] = [
  describe("tenant", {
    columns: { ...row, name: text, slug: text, info: maybe(json), settings: json },
    relations: {
      projects: many("project", "tenant_id"),
      flow_groups: many("flow_group", "tenant_id"),
      flows: many("flow", "tenant_id"),
    },
    tenant: "id",
  }),
  describe("project", {
    columns: { ...owned, name: text, description: maybe(text) },
    relations: { tenant: one("tenant", "tenant_id"), flows: many("flow", "project_id") },
  }),
  describe("flow_group", {
    columns: {
      ...owned,
      name: text,
      description: maybe(text),
      labels: maybe(json),
      schedule: maybe(json),
      settings: json,
      default_parameters: json,
      run_config: maybe(json),
    },
    relations: { tenant: one("tenant", "tenant_id"), flows: many("flow", "flow_group_id") },
  }),
  describe("flow", {
    columns: {
      ...owned,
      project_id: uuid,
      flow_group_id: uuid,
      version_group_id: text,
      engine: text,
      name: text,
      version: int,
      archived: bool,
      description: maybe(text),
      environment: maybe(json),
      run_config: maybe(json),
      parameters: json,
      storage: maybe(json),
      schedule: maybe(json),
      is_schedule_active: bool,
      schedule_error: maybe(text),
      serialized_flow: maybe(json),
      core_version: maybe(text),
      // Clients look for settings here; they are kept, and changed, on the group.
      settings: { ...json, comparable: false, overlay: { relation: "flow_group", column: "settings" } },
    },
    relations: {
      tenant: one("tenant", "tenant_id"),
      project: one("project", "project_id"),
      flow_group: one("flow_group", "flow_group_id"),
      tasks: many("task", "flow_id"),
      edges: many("edge", "flow_id"),
      flow_runs: many("flow_run", "flow_id"),
    },
  }),
  describe("task", {
    columns: {
      ...owned,
      flow_id: uuid,
      name: text,
      slug: text,
      description: maybe(text),
      type: maybe(text),
      max_retries: int,
      retry_delay: maybe(of("interval")),
      trigger: maybe(text),
      tags: json,
      mapped: bool,
      auto_generated: bool,
      cache_key: maybe(text),
      is_root_task: bool,
      is_terminal_task: bool,
      is_reference_task: bool,
    },
    relations: {
      flow: one("flow", "flow_id"),
      task_runs: many("task_run", "task_id"),
      upstream_edges: within("flow_id", many("edge", "downstream_task_id")),
      downstream_edges: within("flow_id", many("edge", "upstream_task_id")),
    },
  }),
  describe("edge", {
    columns: {
      ...owned,
      flow_id: uuid,
      upstream_task_id: uuid,
      downstream_task_id: uuid,
      key: maybe(text),
      mapped: bool,
    },
    relations: {
      flow: one("flow", "flow_id"),
      upstream_task: one("task", "upstream_task_id"),
      downstream_task: one("task", "downstream_task_id"),
    },
  }),
  describe("flow_run", {
    columns: {
      ...owned,
      ...run,
      flow_id: uuid,
      engine: text,
      name: text,
      parameters: json,
      labels: json,
      run_config: maybe(json),
      context: maybe(json),
      scheduled_start_time: instant,
      auto_scheduled: bool,
      times_resurrected: int,
      idempotency_key: maybe(text),
      late_at: maybe(instant),
      agent_id: maybe(uuid),
      lease_agent_id: maybe(uuid),
      lease_expires_at: maybe(instant),
    },
    relations: {
      tenant: one("tenant", "tenant_id"),
      flow: { ...one("flow", "flow_id"), inOrderOf: "created" },
      agent: oneOrNone("agent", "agent_id"),
      task_runs: many("task_run", "flow_run_id"),
      states: many("flow_run_state", "flow_run_id"),
      logs: many("log", "flow_run_id"),
    },
  }),
  describe("task_run", {
    columns: {
      ...owned,
      ...run,
      flow_run_id: uuid,
      task_id: uuid,
      map_index: int,
      name: maybe(text),
      cache_key: maybe(text),
    },
    relations: {
      tenant: one("tenant", "tenant_id"),
      flow_run: one("flow_run", "flow_run_id"),
      task: one("task", "task_id"),
      states: many("task_run_state", "task_run_id"),
      logs: within("flow_run_id", many("log", "task_run_id")),
      artifacts: many("task_run_artifact", "task_run_id"),
    },
  }),
  describe("flow_run_state", {
    columns: { ...state, flow_run_id: uuid },
    made: { id: stateId, ...writtenOnce },
    relations: { flow_run: one("flow_run", "flow_run_id") },
    key: ["flow_run_id", "version"],
    order: ["version"],
  }),
  describe("task_run_state", {
    columns: { ...state, task_run_id: uuid },
    made: { id: stateId, ...writtenOnce },
    relations: { task_run: one("task_run", "task_run_id") },
    key: ["task_run_id", "version"],
    order: ["version"],
  }),
  describe("log", {
    columns: {
      id: of("rowNumber"),
      tenant_id: uuid,
      flow_run_id: uuid,
      task_run_id: { ...maybe(uuid), within: { to: "task_run", column: "flow_run_id" } },
      timestamp: instant,
      name: maybe(text),
      level: text,
      message: maybe(text),
      info: maybe(json),
    },
    made: { ...writtenOnce, is_loaded_from_archive: { kind: "bool", nullable: true, comparable: false, absent: true } },
    relations: { flow_run: one("flow_run", "flow_run_id"), task_run: oneOrNone("task_run", "task_run_id") },
    order: ["id"],
  }),
  describe("agent", {
    columns: {
      ...owned,
      agent_config_id: maybe(uuid),
      name: text,
      type: text,
      core_version: maybe(text),
      labels: json,
      last_queried: instant,
    },
    relations: {
      tenant: one("tenant", "tenant_id"),
      agent_config: oneOrNone("agent_config", "agent_config_id"),
      flow_runs: many("flow_run", "agent_id"),
    },
  }),
  describe("agent_config", {
    columns: { ...owned, name: maybe(text), settings: json },
    relations: { tenant: one("tenant", "tenant_id") },
  }),
  describe("task_run_artifact", {
    columns: { ...owned, task_run_id: uuid, kind: text, data: json },
    relations: { task_run: one("task_run", "task_run_id") },
  }),
  describe("message", { columns: { ...owned, read: bool, type: text, text: maybe(text), content: json } }),
  describe("cloud_hook", {
    columns: {
      ...owned,
      name: maybe(text),
      version_group_id: maybe(text),
      states: json,
      type: text,
      config: json,
      active: bool,
    },
    relations: { deliveries: many("cloud_hook_delivery", "cloud_hook_id") },
  }),
  describe("cloud_hook_delivery", {
    columns: {
      ...owned,
      cloud_hook_id: uuid,
      flow_run_id: uuid,
      version: int,
      attempts: int,
      next_attempt_at: maybe(instant),
      delivered_at: maybe(instant),
      last_error: maybe(text),
    },
    relations: { cloud_hook: oneOrNone("cloud_hook", "cloud_hook_id"), flow_run: one("flow_run", "flow_run_id") },
  }),
  describe("key_value", { columns: { ...owned, key: text, value: json } }),
  describe("task_tag_limit", { columns: { ...owned, tag: text }, made: { limit: { ...int, column: "slots" } } }),
  describe("flow_concurrency_limit", {
    columns: { ...owned, name: text },
    made: { limit: { ...int, column: "slots" } },
  }),
  // Of a key, only what its owner may see again: never its hash.
  describe("api_key", {
    name: "auth_api_key",
    columns: {
      id: uuid,
      name: text,
      scope: text,
      expires_at: maybe(instant),
      last_used: maybe(instant),
      created: instant,
    },
  }),
];

/** Every readable table, by the table's name. */
export const tableInfo: ReadonlyMap<ReadableTable, OfTable> = new Map(described.map((info) => [info.table, info]));

/** The description of a table that is known to be there. */
export function infoOf(table: ReadableTable): OfTable {
  return tableInfo.get(table)!;
}
