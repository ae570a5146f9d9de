import type { Cloud } from "./cloud.js";
import { readDocuments as documents } from "./read-documents.js";
import { PARAMETER_TYPE, SECRET_TYPE } from "./serialize-flow.js";

/* What the command line reads of a Cloud, as plain records in our names; runs are in run-reads.ts. */

export interface FlowRow {
  flowId: string;
  flowGroupId: string;
  name: string;
  version: number;
  project: string;
  archived: boolean;
  description: string | null;
  labels: string[];
  createdAt: string;
}
export interface ProjectRow {
  projectId: string;
  name: string;
  description: string | null;
  /** Versions that are not archived are counted once for each flow. */
  flows: number;
  createdAt: string;
}
export interface AgentRow {
  agentId: string;
  name: string;
  type: string;
  labels: string[];
  lastQueriedAt: string;
}
/** A task of a flow's version. */
export interface FlowTaskRow {
  taskSlug: string;
  task: string;
  kind: "task" | "parameter" | "secret";
  mapped: boolean;
}

/** Flows by name. */
export interface FlowFilter {
  flow?: string | undefined;
  project?: string | undefined;
  /** Otherwise the newest of each flow, as long as it is not archived. */
  allVersions: boolean;
  limit: number;
}

export async function listFlows(cloud: Cloud, filter: FlowFilter): Promise<FlowRow[]> {
  const { flow } = await cloud.query<{ flow: WireFlow[] }>(documents.flows, {
    name: filter.flow ?? null,
    project: filter.project ?? null,
    // A new version archives those before it, so one of each flow is left.
    archived: filter.allVersions ? null : false,
    limit: filter.limit,
  });
  return flow.map((row) => ({
    flowId: row.id,
    flowGroupId: row.flow_group_id,
    name: row.name,
    version: row.version,
    project: row.project.name,
    archived: row.archived,
    description: row.description,
    labels: labelsOf(row.run_config),
    createdAt: row.created,
  }));
}
interface WireFlow {
  id: string;
  flow_group_id: string;
  name: string;
  version: number;
  archived: boolean;
  description: string | null;
  created: string;
  run_config: unknown;
  project: { name: string };
}

function labelsOf(runConfig: unknown): string[] {
  const labels = (runConfig as { labels?: unknown } | null)?.labels;
  return Array.isArray(labels) ? labels.map(String) : [];
}

export async function listProjects(cloud: Cloud, filter: { limit: number }): Promise<ProjectRow[]> {
  const { project } = await cloud.query<{ project: WireProject[] }>(documents.projects, filter);
  return project.map((row) => ({
    projectId: row.id,
    name: row.name,
    description: row.description,
    flows: row.flows_aggregate.aggregate.count,
    createdAt: row.created,
  }));
}
interface WireProject {
  id: string;
  name: string;
  description: string | null;
  created: string;
  flows_aggregate: { aggregate: { count: number } };
}

export async function listAgents(cloud: Cloud, filter: { limit: number }): Promise<AgentRow[]> {
  const { agent } = await cloud.query<{ agent: WireAgent[] }>(documents.agents, filter);
  return agent.map((row) => ({
    agentId: row.id,
    name: row.name,
    type: row.type,
    labels: Array.isArray(row.labels) ? row.labels.map(String) : [],
    lastQueriedAt: row.last_queried,
  }));
}
interface WireAgent {
  id: string;
  name: string;
  type: string;
  labels: unknown;
  last_queried: string;
}

/** The tasks in the order in which they were registered: each comes after its upstreams. */
export async function listFlowTasks(cloud: Cloud, flowId: string): Promise<FlowTaskRow[]> {
  const { flow_by_pk } = await cloud.query<{ flow_by_pk: WireFlowTasks | null }>(documents.flowTasks, { id: flowId });
  const registered = flow_by_pk?.serialized_flow?.tasks ?? [];
  const place = new Map(registered.map(({ slug }, index) => [slug, index]));
  const rows = (flow_by_pk?.tasks ?? []).map(({ slug, name, type, mapped }) => ({
    taskSlug: slug,
    task: name,
    kind: kindOf(type),
    mapped,
  }));
  return rows.sort((a, b) => (place.get(a.taskSlug) ?? 0) - (place.get(b.taskSlug) ?? 0));
}
interface WireFlowTasks {
  serialized_flow: { tasks?: { slug: string }[] } | null;
  tasks: { slug: string; name: string; type: string | null; mapped: boolean }[];
}

function kindOf(type: string | null): FlowTaskRow["kind"] {
  if (type === PARAMETER_TYPE) return "parameter";
  return type === SECRET_TYPE ? "secret" : "task";
}
