import type { Generated } from "kysely";

/*
 * The tables as Kysely sees them. Instants are ISO 8601 text in UTC with milliseconds (`2026-11-23T10:53:48.586Z`), which
 * sorts as it reads; JSON is text; ids are UUIDs as text. `tableInfo` in describe-tables.ts says the same to the read API.
 */

type Instant = string;
type Json = string;

interface Row {
  id: string;
  created: Instant;
  updated: Instant;
}

export interface TenantTable extends Row {
  name: string;
  slug: string;
}
export interface ProjectTable extends Row {
  tenant_id: string;
  name: string;
  description: string | null;
}
export interface ApiKeyTable extends Row {
  tenant_id: string;
  user_id: string;
  name: string;
  /** SHA-256 of the key, hex: the key itself is random and long, so it needs no salt. */
  key_hash: string;
  scope: string;
  expires_at: Instant | null;
  last_used: Instant | null;
}
export interface FlowGroupTable extends Row {
  tenant_id: string;
  /** The version group id. */
  name: string;
  description: string | null;
  labels: Json | null;
  schedule: Json | null;
  settings: Json;
  default_parameters: Json;
  run_config: Json | null;
}
export interface FlowTable extends Row {
  tenant_id: string;
  project_id: string;
  flow_group_id: string;
  version_group_id: string;
  name: string;
  version: number;
  archived: number;
  description: string | null;
  environment: Json | null;
  run_config: Json | null;
  parameters: Json;
  storage: Json | null;
  schedule: Json | null;
  is_schedule_active: number;
  serialized_flow: Json | null;
  core_version: string | null;
  settings: Json;
}
export interface TaskTable extends Row {
  tenant_id: string;
  flow_id: string;
  name: string;
  slug: string;
  description: string | null;
  type: string | null;
  max_retries: number;
  /** Seconds. */
  retry_delay: number | null;
  trigger: string | null;
  tags: Json;
  mapped: number;
  auto_generated: number;
  cache_key: string | null;
  is_root_task: number;
  is_terminal_task: number;
  is_reference_task: number;
}
export interface EdgeTable extends Row {
  tenant_id: string;
  flow_id: string;
  upstream_task_id: string;
  downstream_task_id: string;
  key: string | null;
  mapped: number;
}
/** The state columns that flow runs and task runs share: a copy of their newest state, for queries. */
interface RunRow extends Row {
  tenant_id: string;
  version: number;
  heartbeat: Instant | null;
  start_time: Instant | null;
  end_time: Instant | null;
  state: string | null;
  state_timestamp: Instant | null;
  state_message: string | null;
  state_result: Json | null;
  state_start_time: Instant | null;
  serialized_state: Json | null;
}
export interface FlowRunTable extends RunRow {
  flow_id: string;
  name: string;
  parameters: Json;
  labels: Json;
  run_config: Json | null;
  context: Json | null;
  scheduled_start_time: Instant;
  auto_scheduled: number;
  times_resurrected: number;
  idempotency_key: string | null;
  agent_id: string | null;
  /** The agent that holds the run, and until when; null: nobody does. */
  lease_agent_id: string | null;
  lease_expires_at: Instant | null;
  fence: number;
}
export interface TaskRunTable extends RunRow {
  flow_run_id: string;
  task_id: string;
  map_index: number;
  name: string | null;
  cache_key: string | null;
}
/** History. (run id, version) is the key; the read API's `id` is made from both. */
interface StateRow {
  tenant_id: string;
  version: number;
  timestamp: Instant;
  state: string;
  message: string | null;
  result: Json | null;
  start_time: Instant | null;
  serialized_state: Json;
}
export interface FlowRunStateTable extends StateRow {
  flow_run_id: string;
}
export interface TaskRunStateTable extends StateRow {
  task_run_id: string;
}
export interface LogTable {
  id: Generated<number>;
  tenant_id: string;
  flow_run_id: string;
  task_run_id: string | null;
  timestamp: Instant;
  name: string | null;
  level: string;
  message: string | null;
  info: Json | null;
}
export interface AgentTable extends Row {
  tenant_id: string;
  agent_config_id: string | null;
  name: string;
  type: string;
  core_version: string | null;
  labels: Json;
  last_queried: Instant;
}
/** The last batch of each reporting stream, and what was answered, so that a batch may safely be sent twice. */
export interface ReportStreamTable {
  id: string;
  tenant_id: string;
  batch: number;
  answer: Json;
  updated: Instant;
}

export interface Tables {
  tenant: TenantTable;
  project: ProjectTable;
  api_key: ApiKeyTable;
  flow_group: FlowGroupTable;
  flow: FlowTable;
  task: TaskTable;
  edge: EdgeTable;
  flow_run: FlowRunTable;
  task_run: TaskRunTable;
  flow_run_state: FlowRunStateTable;
  task_run_state: TaskRunStateTable;
  log: LogTable;
  agent: AgentTable;
  report_stream: ReportStreamTable;
}
