import type { Mutations, Queries, Subscriptions } from "./wire.js";

/**
 * One GraphQL operation: its text, which is sent as it stands so that the Cloud parses it once, and the types of what goes
 * in and comes back.
 */
export interface Operation<Data, Variables> {
  readonly name: string;
  readonly text: string;
  /** Is doing it twice the same as once? Only then is it sent again when no answer came. */
  readonly repeatable: boolean;
  readonly types?: (variables: Variables) => Data;
}

/** A row of the read API, as the documents below ask for it. */
export interface WireFlowRow {
  id: string;
  flow_group_id: string;
  name: string;
  version: number;
  archived: boolean;
  project: { name: string };
  serialized_flow: unknown;
}

/** A token as the Cloud lists it. */
export interface WireApiKeyRow {
  id: string;
  name: string;
  scope: string;
  created: string;
  expires_at: string | null;
  last_used: string | null;
}

/** Root fields of the schema file: all of their answer's types are known. */
type Roots = Queries & Mutations & Subscriptions;
type RootOperation<Name extends keyof Roots> = Operation<
  { [K in Name]: Roots[K]["payload"] },
  Roots[Name]["arguments"]
>;

function root<Name extends keyof Roots>(name: Name, text: string, repeatable = true): RootOperation<Name> {
  return { name, text, repeatable };
}

/** A mutation that takes one `input`, as all of them do, and the fields of its answer that are read. */
function mutation<Name extends keyof Mutations>(name: Name, fields: string, repeatable = true): RootOperation<Name> {
  return root(name, `mutation($input: ${name}_input!) { ${name}(input: $input) { ${fields} } }`, repeatable);
}

function read<Data, Variables>(name: string, text: string): Operation<Data, Variables> {
  return { name, text, repeatable: true };
}

const FLOW_FIELDS = "id flow_group_id name version archived project { name } serialized_flow";
const CLAIM_FIELDS = `next_due_at runs {
  flow_run_id fence lease_expires_at flow_id name parameters context run_config scheduled_start_time times_resurrected
  task_runs { id task_slug map_index version serialized_state } }`;
const REPORT_FIELDS = "refused { flow_run_id code message } cancelling queued granted";

/** Every operation that `cloud-client.ts` sends. A test holds each against the Cloud's schema. */
export const documents = {
  hello: root("hello", "query { hello }"),
  cachedStates: root("cached_states", "query($input: cached_states_input!) { cached_states(input: $input) }"),
  authInfo: root("auth_info", "query { auth_info { tenant_id scope name key_id expires_at } }"),
  findProject: read<{ project: { id: string }[] }, { name: string }>(
    "project",
    "query($name: String!) { project(where: {name: {_eq: $name}}) { id } }",
  ),
  /** The protocol's `_eq: null` is always true: without a project, any. */
  latestFlow: read<{ flow: WireFlowRow[] }, { name: string; project: string | null }>(
    "flow",
    `query($name: String!, $project: String) {
      flow(where: {name: {_eq: $name}, archived: {_eq: false}, project: {name: {_eq: $project}}}, order_by: {created: desc}, limit: 1) {
        ${FLOW_FIELDS} } }`,
  ),
  flow: read<{ flow_by_pk: WireFlowRow | null }, { id: string }>(
    "flow_by_pk",
    `query($id: UUID!) { flow_by_pk(id: $id) { ${FLOW_FIELDS} } }`,
  ),
  flowRunState: read<{ flow_run_by_pk: { serialized_state: unknown } | null }, { id: string }>(
    "flow_run_by_pk",
    "query($id: UUID!) { flow_run_by_pk(id: $id) { serialized_state } }",
  ),
  createProject: mutation("create_project", "id"),
  createFlow: mutation("create_flow", "id version flow_group_id created"),
  createFlowRun: mutation("create_flow_run", "id"),
  cancelFlowRun: mutation("cancel_flow_run", "state"),
  // Twice is refused the second time: the task run is Paused no more.
  resumeTaskRun: mutation("resume_task_run", "state", false),
  registerAgent: mutation("register_agent", "id"),
  // Each claim has an id: repeated when its answer was lost, it is answered with the same runs.
  claimRuns: mutation("claim_runs", CLAIM_FIELDS),
  renewLeases: mutation("renew_leases", "lost cancelling granted"),
  releaseRuns: mutation("release_runs", "success error"),
  reportStates: mutation("report_states", REPORT_FIELDS),
  /** Root mutations are executed in order: the reports are judged before more runs are claimed. */
  reportAndClaim: read<
    { report_states: Roots["report_states"]["payload"]; claim_runs: Roots["claim_runs"]["payload"] },
    {
      report: Roots["report_states"]["arguments"]["input"];
      claim: Roots["claim_runs"]["arguments"]["input"];
    }
  >(
    "report_states",
    `mutation($report: report_states_input!, $claim: claim_runs_input!) {
      report_states(input: $report) { ${REPORT_FIELDS} }
      claim_runs(input: $claim) { ${CLAIM_FIELDS} } }`,
  ),
  createApiKey: mutation("create_api_key", "id key", false),
  deleteApiKey: mutation("delete_api_key", "success"),
  apiKeys: read<{ auth_api_key: WireApiKeyRow[] }, Record<string, never>>(
    "auth_api_key",
    "query { auth_api_key(order_by: {created: asc}, limit: 10000) { id name scope created expires_at last_used } }",
  ),
  agentEvents: root(
    "agent_events",
    `subscription($agent_id: UUID!, $flow_group_id: UUID) {
      agent_events(agent_id: $agent_id, flow_group_id: $flow_group_id) { run_due cancelling granted } }`,
  ),
} as const;
