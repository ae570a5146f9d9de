import { dirname } from "node:path";
import type { FlowSignature } from "../codec/signature.js";
import { MillraceError } from "../core/errors.js";
import type { EdgeSpec, FlowSpec, ParameterSpec, TaskSpec } from "../core/flow-spec.js";
import { normalizeLabels } from "../core/labels.js";
import type { JsonSchema } from "../core/parameter.js";
import { type SerializedSchedule, toSerializedSchedule } from "../schedule/serialized-schedule.js";
import type { FlowStorage, NewFlow, RegisteredFlow, ThreadOptions } from "./cloud.js";
import type { WireFlowRow } from "./documents.js";
import { toRunConfigOrNull, toWireRunConfig, type WireRunConfig } from "./serialize-run-config.js";

/**
 * A flow as Prefect 1.4.1 registers it (section 1.6 of the protocol notes), so that every client of the Cloud reads names,
 * tasks, edges and parameters where it looks for them. What Prefect has no place for stands under `millrace`.
 */
export interface SerializedFlow {
  type: string;
  name: string;
  description?: string;
  schedule: SerializedSchedule | null;
  parameters: SerializedParameter[];
  tasks: (SerializedTask | SerializedParameter)[];
  edges: SerializedEdge[];
  reference_tasks: { slug: string }[];
  storage: Record<string, unknown>;
  run_config: WireRunConfig;
  __version__: string;
  millrace: MillraceFields;
}

interface MillraceFields {
  spec: FlowSpec;
  spec_hash: string;
  /** Of the saved flow's payload. */
  hash: string;
  location: string;
  /** Of storage that is no disk. */
  place?: object;
  thread_options: { fresh_thread: boolean; max_heap_mb: number | null };
  signature?: FlowSignature;
}

interface SerializedTask {
  slug: string;
  name: string;
  type: string;
  tags: string[];
  max_retries: number;
  /** Whole seconds, as Prefect counts them. */
  retry_delay: number | null;
  timeout: number | null;
  trigger: { fn: string; kwargs: Record<string, never> };
  skip_on_upstream_skip: boolean;
  /** Whole seconds. */
  cache_for: number | null;
  cache_key: string | null;
  cache_validator: { fn: string; kwargs: Record<string, unknown> };
  mapped: boolean;
  auto_generated: boolean;
}

interface SerializedParameter {
  slug: string;
  name: string;
  type: string;
  default: unknown;
  required: boolean;
  /** Ours: what the Cloud checks a value against. */
  json_schema: JsonSchema | null;
  tags: string[];
  mapped: false;
  auto_generated: false;
}

interface SerializedEdge {
  upstream_task: { slug: string };
  downstream_task: { slug: string };
  key: string | null;
  mapped: boolean;
  flattened: boolean;
}

/** The version of the serialization that is spoken. */
const SERIALIZATION_VERSION = "1.4.1";
const TASK_TYPE = "millrace.Task";
/** By this name Prefect's clients and server know a parameter among the tasks. */
export const PARAMETER_TYPE = "prefect.core.parameter.Parameter";
/** And by this one a secret. */
export const SECRET_TYPE = "prefect.tasks.secrets.base.PrefectSecret";

export function toSerializedFlow(flow: NewFlow): SerializedFlow {
  const { spec } = flow;
  const bySlug = new Map(spec.parameters.map((each) => [each.name, toParameter(each)]));
  return {
    type: "prefect.core.flow.Flow",
    name: spec.name,
    ...(spec.description === null ? {} : { description: spec.description }),
    schedule: spec.schedule ? toSerializedSchedule(spec.schedule) : null,
    parameters: [...bySlug.values()],
    tasks: spec.tasks.map((each) => (each.kind === "parameter" && bySlug.get(each.name)) || toTask(each)),
    edges: spec.edges.map(toEdge),
    reference_tasks: spec.referenceTasks.map((slug) => ({ slug })),
    storage: toStorage(spec.name, flow.storage),
    run_config: { ...toWireRunConfig(flow.runConfig ?? { kind: "universal" }), labels: normalizeLabels(flow.labels) },
    __version__: SERIALIZATION_VERSION,
    millrace: {
      spec,
      spec_hash: flow.specHash,
      hash: flow.storage.hash,
      location: flow.storage.location,
      ...(flow.storage.place === undefined ? {} : { place: flow.storage.place }),
      thread_options: { fresh_thread: flow.threadOptions.freshThread, max_heap_mb: flow.threadOptions.maxHeapMb },
      ...(flow.signature === undefined ? {} : { signature: flow.signature }),
    },
  };
}

function toTask(spec: TaskSpec): SerializedTask {
  return {
    slug: spec.slug,
    name: spec.name,
    type: spec.kind === "secret" ? SECRET_TYPE : TASK_TYPE,
    tags: spec.tags,
    max_retries: spec.retries,
    retry_delay: spec.retries === 0 ? null : wholeSeconds(spec.retryDelayMs),
    timeout: spec.timeoutMs === null ? null : wholeSeconds(spec.timeoutMs),
    trigger: { fn: `prefect.triggers.${spec.trigger}`, kwargs: {} },
    skip_on_upstream_skip: spec.skipOnUpstreamSkip,
    cache_for: spec.cacheForMs === null ? null : wholeSeconds(spec.cacheForMs),
    cache_key: spec.cacheKey,
    cache_validator: toValidator(spec.cacheValidator),
    mapped: spec.mapped,
    auto_generated: false,
  };
}

/** Prefect's validators by their qualified names, with what they look at; an author's own by its name alone. */
function toValidator(name: string): SerializedTask["cache_validator"] {
  const [, plain = name, list] = /^(\w+)(?:\((.*)\))?$/s.exec(name) ?? [];
  if (!prefectValidators.has(plain)) return { fn: name, kwargs: {} };
  const kwargs = list === undefined ? {} : { validate_on: list === "" ? [] : list.split(", ") };
  return { fn: `prefect.engine.cache_validators.${plain}`, kwargs };
}

const prefectValidators = new Set([
  "never_use",
  "duration_only",
  "all_inputs",
  "all_parameters",
  "partial_inputs_only",
  "partial_parameters_only",
]);

function toParameter(spec: ParameterSpec): SerializedParameter {
  return {
    slug: spec.name,
    name: spec.name,
    type: PARAMETER_TYPE,
    default: spec.default,
    required: spec.required,
    json_schema: spec.jsonSchema,
    tags: [],
    mapped: false,
    auto_generated: false,
  };
}

function toEdge(edge: EdgeSpec): SerializedEdge {
  return {
    upstream_task: { slug: edge.upstream },
    downstream_task: { slug: edge.downstream },
    key: edge.key,
    mapped: edge.mapped,
    flattened: edge.flattened,
  };
}

function toStorage(flowName: string, storage: FlowStorage): Record<string, unknown> {
  const fields = { type: storage.type, flows: { [flowName]: storage.location }, stored_as_script: false, secrets: [] };
  const { bucket, container, endpoint, region } = (storage.place ?? {}) as Record<string, unknown>;
  switch (storage.type) {
    case "Local":
      return { ...fields, directory: dirname(storage.location), path: storage.location };
    case "S3": {
      const client_options =
        endpoint || region ? { endpoint_url: endpoint ?? null, region_name: region ?? null } : null;
      return { ...fields, bucket, key: storage.location, client_options };
    }
    case "GCS":
      return { ...fields, bucket, key: storage.location, project: null };
    case "Azure":
      return { ...fields, container, blob_name: storage.location, connection_string_secret: null };
    default:
      return fields;
  }
}

/** Up, so that a short wait does not become none. */
const wholeSeconds = (ms: number): number => Math.ceil(ms / 1000);

/** @throws CLOUD_REFUSED for a flow that Millrace did not deploy, for instance one of a Python client */
export function toRegisteredFlow(row: WireFlowRow): RegisteredFlow {
  const serialized = row.serialized_flow as Partial<SerializedFlow> | null;
  const fields = serialized?.millrace;
  if (!serialized || !isMillraceFields(fields)) {
    throw new MillraceError(
      "CLOUD_REFUSED",
      `Flow "${row.name}" (version ${row.version}, project "${row.project.name}") was not deployed by Millrace: its registration has no Millrace part.`,
      { hint: "Flows of other clients can be seen and run in the Cloud, but only their own agents can execute them." },
    );
  }
  const threadOptions: ThreadOptions = {
    freshThread: fields.thread_options.fresh_thread,
    maxHeapMb: fields.thread_options.max_heap_mb,
  };
  return {
    flowId: row.id,
    flowGroupId: row.flow_group_id,
    name: row.name,
    version: row.version,
    projectName: row.project.name,
    archived: row.archived,
    storage: {
      type: String(serialized.storage?.type),
      location: fields.location,
      hash: fields.hash,
      ...(fields.place === undefined ? {} : { place: fields.place }),
    },
    spec: fields.spec,
    specHash: fields.spec_hash,
    labels: serialized.run_config?.labels ?? [],
    runConfig: toRunConfigOrNull(serialized.run_config),
    threadOptions,
    ...(isSignature(fields.signature) ? { signature: fields.signature } : {}),
  };
}

function isSignature(signature: FlowSignature | undefined): signature is FlowSignature {
  return typeof signature?.keyId === "string" && typeof signature.value === "string";
}

function isMillraceFields(fields: unknown): fields is MillraceFields {
  if (typeof fields !== "object" || fields === null) return false;
  const { spec, spec_hash, hash, location, thread_options } = fields as Partial<MillraceFields>;
  return (
    typeof spec_hash === "string" &&
    typeof hash === "string" &&
    typeof location === "string" &&
    Array.isArray(spec?.tasks) &&
    Array.isArray(spec.edges) &&
    typeof thread_options === "object" &&
    thread_options !== null
  );
}
