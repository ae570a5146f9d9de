import { buildSchema, type GraphQLSchema, isObjectType, isScalarType } from "graphql";
import type { AgentEvent, Mutations, Queries } from "../../client/wire.js";
import { asInstant } from "../../codec/state-json.js";
import { MillraceError } from "../../core/errors.js";
import type { Database } from "../../db/database.js";
import { findAgent } from "../../db/queries/agents.js";
import { guardRoots } from "../access/guard-roots.js";
import { createAgentConfig, deleteAgentConfig, updateAgentConfig } from "../mutations/agent-configs.js";
import { deleteAgentOfTenant, getRunsInQueue, registerAgent, writeRunLogs } from "../mutations/agents.js";
import { authInfo, createApiKey, deleteApiKeyOfTenant } from "../mutations/api-keys.js";
import { createTaskRunArtifact, deleteTaskRunArtifact, updateTaskRunArtifact } from "../mutations/artifacts.js";
import { deleteFlowRun, labelFlowRun, nameFlowRun } from "../mutations/change-flow-run.js";
import { agentUnknown, claimRuns } from "../mutations/claim-runs.js";
import {
  createCloudHook,
  deleteCloudHook,
  setCloudHookActive,
  setCloudHookInactive,
  testCloudHook,
} from "../mutations/cloud-hooks.js";
import { createFlow, createFlowFromCompressedString } from "../mutations/create-flow.js";
import {
  deleteFlowGroup,
  deleteFlowGroupSchedule,
  disableFlowHeartbeat,
  disableFlowLazarusProcess,
  disableFlowVersionLock,
  enableFlowHeartbeat,
  enableFlowLazarusProcess,
  enableFlowVersionLock,
  setFlowGroupDefaultParameters,
  setFlowGroupDescription,
  setFlowGroupLabels,
  setFlowGroupRunConfig,
  setFlowGroupSchedule,
} from "../mutations/flow-groups.js";
import { cancelFlowRun, createFlowRun } from "../mutations/flow-runs.js";
import {
  archiveFlow,
  deleteFlow,
  setScheduleActive,
  setScheduleInactive,
  updateFlowProject,
} from "../mutations/flows.js";
import { deleteKeyValue, setKeyValue } from "../mutations/key-values.js";
import { releaseRuns, renewLeases, updateFlowRunHeartbeat } from "../mutations/leases.js";
import {
  deleteFlowConcurrencyLimit,
  deleteTaskTagLimit,
  updateFlowConcurrencyLimit,
  updateTaskTagLimit,
} from "../mutations/limits.js";
import { deleteMessage, markMessageAsRead, markMessageAsUnread } from "../mutations/messages.js";
import { createProject, deleteProject, setProjectDescription, setProjectName } from "../mutations/projects.js";
import { registerEdges, registerTasks } from "../mutations/register-graph.js";
import { reportStates } from "../mutations/report-states.js";
import { resumeTaskRun } from "../mutations/resume.js";
import { deleteSecret, secretNames, secretValue, setSecret } from "../mutations/secrets.js";
import { setFlowRunStates, setTaskRunStates } from "../mutations/set-states.js";
import {
  getOrCreateTaskRun,
  getOrCreateTaskRunInfo,
  getTaskRunInfo,
  nameTaskRun,
  updateTaskRunHeartbeat,
} from "../mutations/task-runs.js";
import {
  api,
  createTenant,
  deleteTenant,
  hello,
  updateTenantName,
  updateTenantSettings,
  updateTenantSlug,
} from "../mutations/tenants.js";
import type { RequestContext } from "../parts.js";
import { readCachedStates } from "../read/cached-states.js";
import { addReadApi } from "../read/read-schema.js";
import { whyNoRuns } from "../why/why-no-runs.js";
import { whyWaiting } from "../why/why-waiting.js";
import { readSchemaText } from "./schema-text.js";

/** One function for each mutation of the schema, typed by what `npm run generate` made of it. */
type MutationResolvers = {
  [Name in keyof Mutations]: (
    input: Mutations[Name]["arguments"]["input"],
    context: RequestContext,
  ) => Promise<Mutations[Name]["payload"]>;
};
type QueryResolvers = {
  [Name in keyof Queries]: (
    input: Queries[Name]["arguments"] extends { input: infer Input } ? Input : Queries[Name]["arguments"],
    context: RequestContext,
  ) => Promise<Queries[Name]["payload"]>;
};

const queries: QueryResolvers = {
  hello,
  auth_info: authInfo,
  api,
  cached_states: readCachedStates,
  why_waiting: whyWaiting,
  why_no_runs: whyNoRuns,
  get_task_run_info: getTaskRunInfo,
  secret_value: secretValue,
  secret_names: secretNames,
};
const mutations: MutationResolvers = {
  create_project: createProject,
  create_flow: createFlow,
  create_tenant: createTenant,
  delete_tenant: deleteTenant,
  update_tenant_name: updateTenantName,
  update_tenant_slug: updateTenantSlug,
  update_tenant_settings: updateTenantSettings,
  set_project_name: setProjectName,
  set_project_description: setProjectDescription,
  delete_project: deleteProject,
  create_flow_from_compressed_string: createFlowFromCompressedString,
  register_tasks: registerTasks,
  register_edges: registerEdges,
  set_schedule_active: setScheduleActive,
  set_schedule_inactive: setScheduleInactive,
  archive_flow: archiveFlow,
  delete_flow: deleteFlow,
  update_flow_project: updateFlowProject,
  set_flow_group_description: setFlowGroupDescription,
  set_flow_group_labels: setFlowGroupLabels,
  set_flow_group_run_config: setFlowGroupRunConfig,
  set_flow_group_schedule: setFlowGroupSchedule,
  delete_flow_group_schedule: deleteFlowGroupSchedule,
  set_flow_group_default_parameters: setFlowGroupDefaultParameters,
  delete_flow_group: deleteFlowGroup,
  enable_flow_heartbeat: enableFlowHeartbeat,
  disable_flow_heartbeat: disableFlowHeartbeat,
  enable_flow_lazarus_process: enableFlowLazarusProcess,
  disable_flow_lazarus_process: disableFlowLazarusProcess,
  enable_flow_version_lock: enableFlowVersionLock,
  disable_flow_version_lock: disableFlowVersionLock,
  create_flow_run: createFlowRun,
  cancel_flow_run: cancelFlowRun,
  register_agent: registerAgent,
  get_runs_in_queue: getRunsInQueue,
  claim_runs: claimRuns,
  renew_leases: renewLeases,
  release_runs: releaseRuns,
  report_states: reportStates,
  update_task_tag_limit: updateTaskTagLimit,
  delete_task_tag_limit: deleteTaskTagLimit,
  update_flow_concurrency_limit: updateFlowConcurrencyLimit,
  delete_flow_concurrency_limit: deleteFlowConcurrencyLimit,
  set_flow_run_states: setFlowRunStates,
  set_task_run_states: setTaskRunStates,
  resume_task_run: resumeTaskRun,
  write_run_logs: writeRunLogs,
  update_flow_run_heartbeat: updateFlowRunHeartbeat,
  set_flow_run_name: nameFlowRun,
  set_flow_run_labels: labelFlowRun,
  delete_flow_run: deleteFlowRun,
  get_or_create_task_run: getOrCreateTaskRun,
  get_or_create_task_run_info: getOrCreateTaskRunInfo,
  set_task_run_name: nameTaskRun,
  update_task_run_heartbeat: updateTaskRunHeartbeat,
  delete_agent: deleteAgentOfTenant,
  create_api_key: createApiKey,
  delete_api_key: deleteApiKeyOfTenant,
  set_key_value: setKeyValue,
  delete_key_value: deleteKeyValue,
  set_secret: setSecret,
  delete_secret: deleteSecret,
  create_cloud_hook: createCloudHook,
  delete_cloud_hook: deleteCloudHook,
  set_cloud_hook_active: setCloudHookActive,
  set_cloud_hook_inactive: setCloudHookInactive,
  test_cloud_hook: testCloudHook,
  create_task_run_artifact: createTaskRunArtifact,
  update_task_run_artifact: updateTaskRunArtifact,
  delete_task_run_artifact: deleteTaskRunArtifact,
  mark_message_as_read: markMessageAsRead,
  mark_message_as_unread: markMessageAsUnread,
  delete_message: deleteMessage,
  create_agent_config: createAgentConfig,
  update_agent_config: updateAgentConfig,
  delete_agent_config: deleteAgentConfig,
};

/** The schema as text: the contract. */
export const schemaText: string = readSchemaText();

/** The schema with the functions that answer it, and the read API's roots. */
export function makeSchema(database: Pick<Database, "read" | "kind" | "snapshot">): GraphQLSchema {
  const schema = buildSchema(schemaText);
  setScalars(schema);
  attach(schema, "Query", queries);
  attach(schema, "Mutation", mutations);
  const events = schema.getSubscriptionType()!.getFields().agent_events!;
  events.subscribe = (_root, args, context: RequestContext) => agentEvents(args, context);
  events.resolve = (event: AgentEvent) => event;
  return guardRoots(addReadApi(schema, { database }));
}

function attach(schema: GraphQLSchema, root: string, resolvers: QueryResolvers | MutationResolvers): void {
  const type = schema.getType(root);
  if (!isObjectType(type)) throw new MillraceError("INTERNAL", `The schema has no type ${root}.`);
  const fields = type.getFields();
  for (const [name, resolve] of Object.entries(resolvers)) {
    const call = resolve as (input: unknown, context: RequestContext) => Promise<unknown>;
    fields[name]!.resolve = (_root, args, context: RequestContext) =>
      call("input" in args ? args.input : args, context);
  }
}

async function agentEvents(
  args: { agent_id: string; flow_group_id?: string | null },
  { parts, caller }: RequestContext,
): Promise<AsyncGenerator<AgentEvent, void, void>> {
  const agent = await findAgent(parts.database, caller.tenantId, args.agent_id);
  if (!agent) throw agentUnknown(args.agent_id);
  return parts.events.listen({
    agentId: agent.id,
    tenantId: caller.tenantId,
    keyId: caller.keyId,
    labels: JSON.parse(agent.labels) as string[],
    flowGroupId: args.flow_group_id ?? null,
  });
}

const SMALL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function setScalars(schema: GraphQLSchema): void {
  const parsers: Record<string, (value: unknown) => unknown> = { UUID: parseUuid, DateTime: makeInstantParser() };
  for (const [name, parse] of Object.entries(parsers)) {
    const type = schema.getType(name);
    if (!isScalarType(type)) throw new MillraceError("INTERNAL", `The schema has no scalar ${name}.`);
    type.parseValue = parse;
    // Literals are read as the same value would be in a variable.
    type.parseLiteral = (node) => parse("value" in node ? node.value : undefined);
  }
}

/** The states of one batch mostly carry the same few instants: the last one is remembered. */
function makeInstantParser(): (value: unknown) => string {
  let last: { value: unknown; instant: string } = { value: Symbol("none"), instant: "" };
  return (value) => {
    if (value !== last.value) last = { value, instant: asInstant(value) };
    return last.instant;
  };
}

function parseUuid(value: unknown): string {
  if (typeof value === "string") {
    if (SMALL_UUID.test(value)) return value;
    if (UUID.test(value)) return value.toLowerCase();
  }
  throw new MillraceError("INPUT_INVALID", `${JSON.stringify(value)?.slice(0, 80)} is not a UUID.`);
}
