import { MillraceError } from "../../core/errors.js";
import type { Engine } from "../../db/tables.js";

/** What the Cloud reads of a flow as Prefect serializes it (protocol notes, section 1.6). Unknown keys stay in `raw`. */
export interface SerializedFlow {
  name: string;
  description: string | null;
  parameters: SerializedParameter[];
  tasks: SerializedTask[];
  edges: SerializedEdge[];
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

export interface SerializedTask {
  slug: string;
  [field: string]: unknown;
}

/** By slugs. */
export interface SerializedEdge {
  upstream: string;
  downstream: string;
  key: string | null;
  mapped: boolean;
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
  const flow: SerializedFlow = {
    name: textAt(raw.name, "name"),
    description: typeof raw.description === "string" ? raw.description : null,
    parameters: listAt(raw.parameters, "parameters").map((each, index) => readParameter(each, `parameters[${index}]`)),
    tasks: readTasks(raw.tasks, "tasks"),
    edges: readEdges(raw.edges, "edges"),
    referenceTasks: readReferences(raw.reference_tasks),
    runConfig: optionalObject(raw.run_config, "run_config"),
    environment: optionalObject(raw.environment, "environment"),
    storage: optionalObject(raw.storage, "storage"),
    schedule: optionalObject(raw.schedule, "schedule"),
    coreVersion: typeof raw.__version__ === "string" ? raw.__version__ : null,
    raw,
  };
  checkVersion(flow);
  checkSlugs(flow);
  return flow;
}

function checkSlugs(flow: SerializedFlow): void {
  const slugs = new Set<string>();
  flow.tasks.forEach(({ slug }, index) => {
    if (slugs.has(slug)) throw invalid(`tasks[${index}].slug`, "a slug that no other task has", slug);
    slugs.add(slug);
  });
  for (const { upstream, downstream } of flow.edges) {
    if (!slugs.has(upstream) || !slugs.has(downstream)) throw tasksUnknown(upstream, downstream);
  }
}

/** An edge between tasks of which one is not there. Prefect's clients show the first half to their users. */
export function tasksUnknown(upstream: string, downstream: string): MillraceError {
  const literal = "Edges could not be registered - some edges reference tasks that do not exist within this flow";
  return new MillraceError("INPUT_INVALID", `${literal}: "${upstream}" → "${downstream}".`, {
    hint: "Register the tasks first.",
  });
}

/** The least version of Prefect whose flows the Cloud takes; the protocol's own server draws the line there. */
const LEAST_VERSION = [0, 6, 1] as const;

/** @throws INPUT_INVALID for a flow of a Prefect that is too old */
function checkVersion(flow: SerializedFlow): void {
  const parts = /^(\d+)\.(\d+)(?:\.(\d+))?/
    .exec(flow.coreVersion ?? "")
    ?.slice(1)
    .map(Number);
  if (!parts) return;
  const differing = LEAST_VERSION.findIndex((least, index) => (parts[index] || 0) !== least);
  if (differing === -1 || (parts[differing] || 0) > LEAST_VERSION[differing]!) return;
  const least = LEAST_VERSION.join(".");
  throw new MillraceError(
    "INPUT_INVALID",
    `A flow cannot be registered: it was made by Prefect ${flow.coreVersion}, and ${least} is the least that is taken.`,
    { hint: "Install a newer Prefect 1.x, and register the flow again." },
  );
}

/** Tasks as they are registered in a list of their own. @throws INPUT_INVALID */
export function readTasks(value: unknown, where = "serialized_tasks"): SerializedTask[] {
  return listAt(value, where).map((each, index) => {
    const task = objectAt(each, `${where}[${index}]`);
    return { ...task, slug: textAt(task.slug, `${where}[${index}].slug`) };
  });
}

/** Edges as they are registered in a list of their own. @throws INPUT_INVALID */
export function readEdges(value: unknown, where = "serialized_edges"): SerializedEdge[] {
  return listAt(value, where).map((each, index) => readEdge(each, `${where}[${index}]`));
}

/** The slugs of the reference tasks that a flow names. @throws INPUT_INVALID */
export function readReferences(value: unknown): string[] {
  return listAt(value, "reference_tasks").map((each, index) => slugAt(each, `reference_tasks[${index}]`));
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

function readEdge(value: unknown, where: string): SerializedEdge {
  const edge = objectAt(value, where);
  return {
    upstream: slugAt(edge.upstream_task, `${where}.upstream_task`),
    downstream: slugAt(edge.downstream_task, `${where}.downstream_task`),
    key: textOrNull(edge.key),
    mapped: edge.mapped === true,
  };
}

const slugAt = (value: unknown, where: string): string => textAt(objectAt(value, where).slug, `${where}.slug`);
export const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

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
