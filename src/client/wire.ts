// Made from src/server/api/schema/ by `npm run generate`. Do not edit: a test compares it with the schema.

export interface AuthInfo {
  tenant_id: string | null;
  user_id: string | null;
  /** Ours. The key's scope: USER, DEPLOY, RUNNER or READ. */
  scope: string | null;
  /** Ours. The key's name. */
  name: string | null;
  /** Ours. The key's id, as `delete_api_key` takes it. */
  key_id: string | null;
  /** Ours. */
  expires_at: string | null;
}

export interface CreateApiKeyPayload {
  id: string;
  key: string;
}

export interface CreateApiKeyInput {
  name: string;
  user_id?: string | null;
  expires_at?: string | null;
  /** Ours. USER by default, DEPLOY, RUNNER or READ. */
  scope?: string | null;
}

export interface DeleteApiKeyInput {
  key_id: string;
}

export interface CreateAgentConfigInput {
  tenant_id?: string | null;
  name?: string | null;
  settings?: unknown;
}

export interface UpdateAgentConfigInput {
  agent_config_id: string;
  name?: string | null;
  settings?: unknown;
}

export interface DeleteAgentConfigInput {
  agent_config_id?: string | null;
  /** What Prefect's server calls it. */
  agent_id?: string | null;
}

export interface RegisterAgentInput {
  type: string;
  name?: string | null;
  labels?: string[] | null;
  tenant_id?: string | null;
  agent_config_id?: string | null;
}

export interface DeleteAgentInput {
  agent_id: string;
}

export interface GetRunsInQueueInput {
  before?: string | null;
  labels?: string[] | null;
  tenant_id?: string | null;
}

export interface RunsInQueuePayload {
  flow_run_ids: string[];
}

export interface ClaimRunsInput {
  agent_id: string;
  labels: string[];
  /** Only runs of this flow group; what runAgent() asks for. */
  flow_group_id?: string | null;
  /** This run and no other, whatever its labels; what `millrace execute` asks for. With a claim_id of before: what of that claim is this run. */
  flow_run_id?: string | null;
  limit: number;
  /** How long the claim lasts without being renewed, in milliseconds. */
  lease_ms: number;
  /** The same one again, because no answer came: what was given then is answered, as far as the agent still holds it. */
  claim_id?: string | null;
}

export interface ClaimRunsPayload {
  runs: ClaimedRun[];
  /** When the next run that this agent could take is due, if one is known. */
  next_due_at: string | null;
}

export interface ClaimedRun {
  flow_run_id: string;
  /** Rises with each claim of the run; a report under an older fence is refused. */
  fence: number;
  lease_expires_at: string;
  flow_id: string;
  name: string;
  parameters: unknown;
  context: unknown;
  run_config: unknown;
  scheduled_start_time: string;
  /** How often the run was taken from an agent that fell silent. */
  times_resurrected: number;
  task_runs: ClaimedTaskRun[];
}

export interface ClaimedTaskRun {
  id: string;
  task_slug: string;
  map_index: number;
  version: number;
  serialized_state: unknown;
}

export interface LeaseInput {
  flow_run_id: string;
  fence: number;
}

export interface RenewLeasesInput {
  agent_id: string;
  leases: LeaseInput[];
  lease_ms: number;
}

export interface RenewLeasesPayload {
  /** Runs that are no longer this agent's: stop them and report nothing more. */
  lost: string[];
  /** Runs to stop and then report as Cancelled. */
  cancelling: string[];
  /** Task runs that waited for a slot and have it: they may ask for Running again. */
  granted: string[];
}

export interface ReleaseRunsInput {
  agent_id: string;
  runs: ReleaseInput[];
}

export interface ReleaseInput {
  flow_run_id: string;
  fence: number;
  /** A Failed state ends the run; without one it is Scheduled again at once. */
  state?: unknown;
  /** In place of a state: nothing is left to do but to wait. The run stays Running, and is due when one of its task runs is. */
  waits?: boolean | null;
}

export interface ReportStatesInput {
  agent_id: string;
  /** One per reporting stream; batches of a stream are numbered from 1, and a batch that was already taken answers as it did then. */
  stream_id: string;
  batch: number;
  runs: RunReportInput[];
}

export interface RunReportInput {
  flow_run_id: string;
  fence: number;
  states: StateReportInput[];
  logs?: LogInput[] | null;
}

export interface StateReportInput {
  /** Absent: the flow run's own state. */
  task_run_id?: string | null;
  /** For a mapped child that the Cloud may not know yet. */
  task_slug?: string | null;
  map_index?: number | null;
  /** The task run's name, where its author gave it one of its own. */
  task_run_name?: string | null;
  /** The version that this state follows. */
  version?: number | null;
  at: string;
  state: unknown;
}

export interface ReportStatesPayload {
  /** Runs of which a state was refused; nothing of such a run in this batch was written from that state on. */
  refused: RefusedReport[];
  cancelling: string[];
  /** Task runs that were to be Running and found no slot: they are Queued, under the version that Running would have had, and wait until they are told. */
  queued: string[];
  /** Task runs that waited for a slot and have it: they may ask for Running again. */
  granted: string[];
}

export interface RefusedReport {
  flow_run_id: string;
  code: string;
  message: string;
}

export interface AgentEvent {
  /** A run that this agent may take is due. */
  run_due: boolean;
  /** Runs of this agent that are to stop. */
  cancelling: string[];
  /** Task runs of this agent that waited for a slot and have it: they may ask for Running again. */
  granted: string[];
}

export interface CreateTaskRunArtifactInput {
  task_run_id: string;
  /** `link`, `markdown`, or a word of your own. */
  kind: string;
  data: unknown;
  tenant_id?: string | null;
  /** Ours. Made once for each id, however often it is sent. */
  id?: string | null;
}

export interface UpdateTaskRunArtifactInput {
  task_run_artifact_id: string;
  data: unknown;
}

export interface DeleteTaskRunArtifactInput {
  task_run_artifact_id: string;
}

export interface Queries {
  /** Answers anyone with a token: is the Cloud there? */
  hello: { arguments: Record<string, never>; payload: string };
  api: { arguments: Record<string, never>; payload: ApiInfo };
  auth_info: { arguments: Record<string, never>; payload: AuthInfo };
  /** As a task run's state is now: what a client goes on from when another was there first. */
  get_task_run_info: { arguments: { task_run_id: string }; payload: TaskRunInfo };
  /** The value of a secret; JSON. */
  secret_value: { arguments: { name: string }; payload: unknown };
  /** By name, without their values. */
  secret_names: { arguments: Record<string, never>; payload: string[] };
  /** Ours. Cached states, newest first, that may stand for running a task of this flow version; with a key, of any flow's tasks that share it. */
  cached_states: { arguments: { input: CachedStatesInput }; payload: unknown[] };
  /** Ours. Why does a flow run not go on? Answered from the queue's own rules, with what would help. */
  why_waiting: { arguments: { input: WhyWaitingInput }; payload: WhyPayload };
  /** Ours. Why does a flow make no runs by itself? */
  why_no_runs: { arguments: { input: WhyNoRunsInput }; payload: WhyPayload };
}

export interface Mutations {
  /** The key is shown in this answer and never again. It lasts no longer than the key that makes it. */
  create_api_key: { arguments: { input: CreateApiKeyInput }; payload: CreateApiKeyPayload };
  /** The key is refused at once by this server, and within 5 seconds by others on the same database; its subscriptions end. */
  delete_api_key: { arguments: { input: DeleteApiKeyInput }; payload: SuccessPayload };
  /** Settings that agents read when they start. */
  create_agent_config: { arguments: { input: CreateAgentConfigInput }; payload: IdPayload };
  /** Changes what is given. */
  update_agent_config: { arguments: { input: UpdateAgentConfigInput }; payload: SuccessPayload };
  /** Agents that were registered with it stay, without it. */
  delete_agent_config: { arguments: { input: DeleteAgentConfigInput }; payload: SuccessPayload };
  /** The same name, type, core version and labels answer the agent's earlier id. */
  register_agent: { arguments: { input: RegisterAgentInput }; payload: IdPayload };
  /** Refused while the agent holds runs. Runs that it had keep its id. */
  delete_agent: { arguments: { input: DeleteAgentInput }; payload: SuccessPayload };
  /** Prefect's agents are shown their own flows alone. */
  get_runs_in_queue: { arguments: { input: GetRunsInQueueInput }; payload: RunsInQueuePayload };
  /** Ours. Gives due runs to exactly one agent, each with a lease and a fence, and sets them Submitted. */
  claim_runs: { arguments: { input: ClaimRunsInput }; payload: ClaimRunsPayload };
  /** Ours. Keeps leases alive; answers what has become of each run. */
  renew_leases: { arguments: { input: RenewLeasesInput }; payload: RenewLeasesPayload };
  /** Ours. Gives runs back: those that were claimed and never begun, or whose thread died, are Scheduled again, or Failed with the reason; those whose tasks wait stay Running. */
  release_runs: { arguments: { input: ReleaseRunsInput }; payload: SuccessPayload };
  /** Ours. Many states and log lines of many runs in one transaction, judged one by one in the order given. Safe to send twice. */
  report_states: { arguments: { input: ReportStatesInput }; payload: ReportStatesPayload };
  /** Keeps something to look at with a task run: a link, a text in Markdown. At most 1,000,000 bytes of JSON. */
  create_task_run_artifact: { arguments: { input: CreateTaskRunArtifactInput }; payload: IdPayload };
  update_task_run_artifact: { arguments: { input: UpdateTaskRunArtifactInput }; payload: SuccessPayload };
  delete_task_run_artifact: { arguments: { input: DeleteTaskRunArtifactInput }; payload: SuccessPayload };
  /** Shown in place of the versions' own; null takes it back. */
  set_flow_group_description: { arguments: { input: SetFlowGroupDescriptionInput }; payload: SuccessPayload };
  /** The labels of new runs, in place of those of the versions; null takes them back, an empty list says: none. */
  set_flow_group_labels: { arguments: { input: SetFlowGroupLabelsInput }; payload: SuccessPayload };
  /** The run config of new runs, in place of that of the versions; null takes it back. */
  set_flow_group_run_config: { arguments: { input: SetFlowGroupRunConfigInput }; payload: SuccessPayload };
  /** In place of the schedules of the versions. */
  set_flow_group_schedule: { arguments: { input: SetFlowGroupScheduleInput }; payload: SuccessPayload };
  /** The versions' own schedules count again. */
  delete_flow_group_schedule: { arguments: { input: DeleteFlowGroupScheduleInput }; payload: SuccessPayload };
  /** Values for parameters of new runs, over the defaults of the versions. */
  set_flow_group_default_parameters: { arguments: { input: SetFlowGroupDefaultParametersInput }; payload: SuccessPayload };
  /** With all versions, their runs and histories. */
  delete_flow_group: { arguments: { input: DeleteFlowGroupInput }; payload: SuccessPayload };
  /** Runs of Prefect's runner that have fallen silent are noticed. */
  enable_flow_heartbeat: { arguments: { input: EnableFlowHeartbeatInput }; payload: SuccessPayload };
  disable_flow_heartbeat: { arguments: { input: DisableFlowHeartbeatInput }; payload: SuccessPayload };
  /** Runs that have fallen silent are started again. */
  enable_flow_lazarus_process: { arguments: { input: EnableFlowLazarusProcessInput }; payload: SuccessPayload };
  disable_flow_lazarus_process: { arguments: { input: DisableFlowLazarusProcessInput }; payload: SuccessPayload };
  /** A Running state must follow the version that its sender knows. */
  enable_flow_version_lock: { arguments: { input: EnableFlowVersionLockInput }; payload: SuccessPayload };
  disable_flow_version_lock: { arguments: { input: DisableFlowVersionLockInput }; payload: SuccessPayload };
  /** Asks for a run. The same idempotency key for the same flow answers the first run's id. */
  create_flow_run: { arguments: { input: CreateFlowRunInput }; payload: IdPayload };
  /** Finished: nothing. Running, and held by an agent: Cancelling, and the agent is told. Otherwise: Cancelled at once. */
  cancel_flow_run: { arguments: { input: CancelFlowRunInput }; payload: StatePayload };
  set_flow_run_name: { arguments: { input: SetFlowRunNameInput }; payload: SuccessPayload };
  /** Which agents may take the run from now on. */
  set_flow_run_labels: { arguments: { input: SetFlowRunLabelsInput }; payload: SuccessPayload };
  /** With its task runs, states, log lines and slots. An agent that holds it is told to stop. */
  delete_flow_run: { arguments: { input: DeleteFlowRunInput }; payload: SuccessPayload };
  /** Also for a run that is not known: success. */
  update_flow_run_heartbeat: { arguments: { input: UpdateFlowRunHeartbeatInput }; payload: SuccessPayload };
  /** The task run at a place of a flow run, made Pending when there is none yet. Asked twice, at once or later, it is one. */
  get_or_create_task_run_info: { arguments: { input: GetOrCreateTaskRunInfoInput }; payload: TaskRunInfo };
  get_or_create_task_run: { arguments: { input: GetOrCreateTaskRunInput }; payload: IdPayload };
  set_task_run_name: { arguments: { input: SetTaskRunNameInput }; payload: SuccessPayload };
  /** Of clients before 0.15. Also for a run that is not known: success. */
  update_task_run_heartbeat: { arguments: { input: UpdateTaskRunHeartbeatInput }; payload: SuccessPayload };
  /** Tells an address outside of flow runs' states. A hook of type WEBHOOK answers the secret that its requests are signed with, which is never shown again. */
  create_cloud_hook: { arguments: { input: CreateCloudHookInput }; payload: CreateCloudHookPayload };
  delete_cloud_hook: { arguments: { input: DeleteCloudHookInput }; payload: SuccessPayload };
  set_cloud_hook_active: { arguments: { input: SetCloudHookActiveInput }; payload: SuccessPayload };
  /** States that are entered meanwhile are not told later. */
  set_cloud_hook_inactive: { arguments: { input: SetCloudHookInactiveInput }; payload: SuccessPayload };
  /** Sends one event now, once, marked as a test, and answers how that went. */
  test_cloud_hook: { arguments: { input: TestCloudHookInput }; payload: SuccessPayload };
  /** Replaces the value of a key that is there already. The value is JSON of at most 10,000 bytes. */
  set_key_value: { arguments: { input: SetKeyValueInput }; payload: IdPayload };
  delete_key_value: { arguments: { input: DeleteKeyValueInput }; payload: SuccessPayload };
  /** How many task runs with this tag may be Running at once; 0 pauses them. It takes effect at once, for runs under way too: none is stopped, and none begins until enough have ended. */
  update_task_tag_limit: { arguments: { input: UpdateTaskTagLimitInput }; payload: IdPayload };
  delete_task_tag_limit: { arguments: { input: DeleteTaskTagLimitInput }; payload: SuccessPayload };
  /** How many flow runs with this label may be under way at once; 0 pauses them. */
  update_flow_concurrency_limit: { arguments: { input: UpdateFlowConcurrencyLimitInput }; payload: IdPayload };
  delete_flow_concurrency_limit: { arguments: { input: DeleteFlowConcurrencyLimitInput }; payload: SuccessPayload };
  write_run_logs: { arguments: { input: WriteRunLogsInput }; payload: SuccessPayload };
  mark_message_as_read: { arguments: { input: MarkMessageAsReadInput }; payload: SuccessPayload };
  mark_message_as_unread: { arguments: { input: MarkMessageAsUnreadInput }; payload: SuccessPayload };
  delete_message: { arguments: { input: DeleteMessageInput }; payload: SuccessPayload };
  create_project: { arguments: { input: CreateProjectInput }; payload: IdPayload };
  set_project_name: { arguments: { input: SetProjectNameInput }; payload: IdPayload };
  set_project_description: { arguments: { input: SetProjectDescriptionInput }; payload: IdPayload };
  /** With its flows, their runs, and the flow groups that have no flow in another project. */
  delete_project: { arguments: { input: DeleteProjectInput }; payload: SuccessPayload };
  /** Registers a flow, with its tasks and edges where they are in it. The same idempotency key as the newest version's answers that version's id, unchanged. */
  create_flow: { arguments: { input: CreateFlowInput }; payload: CreateFlowPayload };
  /** The flow as base64 of gzipped JSON. */
  create_flow_from_compressed_string: { arguments: { input: CreateFlowFromCompressedStringInput }; payload: CreateFlowPayload };
  /** Adds tasks to a flow; those whose slug it has already are left as they are. */
  register_tasks: { arguments: { input: RegisterTasksInput }; payload: SuccessPayload };
  /** Adds edges between a flow's tasks; those that it has already are left as they are. */
  register_edges: { arguments: { input: RegisterEdgesInput }; payload: SuccessPayload };
  /** Makes runs by the schedule of the flow's group, or else by its own, from now on. Not successful where there is neither. */
  set_schedule_active: { arguments: { input: SetScheduleActiveInput }; payload: SuccessPayload };
  /** Makes no more runs by the schedule, and deletes those that have not begun. */
  set_schedule_inactive: { arguments: { input: SetScheduleInactiveInput }; payload: SuccessPayload };
  /** No run of this version begins any more; those under way go on. */
  archive_flow: { arguments: { input: ArchiveFlowInput }; payload: SuccessPayload };
  /** This version, with its runs and their histories. Its group stays, with its settings. */
  delete_flow: { arguments: { input: DeleteFlowInput }; payload: SuccessPayload };
  /** Moves the flow, with all its versions, to another project. */
  update_flow_project: { arguments: { input: UpdateFlowProjectInput }; payload: IdPayload };
  /** Replaces the value of a secret of that name. It is encrypted before it is kept. */
  set_secret: { arguments: { input: SetSecretInput }; payload: SuccessPayload };
  delete_secret: { arguments: { input: DeleteSecretInput }; payload: SuccessPayload };
  set_flow_run_states: { arguments: { input: SetFlowRunStatesInput }; payload: SetStatesPayload };
  set_task_run_states: { arguments: { input: SetTaskRunStatesInput }; payload: SetStatesPayload };
  /** Ours. Lets a Paused task run go on; `input` is what whoever resumes it has to say. */
  resume_task_run: { arguments: { input: ResumeTaskRunInput }; payload: StatePayload };
  /** The token's user becomes a member, and asks for it by the header `X-PREFECT-TENANT-ID`. */
  create_tenant: { arguments: { input: CreateTenantInput }; payload: IdPayload };
  /** With everything in it. Not the one that the token was made in. */
  delete_tenant: { arguments: { input: DeleteTenantInput }; payload: SuccessPayload };
  update_tenant_name: { arguments: { input: UpdateTenantNameInput }; payload: IdPayload };
  update_tenant_slug: { arguments: { input: UpdateTenantSlugInput }; payload: IdPayload };
  /** Sets the keys that are given, and leaves the others. */
  update_tenant_settings: { arguments: { input: UpdateTenantSettingsInput }; payload: IdPayload };
}

export interface Subscriptions {
  /** Ours. Tells an agent at once that a run it may take is due, or that one of its runs is to stop. */
  agent_events: { arguments: { agent_id: string; flow_group_id?: string | null }; payload: AgentEvent };
}

export interface ApiInfo {
  backend: string;
  mode: string;
  version: string;
  core_version: string;
  release_timestamp: string | null;
}

export interface IdPayload {
  id: string;
}

export interface SuccessPayload {
  success: boolean;
  error: string | null;
}

export interface StatePayload {
  state: string;
}

export interface SetFlowGroupDescriptionInput {
  flow_group_id: string;
  description?: string | null;
}

export interface SetFlowGroupLabelsInput {
  flow_group_id: string;
  labels?: string[] | null;
}

export interface SetFlowGroupRunConfigInput {
  flow_group_id: string;
  run_config?: unknown;
}

export interface SetFlowGroupScheduleInput {
  flow_group_id: string;
  cron_clocks?: CronClockInput[] | null;
  interval_clocks?: IntervalClockInput[] | null;
  /** An IANA name, for all clocks. Default UTC. */
  timezone?: string | null;
  /** What is done about start times that passed while the Cloud was not running: skip, latest or all. Default skip. */
  on_missed?: string | null;
  /** Of all: the most runs that are made up for, 1 to 1,000. Default 100. */
  max_missed?: number | null;
}

export interface CronClockInput {
  /** Five fields; the seconds, where there are six, stand last. */
  cron: string;
  parameter_defaults?: unknown;
}

export interface IntervalClockInput {
  /** Seconds, 60 or more. */
  interval: number;
  parameter_defaults?: unknown;
}

export interface DeleteFlowGroupScheduleInput {
  flow_group_id: string;
}

export interface SetFlowGroupDefaultParametersInput {
  flow_group_id: string;
  /** An object; it replaces the one before. */
  parameters: unknown;
}

export interface DeleteFlowGroupInput {
  flow_group_id: string;
}

export interface EnableFlowHeartbeatInput {
  flow_id: string;
}

export interface DisableFlowHeartbeatInput {
  flow_id: string;
}

export interface EnableFlowLazarusProcessInput {
  flow_id: string;
}

export interface DisableFlowLazarusProcessInput {
  flow_id: string;
}

export interface EnableFlowVersionLockInput {
  flow_id: string;
}

export interface DisableFlowVersionLockInput {
  flow_id: string;
}

export interface CreateFlowRunInput {
  flow_id?: string | null;
  version_group_id?: string | null;
  idempotency_key?: string | null;
  parameters?: unknown;
  run_config?: unknown;
  labels?: string[] | null;
  context?: unknown;
  scheduled_start_time?: string | null;
  flow_run_name?: string | null;
}

export interface CancelFlowRunInput {
  flow_run_id: string;
}

export interface UpdateFlowRunHeartbeatInput {
  flow_run_id: string;
}

export interface SetFlowRunNameInput {
  flow_run_id: string;
  name: string;
}

export interface SetFlowRunLabelsInput {
  flow_run_id: string;
  labels: string[];
}

export interface DeleteFlowRunInput {
  flow_run_id: string;
}

export interface GetOrCreateTaskRunInput {
  flow_run_id: string;
  task_id: string;
  /** Absent: -1, which is the task itself; from 0 on its mapped children. */
  map_index?: number | null;
}

export interface GetOrCreateTaskRunInfoInput {
  flow_run_id: string;
  task_id: string;
  map_index?: number | null;
}

export interface SetTaskRunNameInput {
  task_run_id: string;
  name: string;
}

export interface UpdateTaskRunHeartbeatInput {
  task_run_id: string;
}

export interface TaskRunInfo {
  id: string;
  version: number;
  serialized_state: unknown;
}

export interface CreateCloudHookInput {
  tenant_id?: string | null;
  /** WEBHOOK, SLACK_WEBHOOK, TWILIO, PAGERDUTY or PREFECT_MESSAGE. */
  type: string;
  name?: string | null;
  /** Only runs of this version group; absent: of every flow. */
  version_group_id?: string | null;
  /** Names of states, in any case. */
  states: string[];
  /** What the type needs: WEBHOOK and SLACK_WEBHOOK `url`; TWILIO `account_sid`, `auth_token`, `messaging_service_sid`, `to`; PAGERDUTY `api_token`, `routing_key`, `severity`. */
  config?: unknown;
}

export interface DeleteCloudHookInput {
  cloud_hook_id: string;
}

export interface SetCloudHookActiveInput {
  cloud_hook_id: string;
}

export interface SetCloudHookInactiveInput {
  cloud_hook_id: string;
}

export interface TestCloudHookInput {
  cloud_hook_id: string;
  /** Tells of this run; absent: of a made-up one. */
  flow_run_id?: string | null;
  /** Success by default. */
  state_type?: string | null;
}

export interface CreateCloudHookPayload {
  id: string;
  /** Ours. `whsec_` and a key in base64, as the Standard Webhooks have it; null for other types. */
  signing_secret: string | null;
}

export interface SetKeyValueInput {
  key: string;
  value: unknown;
}

export interface DeleteKeyValueInput {
  key_value_id: string;
}

export interface UpdateTaskTagLimitInput {
  tag: string;
  limit: number;
}

export interface DeleteTaskTagLimitInput {
  limit_id: string;
}

export interface UpdateFlowConcurrencyLimitInput {
  /** The label. */
  name: string;
  limit: number;
}

export interface DeleteFlowConcurrencyLimitInput {
  limit_id: string;
}

export interface WriteRunLogsInput {
  logs: LogInput[];
}

export interface LogInput {
  flow_run_id?: string | null;
  task_run_id?: string | null;
  timestamp?: string | null;
  name?: string | null;
  level?: string | null;
  message?: string | null;
  info?: unknown;
}

export interface MarkMessageAsReadInput {
  message_id: string;
}

export interface MarkMessageAsUnreadInput {
  message_id: string;
}

export interface DeleteMessageInput {
  message_id: string;
}

export interface CreateProjectInput {
  name: string;
  description?: string | null;
  tenant_id?: string | null;
}

export interface SetProjectNameInput {
  project_id: string;
  name: string;
}

export interface SetProjectDescriptionInput {
  project_id: string;
  description?: string | null;
}

export interface DeleteProjectInput {
  project_id: string;
}

export interface CreateFlowInput {
  project_id: string;
  serialized_flow: unknown;
  /** Default true; without effect on a flow that has no schedule. */
  set_schedule_active?: boolean | null;
  version_group_id?: string | null;
  description?: string | null;
  idempotency_key?: string | null;
}

export interface CreateFlowFromCompressedStringInput {
  project_id: string;
  serialized_flow: string;
  /** Default true; without effect on a flow that has no schedule. */
  set_schedule_active?: boolean | null;
  version_group_id?: string | null;
  description?: string | null;
  idempotency_key?: string | null;
}

export interface RegisterTasksInput {
  flow_id: string;
  /** A list. */
  serialized_tasks: unknown;
}

export interface RegisterEdgesInput {
  flow_id: string;
  /** A list. */
  serialized_edges: unknown;
}

export interface SetScheduleActiveInput {
  flow_id: string;
}

export interface SetScheduleInactiveInput {
  flow_id: string;
}

export interface ArchiveFlowInput {
  flow_id: string;
}

export interface DeleteFlowInput {
  flow_id: string;
}

export interface UpdateFlowProjectInput {
  flow_id: string;
  project_id: string;
}

export interface CreateFlowPayload {
  id: string;
  /** Ours. */
  version: number;
  /** Ours. */
  flow_group_id: string;
  /** Ours. False when the newest version already had this idempotency key. */
  created: boolean;
}

export interface SetSecretInput {
  name: string;
  value: unknown;
}

export interface DeleteSecretInput {
  name: string;
}

export interface CachedStatesInput {
  flow_id: string;
  task_slug: string;
  cache_key?: string | null;
  since: string;
}

export interface SetFlowRunStatesInput {
  states: SetFlowRunStateInput[];
}

export interface SetFlowRunStateInput {
  flow_run_id: string;
  version?: number | null;
  state: unknown;
}

export interface SetTaskRunStatesInput {
  states: SetTaskRunStateInput[];
}

export interface SetTaskRunStateInput {
  task_run_id: string;
  version?: number | null;
  flow_run_version?: number | null;
  state: unknown;
}

export interface ResumeTaskRunInput {
  task_run_id: string;
  input?: unknown;
}

export interface SetStatesPayload {
  states: SetStatePayload[];
}

export interface SetStatePayload {
  id: string;
  status: string;
  message: string | null;
}

export interface CreateTenantInput {
  name: string;
  /** Lower case, digits and single hyphens; no other tenant has it. Default: made from the name. */
  slug?: string | null;
}

export interface DeleteTenantInput {
  tenant_id: string;
  /** Must be true. */
  confirm: boolean;
}

export interface UpdateTenantNameInput {
  tenant_id: string;
  name: string;
}

export interface UpdateTenantSlugInput {
  tenant_id: string;
  slug: string;
}

export interface UpdateTenantSettingsInput {
  tenant_id: string;
  settings?: unknown;
}

export interface WhyWaitingInput {
  flow_run_id: string;
}

export interface WhyNoRunsInput {
  flow: string;
  /** Needed when flows of several projects have that name. */
  project?: string | null;
}

export interface WhyPayload {
  /** The run's name, or the flow's. */
  name: string;
  /** The run's state; null for a flow. */
  state: string | null;
  /** What holds it up, the most telling first; for one that goes on, how it stands. */
  reasons: WhyReason[];
}

export interface WhyReason {
  /** For programs, for instance LABELS_DIFFER. */
  code: string;
  /** For people, one sentence. */
  message: string;
  /** The command that would help; null when nothing is wrong, or nobody but time can help. */
  fix: string | null;
  /** What the reason is made of, by code: labels, holders with their run's name and since when, instants. */
  details: unknown;
}
