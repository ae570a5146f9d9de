import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import type { EdgeRow, TaskRow } from "../../db/queries/flows.js";
import type { Engine } from "../../db/tables.js";

/** What the Cloud reads of a flow as Prefect serializes it (protocol notes, section 1.6). Unknown keys stay in `raw`. */
export interface SerializedFlow {
  name: string;
  description: string | null;
  parameters: SerializedParameter[];
  tasks: Record<string, unknown>[];
  edges: { upstream: string; downstream: string; key: string | null; mapped: boolean }[];
  /** Slugs; empty means: the tasks that nothing waits for. */
  referenceTasks: string[];
  runConfig: Record<string, unknown> | null;
  environment: Record<string, unknown> | null;
  storage: Record<string, unknown> | null;
  schedule: Record<string, unknown> | null;
  coreVersion: string | null;
  raw: Record<string, unknown>;
}

/** Whose agents can run it: only our own clients register a part `millrace`. */
export function engineOf(raw: Readonly<Record<string, unknown>>): Engine {
  return raw.millrace === undefined || raw.millrace === null ? "prefect" : "millrace";
}

export interface SerializedParameter {
  name: string;
  required: boolean;
  default: unknown;
  [field: string]: unknown;
}

/** @throws INPUT_INVALID naming the part that is not as it should be */
export function readSerializedFlow(value: unknown): SerializedFlow {
  const raw = objectAt(value, "serialized_flow");
  const tasks = listAt(raw.tasks, "tasks").map((each, index) => objectAt(each, `tasks[${index}]`));
  const flow: SerializedFlow = {
    name: textAt(raw.name, "name"),
    description: typeof raw.description === "string" ? raw.description : null,
    parameters: listAt(raw.parameters, "parameters").map((each, index) => readParameter(each, `parameters[${index}]`)),
    tasks,
    edges: listAt(raw.edges, "edges").map((each, index) => readEdge(each, `edges[${index}]`)),
    referenceTasks: listAt(raw.reference_tasks, "reference_tasks").map((each, index) =>
      slugAt(each, `reference_tasks[${index}]`),
    ),
    runConfig: optionalObject(raw.run_config, "run_config"),
    environment: optionalObject(raw.environment, "environment"),
    storage: optionalObject(raw.storage, "storage"),
    schedule: optionalObject(raw.schedule, "schedule"),
    coreVersion: typeof raw.__version__ === "string" ? raw.__version__ : null,
    raw,
  };
  checkSlugs(flow);
  return flow;
}

function checkSlugs(flow: SerializedFlow): void {
  const slugs = new Set<string>();
  flow.tasks.forEach((task, index) => {
    const slug = textAt(task.slug, `tasks[${index}].slug`);
    if (slugs.has(slug)) throw invalid(`tasks[${index}].slug`, "a slug that no other task has", slug);
    slugs.add(slug);
  });
  for (const { upstream, downstream } of flow.edges) {
    if (slugs.has(upstream) && slugs.has(downstream)) continue;
    throw new MillraceError(
      "INPUT_INVALID",
      `Edges could not be registered - some edges reference tasks that do not exist within this flow: "${upstream}" → "${downstream}".`,
    );
  }
}

interface Owner {
  flowId: string;
  tenantId: string;
  now: string;
}

export function toTaskRows(flow: SerializedFlow, { flowId, tenantId, now }: Owner): TaskRow[] {
  const downstreams = new Set(flow.edges.map((edge) => edge.downstream));
  const upstreams = new Set(flow.edges.map((edge) => edge.upstream));
  const mapped = new Set(flow.edges.filter((edge) => edge.mapped).map((edge) => edge.downstream));
  const references = new Set(flow.referenceTasks);
  return flow.tasks.map((task) => {
    const slug = task.slug as string;
    const terminal = !upstreams.has(slug);
    return {
      id: newId(),
      created: now,
      updated: now,
      tenant_id: tenantId,
      flow_id: flowId,
      name: typeof task.name === "string" ? task.name : slug,
      slug,
      description: textOrNull(task.description),
      type: textOrNull(task.type),
      max_retries: typeof task.max_retries === "number" ? Math.trunc(task.max_retries) : 0,
      retry_delay: typeof task.retry_delay === "number" ? task.retry_delay : null,
      trigger: readTrigger(task.trigger),
      tags: JSON.stringify(Array.isArray(task.tags) ? task.tags : []),
      mapped: task.mapped === true || mapped.has(slug) ? 1 : 0,
      auto_generated: task.auto_generated === true ? 1 : 0,
      cache_key: textOrNull(task.cache_key),
      is_root_task: downstreams.has(slug) ? 0 : 1,
      is_terminal_task: terminal ? 1 : 0,
      is_reference_task: (references.size === 0 ? terminal : references.has(slug)) ? 1 : 0,
    };
  });
}

export function toEdgeRows(
  flow: SerializedFlow,
  tasks: readonly TaskRow[],
  { flowId, tenantId, now }: Owner,
): EdgeRow[] {
  const ids = new Map(tasks.map((task) => [task.slug, task.id]));
  return flow.edges.map((edge) => ({
    id: newId(),
    created: now,
    updated: now,
    tenant_id: tenantId,
    flow_id: flowId,
    upstream_task_id: ids.get(edge.upstream)!,
    downstream_task_id: ids.get(edge.downstream)!,
    key: edge.key,
    mapped: edge.mapped ? 1 : 0,
  }));
}

/** `{ fn, kwargs }` is kept as the function's name. */
function readTrigger(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "object" && value !== null ? textOrNull((value as { fn?: unknown }).fn) : null;
}

function readParameter(value: unknown, where: string): SerializedParameter {
  const parameter = objectAt(value, where);
  return {
    ...parameter,
    name: textAt(parameter.name, `${where}.name`),
    required: parameter.required === true,
    default: parameter.default ?? null,
  };
}

function readEdge(value: unknown, where: string): SerializedFlow["edges"][number] {
  const edge = objectAt(value, where);
  return {
    upstream: slugAt(edge.upstream_task, `${where}.upstream_task`),
    downstream: slugAt(edge.downstream_task, `${where}.downstream_task`),
    key: textOrNull(edge.key),
    mapped: edge.mapped === true,
  };
}

const slugAt = (value: unknown, where: string): string => textAt(objectAt(value, where).slug, `${where}.slug`);
const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

function objectAt(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(where, "an object", value);
}

function optionalObject(value: unknown, where: string): Record<string, unknown> | null {
  return value === undefined || value === null ? null : objectAt(value, where);
}

/** A list that is left out is empty: Prefect's Python API registers tasks in calls of their own. */
function listAt(value: unknown, where: string): unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw invalid(where, "a list", value);
}

function textAt(value: unknown, where: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw invalid(where, "a text that is not empty", value);
}

function invalid(where: string, wanted: string, found: unknown): MillraceError {
  const text = JSON.stringify(found)?.slice(0, 80) ?? String(found);
  return new MillraceError(
    "INPUT_INVALID",
    `A flow cannot be registered: \`${where}\` must be ${wanted}, and is ${text}.`,
  );
}
