import type { Cloud } from "./cloud.js";
import type { WhyPayload } from "./wire.js";

/* Concurrency limits, and why runs wait: what the command line asks. */

/** What a limit holds back: task runs by their task's tag, flow runs by their label. */
export type LimitKind = "task-tag" | "flow-label";

export interface Limit {
  limitId: string;
  kind: LimitKind;
  /** The tag or the label. */
  name: string;
  limit: number;
}

/** All limits, task tags first, by name. */
export async function listLimits(cloud: Cloud): Promise<Limit[]> {
  const { task_tag_limit, flow_concurrency_limit } = await cloud.query<{
    task_tag_limit: { id: string; tag: string; limit: number }[];
    flow_concurrency_limit: { id: string; name: string; limit: number }[];
  }>(`query {
    task_tag_limit(order_by: {tag: asc}) { id tag limit }
    flow_concurrency_limit(order_by: {name: asc}) { id name limit } }`);
  return [
    ...task_tag_limit.map(({ id, tag, limit }) => ({ limitId: id, kind: "task-tag" as const, name: tag, limit })),
    ...flow_concurrency_limit.map(({ id, name, limit }) => ({ limitId: id, kind: "flow-label" as const, name, limit })),
  ];
}

/** Sets a limit, new or not. @returns its id */
export async function setLimit(cloud: Cloud, kind: LimitKind, name: string, limit: number): Promise<string> {
  const [mutation, key] =
    kind === "task-tag" ? ["update_task_tag_limit", "tag"] : ["update_flow_concurrency_limit", "name"];
  const answer = await cloud.query<Record<string, { id: string }>>(
    `mutation($input: ${mutation}_input!) { ${mutation}(input: $input) { id } }`,
    { input: { [key as string]: name, limit } },
  );
  return answer[mutation as string]!.id;
}

/** Takes a limit away. @returns false when there was none */
export async function deleteLimit(cloud: Cloud, kind: LimitKind, name: string): Promise<boolean> {
  const known = (await listLimits(cloud)).find((each) => each.kind === kind && each.name === name);
  if (!known) return false;
  const mutation = kind === "task-tag" ? "delete_task_tag_limit" : "delete_flow_concurrency_limit";
  const answer = await cloud.query<Record<string, { success: boolean }>>(
    `mutation($input: ${mutation}_input!) { ${mutation}(input: $input) { success } }`,
    { input: { limit_id: known.limitId } },
  );
  return answer[mutation]!.success;
}

const WHY_FIELDS = "name state reasons { code message fix details }";

/** Why a flow run does not go on. @throws FLOW_RUN_NOT_FOUND */
export async function whyWaiting(cloud: Cloud, flowRunId: string): Promise<WhyPayload> {
  const { why_waiting } = await cloud.query<{ why_waiting: WhyPayload }>(
    `query($input: why_waiting_input!) { why_waiting(input: $input) { ${WHY_FIELDS} } }`,
    { input: { flow_run_id: flowRunId } },
  );
  return why_waiting;
}

/** Why a flow makes no runs by itself. @throws FLOW_NOT_DEPLOYED */
export async function whyNoRuns(cloud: Cloud, flow: string, project: string | undefined): Promise<WhyPayload> {
  const { why_no_runs } = await cloud.query<{ why_no_runs: WhyPayload }>(
    `query($input: why_no_runs_input!) { why_no_runs(input: $input) { ${WHY_FIELDS} } }`,
    { input: { flow, ...(project === undefined ? {} : { project }) } },
  );
  return why_no_runs;
}

/** The newest version of a flow, whoever deployed it. */
export async function newestFlowId(
  cloud: Cloud,
  project: string | undefined,
  name: string,
): Promise<string | undefined> {
  const { flow } = await cloud.query<{ flow: { id: string }[] }>(
    `query($name: String!, $project: String) {
      flow(where: {name: {_eq: $name}, archived: {_eq: false}, project: {name: {_eq: $project}}}, order_by: {created: desc}, limit: 1) { id } }`,
    { name, project: project ?? null },
  );
  return flow[0]?.id;
}

/** Turns the schedule of a flow's newest version on or off. @returns false when it has none */
export async function setScheduleActive(cloud: Cloud, flowId: string, active: boolean): Promise<boolean> {
  const mutation = active ? "set_schedule_active" : "set_schedule_inactive";
  const answer = await cloud.query<Record<string, { success: boolean }>>(
    `mutation($input: ${mutation}_input!) { ${mutation}(input: $input) { success } }`,
    { input: { flow_id: flowId } },
  );
  return answer[mutation]!.success;
}
