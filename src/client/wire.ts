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

export interface RegisterAgentInput {
  type: string;
  name?: string | null;
  labels?: string[] | null;
  tenant_id?: string | null;
  agent_config_id?: string | null;
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
  limit: number;
  /** How long the claim lasts without being renewed, in milliseconds. */
  lease_ms: number;
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
}

export interface Queries {
  /** Answers anyone with a token: is the Cloud there? */
  hello: { arguments: Record<string, never>; payload: string };
  api: { arguments: Record<string, never>; payload: ApiInfo };
  auth_info: { arguments: Record<string, never>; payload: AuthInfo };
  /** Ours. Cached states, newest first, that may stand for running a task of this flow version; with a key, of any flow's tasks that share it. */
  cached_states: { arguments: { input: CachedStatesInput }; payload: unknown[] };
}

export interface Mutations {
  /** The key is shown in this answer and never again. It lasts no longer than the key that makes it. */
  create_api_key: { arguments: { input: CreateApiKeyInput }; payload: CreateApiKeyPayload };
  /** The key is refused at once by this server, and within 5 seconds by others on the same database; its subscriptions end. */
  delete_api_key: { arguments: { input: DeleteApiKeyInput }; payload: SuccessPayload };
  /** The same name, type, core version and labels answer the agent's earlier id. */
  register_agent: { arguments: { input: RegisterAgentInput }; payload: IdPayload };
  get_runs_in_queue: { arguments: { input: GetRunsInQueueInput }; payload: RunsInQueuePayload };
  /** Ours. Gives due runs to exactly one agent, each with a lease and a fence, and sets them Submitted. */
  claim_runs: { arguments: { input: ClaimRunsInput }; payload: ClaimRunsPayload };
  /** Ours. Keeps leases alive; answers what has become of each run. */
  renew_leases: { arguments: { input: RenewLeasesInput }; payload: RenewLeasesPayload };
  /** Ours. Gives runs back: those that were claimed and never begun, or whose thread died, are Scheduled again, or Failed with the reason; those whose tasks wait stay Running. */
  release_runs: { arguments: { input: ReleaseRunsInput }; payload: SuccessPayload };
  /** Ours. Many states and log lines of many runs in one transaction, judged one by one in the order given. Safe to send twice. */
  report_states: { arguments: { input: ReportStatesInput }; payload: ReportStatesPayload };
  /** Asks for a run. The same idempotency key for the same flow answers the first run's id. */
  create_flow_run: { arguments: { input: CreateFlowRunInput }; payload: IdPayload };
  /** Finished: nothing. Running, and held by an agent: Cancelling, and the agent is told. Otherwise: Cancelled at once. */
  cancel_flow_run: { arguments: { input: CancelFlowRunInput }; payload: StatePayload };
  update_flow_run_heartbeat: { arguments: { input: UpdateFlowRunHeartbeatInput }; payload: SuccessPayload };
  write_run_logs: { arguments: { input: WriteRunLogsInput }; payload: SuccessPayload };
  create_project: { arguments: { input: CreateProjectInput }; payload: IdPayload };
  /** Registers a flow with its tasks and edges. The same idempotency key as the newest version's answers that version's id, unchanged. */
  create_flow: { arguments: { input: CreateFlowInput }; payload: CreateFlowPayload };
  set_flow_run_states: { arguments: { input: SetFlowRunStatesInput }; payload: SetStatesPayload };
  set_task_run_states: { arguments: { input: SetTaskRunStatesInput }; payload: SetStatesPayload };
  /** Ours. Lets a Paused task run go on; `input` is what whoever resumes it has to say. */
  resume_task_run: { arguments: { input: ResumeTaskRunInput }; payload: StatePayload };
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

export interface CreateProjectInput {
  name: string;
  description?: string | null;
  tenant_id?: string | null;
}

export interface CreateFlowInput {
  project_id: string;
  serialized_flow: unknown;
  set_schedule_active?: boolean | null;
  version_group_id?: string | null;
  idempotency_key?: string | null;
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
