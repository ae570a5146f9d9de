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
  info: Json | null;
  settings: Generated<Json>;
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
/** For which tenants a user's keys of scope USER may act. */
export interface MembershipTable {
  user_id: string;
  tenant_id: string;
  created: Instant;
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
/** Whose agents can run a flow: ours read saved flows, Prefect's read pickles and scripts. */
export type Engine = "millrace" | "prefect";

export interface FlowTable extends Row {
  tenant_id: string;
  project_id: string;
  flow_group_id: string;
  version_group_id: string;
  /** Known by a part of the registration that only our own clients write. */
  engine: Generated<Engine>;
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
  /** The scheduler has dealt with every moment of the schedule up to then, since it was made active; null: it is yet to look. */
  scheduled_at: Generated<Instant | null>;
  /** Why the scheduler can make no runs; null: it can. */
  schedule_error: Generated<string | null>;
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
  /** The flow's, which never changes; here too, so that the queue finds runs by it. */
  engine: Generated<Engine>;
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
  /** When it was found to wait for longer than it should; null: it did not. */
  late_at: Generated<Instant | null>;
  /** The claim that gave the run to the agent that holds it, where that agent named one. */
  claim_id: Generated<string | null>;
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
interface Owned extends Row {
  tenant_id: string;
}
/** How many task runs with this tag may be Running at once. */
export interface TaskTagLimitTable extends Owned {
  tag: string;
  slots: number;
}
/** How many flow runs with this label may be under way at once. */
export interface FlowConcurrencyLimitTable extends Owned {
  name: string;
  slots: number;
}
/** A place under a limit, owned by a run for as long as it is under way. */
export interface ConcurrencySlotTable {
  tenant_id: string;
  kind: "task_tag" | "flow_label";
  /** The tag or the label. */
  name: string;
  /** The task run's or the flow run's id. */
  run_id: string;
  flow_run_id: string;
  taken_at: Instant;
}
/** A task run's place in the line for a tag's slots, kept until it is Running or is done with waiting. */
export interface SlotRequestTable {
  /** The task run's id. */
  run_id: string;
  /** The tag. */
  name: string;
  tenant_id: string;
  flow_run_id: string;
  asked_at: Instant;
  /** The order of those that asked together. */
  place: number;
}
export interface KeyValueTable extends Owned {
  key: string;
  value: Json;
}
export interface SecretTable extends Owned {
  name: string;
  /** Encrypted. */
  sealed: string;
}
export interface AgentConfigTable extends Owned {
  name: string | null;
  settings: Json;
}
export interface TaskRunArtifactTable extends Owned {
  task_run_id: string;
  kind: string;
  data: Json;
}
export interface MessageTable extends Owned {
  read: number;
  type: string;
  text: string | null;
  content: Json;
}
export interface CloudHookTable extends Owned {
  name: string | null;
  /** Null: of every flow. */
  version_group_id: string | null;
  /** State names in upper case. */
  states: Json;
  type: string;
  /** For people: what is secret in it is masked. */
  config: Json;
  /** The whole configuration and the signing secret, encrypted. */
  sealed: string;
  active: number;
}
/** A state that a hook is to be told of, kept until it was. */
export interface CloudHookDeliveryTable extends Owned {
  cloud_hook_id: string;
  flow_run_id: string;
  /** The state's. */
  version: number;
  attempts: number;
  /** How many of its requests were taken; more than one where a hook has several recipients. */
  sent: number;
  /** Null: delivered, or given up. */
  next_attempt_at: Instant | null;
  delivered_at: Instant | null;
  last_error: string | null;
}
/** The last batch of each reporting stream, and what was answered, so that a batch may safely be sent twice. */
export interface ReportStreamTable {
  id: string;
  tenant_id: string;
  batch: number;
  answer: Json;
  updated: Instant;
}

/** When a service last finished a round, whichever server did it. */
export interface ServiceMarkTable {
  name: string;
  at: Instant;
}

export interface Tables {
  tenant: TenantTable;
  project: ProjectTable;
  api_key: ApiKeyTable;
  membership: MembershipTable;
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
  service_mark: ServiceMarkTable;
  task_tag_limit: TaskTagLimitTable;
  flow_concurrency_limit: FlowConcurrencyLimitTable;
  concurrency_slot: ConcurrencySlotTable;
  slot_request: SlotRequestTable;
  key_value: KeyValueTable;
  secret: SecretTable;
  agent_config: AgentConfigTable;
  task_run_artifact: TaskRunArtifactTable;
  message: MessageTable;
  cloud_hook: CloudHookTable;
  cloud_hook_delivery: CloudHookDeliveryTable;
}
