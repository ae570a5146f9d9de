import { createHash } from "node:crypto";
import { types } from "node:util";
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
    retryDelayMs: firstOf(options.retryDelayMs),
    timeoutMs: options.timeoutMs ?? null,
    trigger: options.trigger?.name ?? "all_successful",
    skipOnUpstreamSkip: options.skipOnUpstreamSkip ?? true,
    mapped: flowTask.mapped,
    bodyHash: sha256(flowTask.fn ? String(flowTask.fn) : (flowTask.parameter?.schema?.["~standard"].vendor ?? "")),
    constantsHash: sha256(stableText(flowTask.kind === "parameter" ? flowTask.parameter?.default : flowTask.args)),
  };
}

/** The wait before the first retry: what the Cloud shows. */
function firstOf(delay: number | readonly number[] | undefined): number {
  return (typeof delay === "number" ? delay : delay?.[0]) ?? 0;
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

/**
 * JSON with sorted keys, and a word for what JSON has none for; two builds that hand over equal values give equal text.
 *
 * The other way round there is a limit: an instance of a class is told by the class's name and its enumerable fields. What
 * it keeps in private fields, or Node for it (a Promise, a WeakMap, a Blob, a KeyObject), cannot be seen: two such
 * instances give one text, and a flow in which only that differs passes for unchanged.
 */
export function stableText(value: unknown): string {
  return JSON.stringify(toStable(value, new Set()));
}

function toStable(value: unknown, parents: Set<unknown>): unknown {
  if (isReference(value)) return ["reference"];
  if (value === undefined) return ["undefined"];
  if (typeof value === "bigint") return ["bigint", String(value)];
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))
    return ["number", Object.is(value, -0) ? "-0" : String(value)];
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
  const inside = insideOf(value);
  if (inside) return inside.map((item, index) => (index === 0 ? item : toStable(item, parents)));
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const kind = kindOf(value);
  const fields = Object.fromEntries(entries.map(([key, item]) => [key, toStable(item, parents)]));
  return kind === undefined || kind === "Object" ? fields : ["object", kind, fields];
}

/** What a built-in object holds that is no field of it, behind a word for its kind; undefined for other objects. */
function insideOf(value: object): unknown[] | undefined {
  if (types.isDate(value)) return ["date", value.getTime()];
  if (types.isRegExp(value)) return ["regexp", String(value)];
  if (types.isMap(value)) return ["map", ...value];
  if (types.isSet(value)) return ["set", ...value];
  if (ArrayBuffer.isView(value)) {
    return ["bytes", kindOf(value), sha256(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))];
  }
  if (types.isAnyArrayBuffer(value)) return ["bytes", kindOf(value), sha256(new Uint8Array(value))];
  if (types.isBoxedPrimitive(value)) return ["boxed", (value as { valueOf(): unknown }).valueOf()];
  if (value instanceof Error) {
    // The stack names lines and folders, which are no part of the flow.
    return [
      "error",
      kindOf(value),
      value.name,
      value.message,
      value.cause,
      (value as AggregateError).errors,
      { ...value },
    ];
  }
  if (value instanceof URL) return ["url", value.href];
  if (value instanceof URLSearchParams) return ["url parameters", String(value)];
  if (value instanceof Headers) return ["headers", ...value];
  return undefined;
}

function kindOf(value: object): string | undefined {
  return Object.getPrototypeOf(value)?.constructor?.name;
}
