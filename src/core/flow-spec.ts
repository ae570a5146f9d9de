import { createHash } from "node:crypto";
import { types } from "node:util";
import type { FlowDefinition, FlowTask } from "./flow-definition.js";
import { terminalTasks } from "./graph.js";
import type { ResultOptions } from "./options/result-options.js";
import type { JsonSchema, ParameterOptions } from "./parameter.js";
import { isReference } from "./reference.js";
import type { Schedule } from "./schedule/schedule.js";

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
  /** The names of the secrets that the flow declares: an agent hands out no others. */
  secrets: string[];
  /** Slugs. */
  referenceTasks: string[];
  /** When runs start by themselves. No part of the hash: it changes no task, and a run made under another goes on. */
  schedule: Schedule | null;
}

export interface TaskSpec {
  id: string;
  slug: string;
  name: string;
  kind: "task" | "parameter" | "secret";
  tags: string[];
  retries: number;
  retryDelayMs: number;
  timeoutMs: number | null;
  trigger: string;
  skipOnUpstreamSkip: boolean;
  mapped: boolean;
  cacheForMs: number | null;
  cacheKey: string | null;
  /** The validator's name; `never_use` without `cacheForMs`. */
  cacheValidator: string;
  /** The template, or "(function)". */
  target: string | null;
  checkpoint: boolean;
  /**
   * The kind of place where the result is kept, the task's or the flow's, and the serializer if it is not v8; null: the
   * default. Folder and bucket may come from the environment of whoever runs the flow, so they are no part of it.
   */
  result: string | null;
  /** SHA-256 of the function's source text as it stands in the bundle; of the schema's vendor for a parameter or secret. */
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
  /**
   * What the Cloud checks a value against; null: nothing. Made from the parameter's schema when the flow is saved, and no
   * part of the hash: a spec that was built from code alone has but those that the author wrote.
   */
  jsonSchema: JsonSchema | null;
}

export function toFlowSpec(flow: FlowDefinition): FlowSpec {
  const reference = flow.referenceTasks.length > 0 ? flow.referenceTasks : terminalTasks(flow.tasks);
  return {
    name: flow.name,
    description: flow.options.description ?? null,
    tasks: flow.tasks.map((each) => toTaskSpec(each, flow.options.result)),
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
        required: isRequired(parameter),
        default: parameter?.default ?? null,
        description: parameter?.description ?? null,
        jsonSchema: parameter?.jsonSchema ?? null,
      })),
    secrets: secretsOf(flow),
    referenceTasks: reference.map((each) => each.slug),
    schedule: flow.options.schedule ?? null,
  };
}

/** Must every run give it? */
export function isRequired(parameter: ParameterOptions<unknown> | undefined): boolean {
  return parameter?.default === undefined && parameter?.required !== false;
}

/** The names of the secrets that a flow declares. */
export function secretsOf(flow: FlowDefinition): string[] {
  return flow.tasks.filter((each) => each.kind === "secret").map((each) => each.name);
}

function toTaskSpec(flowTask: FlowTask, ofFlow: ResultOptions | undefined): TaskSpec {
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
    cacheForMs: options.cacheForMs ?? null,
    cacheKey: options.cacheKey ?? null,
    cacheValidator: options.cacheValidator?.name ?? (options.cacheForMs === undefined ? "never_use" : "duration_only"),
    target: typeof options.target === "function" ? "(function)" : (options.target ?? null),
    checkpoint: options.checkpoint ?? true,
    result: flowTask.kind === "task" ? describeResult(options.result ?? ofFlow) : null,
    bodyHash: sha256(flowTask.fn ? String(flowTask.fn) : vendorOf(flowTask)),
    constantsHash: sha256(stableText(flowTask.kind === "parameter" ? flowTask.parameter?.default : flowTask.args)),
  };
}

function describeResult(options: ResultOptions | undefined): string | null {
  if (!options) return null;
  return options.kind === "inline" || options.serializer === "v8"
    ? options.kind
    : `${options.kind}, ${options.serializer}`;
}

function vendorOf({ parameter, secret }: FlowTask): string {
  return (parameter?.schema ?? secret?.schema)?.["~standard"].vendor ?? "";
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
