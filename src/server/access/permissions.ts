import type { Mutations, Queries, Subscriptions } from "../../client/wire.js";
import type { ReadableTable } from "../../db/read/describe-tables.js";

/** What a token may be made for, the widest first. */
export const SCOPES = ["USER", "DEPLOY", "RUNNER", "READ"] as const;
export type Scope = (typeof SCOPES)[number];

/** What each scope is for, as `millrace auth create-token --help` and docs/security.md say it. */
export const scopeMeanings: Readonly<Record<Scope, string>> = {
  USER: "everything, tokens included",
  DEPLOY: "registers flows, and creates and cancels runs",
  RUNNER: "what an agent and its runs need: claims, states, logs, secrets, artifacts",
  READ: "queries only, and no secret's value",
};

const all = SCOPES;
/** Whoever may change anything at all. */
const doers = ["USER", "DEPLOY", "RUNNER"] as const;
const runners = ["USER", "RUNNER"] as const;
const deployers = ["USER", "DEPLOY"] as const;
const users = ["USER"] as const;

/*
 * Who may use what: the one place. It is checked before a resolver runs (guard-roots.ts), and what has no line here does not
 * compile. Take the narrowest that does: `runners` for what an agent or a task does while a run goes on, `deployers` for
 * what is done to flows and runs from outside, `users` for accounts, settings, and what cannot be undone.
 */

export const mutationPermissions: { readonly [Name in keyof Mutations]: readonly Scope[] } = {
  // Accounts
  create_api_key: users,
  delete_api_key: users,
  // Agents and their runs
  register_agent: runners,
  get_runs_in_queue: runners,
  claim_runs: runners,
  renew_leases: runners,
  release_runs: runners,
  report_states: runners,
  update_flow_run_heartbeat: runners,
  write_run_logs: runners,
  set_flow_run_states: runners,
  set_task_run_states: runners,
  get_or_create_task_run: runners,
  get_or_create_task_run_info: runners,
  update_task_run_heartbeat: runners,
  set_task_run_name: runners,
  delete_agent: users,
  // Flows
  create_project: deployers,
  create_flow: deployers,
  set_project_name: deployers,
  set_project_description: deployers,
  create_flow_from_compressed_string: deployers,
  register_tasks: deployers,
  register_edges: deployers,
  set_schedule_active: deployers,
  set_schedule_inactive: deployers,
  archive_flow: deployers,
  update_flow_project: deployers,
  set_flow_group_description: deployers,
  set_flow_group_labels: deployers,
  set_flow_group_run_config: deployers,
  set_flow_group_schedule: deployers,
  delete_flow_group_schedule: deployers,
  set_flow_group_default_parameters: deployers,
  enable_flow_heartbeat: deployers,
  disable_flow_heartbeat: deployers,
  enable_flow_lazarus_process: deployers,
  disable_flow_lazarus_process: deployers,
  enable_flow_version_lock: deployers,
  disable_flow_version_lock: deployers,
  // What cannot be undone, and tenants
  create_tenant: users,
  delete_tenant: users,
  update_tenant_name: users,
  update_tenant_slug: users,
  update_tenant_settings: users,
  delete_project: users,
  delete_flow: users,
  delete_flow_group: users,
  // Runs; a task may start, cancel and resume runs of other flows
  create_flow_run: doers,
  cancel_flow_run: doers,
  set_flow_run_name: doers,
  set_flow_run_labels: deployers,
  delete_flow_run: users,
  resume_task_run: doers,
  // Limits
  update_task_tag_limit: deployers,
  delete_task_tag_limit: deployers,
  update_flow_concurrency_limit: deployers,
  delete_flow_concurrency_limit: deployers,
  // What a tenant keeps beside its flows; tasks write key values and artifacts
  set_key_value: doers,
  delete_key_value: doers,
  set_secret: users,
  delete_secret: users,
  create_cloud_hook: users,
  delete_cloud_hook: users,
  set_cloud_hook_active: users,
  set_cloud_hook_inactive: users,
  test_cloud_hook: users,
  create_task_run_artifact: runners,
  update_task_run_artifact: runners,
  delete_task_run_artifact: runners,
  mark_message_as_read: deployers,
  mark_message_as_unread: deployers,
  delete_message: deployers,
  create_agent_config: users,
  update_agent_config: users,
  delete_agent_config: users,
};

/** The query roots that are not read straight from a table. */
export const queryPermissions: { readonly [Name in keyof Queries]: readonly Scope[] } = {
  hello: all,
  api: all,
  auth_info: all,
  cached_states: runners,
  why_waiting: all,
  why_no_runs: all,
  get_task_run_info: runners,
  // What a run needs, and nobody who only looks on
  secret_value: runners,
  secret_names: doers,
};

export const subscriptionPermissions: { readonly [Name in keyof Subscriptions]: readonly Scope[] } = {
  agent_events: runners,
};

/** By table: its list, its count and its `_by_pk`. No other table may have a relation to one with fewer scopes (a test holds it). */
export const readPermissions: { readonly [Table in ReadableTable]: readonly Scope[] } = {
  tenant: all,
  project: all,
  flow_group: all,
  flow: all,
  task: all,
  edge: all,
  flow_run: all,
  task_run: all,
  flow_run_state: all,
  task_run_state: all,
  log: all,
  agent: all,
  agent_config: all,
  task_tag_limit: all,
  flow_concurrency_limit: all,
  key_value: all,
  task_run_artifact: all,
  message: all,
  // Their addresses often are secrets.
  cloud_hook: users,
  cloud_hook_delivery: users,
  api_key: users,
};

/** The roots of src/server/read/read-functions.ts, which are made of rows that everyone may read. */
export const readFunctionPermissions: Readonly<Record<string, readonly Scope[]>> = {
  utility_upstream_tasks: all,
  utility_downstream_tasks: all,
  mapped_children: all,
  reference_data: all,
};
