import type { WireState } from "../codec/state-json.js";
import { MillraceError } from "../core/errors.js";
import type { Cloud } from "./cloud.js";
import { readDocuments as documents } from "./read-documents.js";

/* What the command line reads of runs, as plain records in our names. */

export interface FlowRunRow {
  flowRunId: string;
  name: string;
  flowId: string;
  flow: string;
  flowVersion: number;
  project: string;
  /** Null before its first state. */
  state: string | null;
  message: string | null;
  labels: string[];
  parameters: Record<string, unknown>;
  agent: string | null;
  timesResurrected: number;
  /** When it entered its state. */
  stateAt: string | null;
  createdAt: string;
  scheduledStartAt: string;
  startAt: string | null;
  endAt: string | null;
}
export interface TaskRunRow {
  taskRunId: string;
  flowRunId: string;
  task: string;
  taskSlug: string;
  /** -1 for a task run that is not a mapped child. */
  mapIndex: number;
  version: number;
  state: string | null;
  message: string | null;
  /** How often it has run, this time included, as far as its state tells. */
  runCount: number | null;
  /** For a mapped task: how many children it has. */
  mapCount: number | null;
  /** When it entered its state. */
  stateAt: string | null;
  startAt: string | null;
  endAt: string | null;
  updatedAt: string;
}
export interface LogRow {
  at: string;
  level: string;
  logger: string | null;
  message: string | null;
  taskRunId: string | null;
}
export interface RunFilter {
  flow?: string | undefined;
  project?: string | undefined;
  /** Names of states; none: all. */
  states?: readonly string[] | undefined;
  limit: number;
}

export async function listFlowRuns(cloud: Cloud, filter: RunFilter): Promise<FlowRunRow[]> {
  const { flow_run } = await cloud.query<{ flow_run: WireFlowRun[] }>(documents.flowRuns, {
    flow: filter.flow ?? null,
    project: filter.project ?? null,
    states: filter.states ?? null,
    limit: filter.limit,
  });
  return flow_run.map(toFlowRunRow);
}

/** @throws FLOW_RUN_NOT_FOUND */
export async function getFlowRun(cloud: Cloud, flowRunId: string): Promise<FlowRunRow> {
  const { flow_run_by_pk } = await cloud.query<{ flow_run_by_pk: WireFlowRun | null }>(documents.flowRun, {
    id: flowRunId,
  });
  if (flow_run_by_pk) return toFlowRunRow(flow_run_by_pk);
  throw noSuchRun(cloud, flowRunId);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const isFlowRunId = (idOrName: string): boolean => UUID.test(idOrName);

/** The flow run of that id, or the newest one of that name. @throws FLOW_RUN_NOT_FOUND */
export async function findFlowRun(cloud: Cloud, idOrName: string): Promise<FlowRunRow> {
  if (isFlowRunId(idOrName)) return getFlowRun(cloud, idOrName.toLowerCase());
  const [newest] = await findFlowRunsByName(cloud, idOrName, { limit: 1 });
  if (newest) return newest;
  throw noSuchRun(cloud, idOrName);
}

/** The flow runs of that name that are in none of the states `notIn`, newest first. Names are not unique. */
export async function findFlowRunsByName(
  cloud: Cloud,
  name: string,
  filter: { notIn?: readonly string[]; limit: number },
): Promise<FlowRunRow[]> {
  const { flow_run } = await cloud.query<{ flow_run: WireFlowRun[] }>(documents.flowRunsByName, {
    name,
    notIn: filter.notIn ?? null,
    limit: filter.limit,
  });
  return flow_run.map(toFlowRunRow);
}

function noSuchRun(cloud: Cloud, asked: string): MillraceError {
  return new MillraceError("FLOW_RUN_NOT_FOUND", `There is no flow run "${asked}" in the Cloud at ${cloud.url}.`, {
    hint: "`millrace get flow-runs` lists them.",
  });
}

interface WireFlowRun {
  id: string;
  name: string;
  flow_id: string;
  state: string | null;
  state_message: string | null;
  state_timestamp: string | null;
  labels: unknown;
  parameters: Record<string, unknown>;
  times_resurrected: number;
  created: string;
  scheduled_start_time: string;
  start_time: string | null;
  end_time: string | null;
  flow: { name: string; version: number; project: { name: string } };
  agent: { name: string } | null;
}

function toFlowRunRow(row: WireFlowRun): FlowRunRow {
  return {
    flowRunId: row.id,
    name: row.name,
    flowId: row.flow_id,
    flow: row.flow.name,
    flowVersion: row.flow.version,
    project: row.flow.project.name,
    state: row.state,
    message: row.state_message,
    labels: Array.isArray(row.labels) ? row.labels.map(String) : [],
    parameters: row.parameters,
    agent: row.agent?.name ?? null,
    timesResurrected: row.times_resurrected,
    stateAt: row.state_timestamp,
    createdAt: row.created,
    scheduledStartAt: row.scheduled_start_time,
    startAt: row.start_time,
    endAt: row.end_time,
  };
}

export async function listTaskRuns(
  cloud: Cloud,
  flowRunId: string,
  filter: { states?: readonly string[] | undefined; limit: number; updatedSince?: string; offset?: number },
): Promise<TaskRunRow[]> {
  const { task_run } = await cloud.query<{ task_run: WireTaskRun[] }>(documents.taskRuns, {
    flowRun: flowRunId,
    states: filter.states ?? null,
    since: filter.updatedSince ?? null,
    limit: filter.limit,
    offset: filter.offset ?? 0,
  });
  return task_run.map((row) => ({
    taskRunId: row.id,
    flowRunId,
    task: row.task.name,
    taskSlug: row.task.slug,
    mapIndex: row.map_index,
    version: row.version,
    state: row.state,
    message: row.state_message,
    runCount: numberOf(row.serialized_state?.run_count),
    mapCount: numberOf(row.serialized_state?.n_map_states),
    stateAt: row.state_timestamp,
    startAt: row.start_time,
    endAt: row.end_time,
    updatedAt: row.updated,
  }));
}
const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

interface WireTaskRun {
  id: string;
  map_index: number;
  version: number;
  state: string | null;
  state_message: string | null;
  state_timestamp: string | null;
  serialized_state: WireState | null;
  start_time: string | null;
  end_time: string | null;
  updated: string;
  task: { name: string; slug: string };
}

/** The last `limit` lines of a flow run's log, oldest first. */
export async function listLogs(
  cloud: Cloud,
  flowRunId: string,
  filter: { levels?: readonly string[] | undefined; limit: number },
): Promise<LogRow[]> {
  const { log } = await cloud.query<{ log: WireLog[] }>(documents.logs, {
    flowRun: flowRunId,
    levels: filter.levels ?? null,
    limit: filter.limit,
  });
  return log.reverse().map((row) => ({
    at: row.timestamp,
    level: row.level,
    logger: row.name,
    message: row.message,
    taskRunId: row.task_run_id,
  }));
}
interface WireLog {
  timestamp: string;
  level: string;
  name: string | null;
  message: string | null;
  task_run_id: string | null;
}
