import { createHash } from "node:crypto";
import type { FlowDefinition, FlowTask } from "./flow-definition.js";
import { terminalTasks } from "./graph.js";
import { isReference } from "./reference.js";

/**
 * A flow as plain JSON: what the saved flow's manifest holds, what the Cloud registers, and what the three-way check of
 * task ids compares.
 */
export interface FlowSpec {
  name: string;
  description: string | null;
  tasks: TaskSpec[];
  edges: EdgeSpec[];
  parameters: ParameterSpec[];
  /** Slugs. */
  referenceTasks: string[];
}

export interface TaskSpec {
  id: string;
  slug: string;
  name: string;
  kind: "task" | "parameter";
  tags: string[];
  retries: number;
  retryDelayMs: number;
  timeoutMs: number | null;
  trigger: string;
  skipOnUpstreamSkip: boolean;
  mapped: boolean;
  /** SHA-256 of the function's source text as it stands in the bundle; of the schema's vendor for a parameter. */
  bodyHash: string;
  /** SHA-256 of the arguments with their references taken out: the constants that the build function gave; of the default for a parameter. */
  constantsHash: string;
}

export interface EdgeSpec {
  upstream: string;
  downstream: string;
  key: string | null;
  mapped: boolean;
  flattened: boolean;
}

export interface ParameterSpec {
  name: string;
  required: boolean;
  default: unknown;
  description: string | null;
}

export function toFlowSpec(flow: FlowDefinition): FlowSpec {
  const reference = flow.referenceTasks.length > 0 ? flow.referenceTasks : terminalTasks(flow.tasks);
  return {
    name: flow.name,
    description: flow.options.description ?? null,
    tasks: flow.tasks.map(toTaskSpec),
    edges: flow.edges.map((edge) => ({
      upstream: edge.upstream.slug,
      downstream: edge.downstream.slug,
      key: edge.key,
      mapped: edge.mapped,
      flattened: edge.flattened,
    })),
    parameters: flow.tasks
      .filter((each) => each.kind === "parameter")
      .map(({ name, parameter }) => ({
        name,
        required: parameter?.default === undefined,
        default: parameter?.default ?? null,
        description: parameter?.description ?? null,
      })),
    referenceTasks: reference.map((each) => each.slug),
  };
}

function toTaskSpec(flowTask: FlowTask): TaskSpec {
  const { options } = flowTask;
  return {
    id: flowTask.id,
    slug: flowTask.slug,
    name: flowTask.name,
    kind: flowTask.kind,
    tags: [...(options.tags ?? [])].sort(),
    retries: options.retries ?? 0,
    retryDelayMs: options.retryDelayMs ?? 0,
    timeoutMs: options.timeoutMs ?? null,
    trigger: options.trigger?.name ?? "all_successful",
    skipOnUpstreamSkip: options.skipOnUpstreamSkip ?? true,
    mapped: flowTask.mapped,
    bodyHash: sha256(flowTask.fn ? String(flowTask.fn) : (flowTask.parameter?.schema?.["~standard"].vendor ?? "")),
    constantsHash: sha256(stableText(flowTask.kind === "parameter" ? flowTask.parameter?.default : flowTask.args)),
  };
}

/**
 * One hash for all that {@link diffSpecs} compares: equal hashes need no comparison row by row. Descriptions are for
 * people and do not count, nor does the order in which independent tasks were defined.
 */
export function hashFlowSpec(spec: FlowSpec): string {
  const edges = spec.edges.map(({ upstream, downstream, key, mapped, flattened }) =>
    JSON.stringify([downstream, upstream, key, mapped, flattened]),
  );
  const tasks = [...spec.tasks].sort((a, b) => (a.slug < b.slug ? -1 : 1));
  return sha256(stableText([spec.name, tasks, edges.sort(), [...spec.referenceTasks].sort()]));
}

export function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

/** JSON with sorted keys, and a word for what JSON has none for; two builds that hand over equal values give equal text. */
export function stableText(value: unknown): string {
  return JSON.stringify(toStable(value, new Set()));
}

function toStable(value: unknown, parents: Set<unknown>): unknown {
  if (isReference(value)) return ["reference"];
  if (value === undefined) return ["undefined"];
  if (typeof value === "bigint") return ["bigint", String(value)];
  if (typeof value === "number" && !Number.isFinite(value)) return ["number", String(value)];
  if (typeof value === "function") return ["function", String(value)];
  if (typeof value === "symbol") return ["symbol", String(value)];
  if (typeof value !== "object" || value === null) return value;
  if (parents.has(value)) return ["circle"];
  parents.add(value);
  const stable = toStableObject(value, parents);
  parents.delete(value);
  return stable;
}

function toStableObject(value: object, parents: Set<unknown>): unknown {
  if (Array.isArray(value)) return value.map((item) => toStable(item, parents));
  if (value instanceof Date) return ["date", value.getTime()];
  if (value instanceof RegExp) return ["regexp", String(value)];
  if (value instanceof URL) return ["url", value.href];
  if (value instanceof Map) return ["map", [...value].map((entry) => toStable(entry, parents))];
  if (value instanceof Set) return ["set", [...value].map((item) => toStable(item, parents))];
  if (ArrayBuffer.isView(value)) {
    return ["bytes", value.constructor.name, sha256(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))];
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const kind = Object.getPrototypeOf(value)?.constructor?.name;
  const fields = Object.fromEntries(entries.map(([key, item]) => [key, toStable(item, parents)]));
  return kind === undefined || kind === "Object" ? fields : ["object", kind, fields];
}
