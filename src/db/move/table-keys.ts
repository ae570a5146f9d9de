import type { Tables } from "../tables.js";

type Keys = { readonly [Table in keyof Tables]: readonly (keyof Tables[Table] & string)[] };

/** Every table with the columns of its primary key; each stands behind those that it refers to. */
export const tableKeys = {
  tenant: ["id"],
  project: ["id"],
  api_key: ["id"],
  membership: ["user_id", "tenant_id"],
  flow_group: ["id"],
  flow: ["id"],
  task: ["id"],
  edge: ["id"],
  agent_config: ["id"],
  agent: ["id"],
  flow_run: ["id"],
  task_run: ["id"],
  flow_run_state: ["flow_run_id", "version"],
  task_run_state: ["task_run_id", "version"],
  log: ["id"],
  report_stream: ["tenant_id", "id"],
  service_mark: ["name"],
  task_tag_limit: ["id"],
  flow_concurrency_limit: ["id"],
  concurrency_slot: ["tenant_id", "kind", "name", "run_id"],
  slot_request: ["run_id", "name"],
  key_value: ["id"],
  secret: ["id"],
  task_run_artifact: ["id"],
  message: ["id"],
  cloud_hook: ["id"],
  cloud_hook_delivery: ["id"],
} as const satisfies Keys;

export type TableName = keyof typeof tableKeys;

/** In the order in which they can be filled. */
export const tableNames = Object.keys(tableKeys) as TableName[];
