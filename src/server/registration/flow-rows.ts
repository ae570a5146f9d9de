import { newId } from "../../core/ids.js";
import type { EdgeRow, TaskRow } from "../../db/queries/flows.js";
import { type SerializedEdge, type SerializedFlow, textOrNull } from "./serialized-flow.js";

/** Whose rows they are. */
interface Owner {
  flowId: string;
  tenantId: string;
  now: string;
}

/** A flow's tasks; what they are in the graph is read off its edges. */
export function toTaskRows(flow: Pick<SerializedFlow, "tasks" | "edges" | "referenceTasks">, owner: Owner): TaskRow[] {
  const { flowId, tenantId, now } = owner;
  const downstreams = new Set(flow.edges.map((edge) => edge.downstream));
  const upstreams = new Set(flow.edges.map((edge) => edge.upstream));
  const mapped = new Set(flow.edges.filter((edge) => edge.mapped).map((edge) => edge.downstream));
  const references = new Set(flow.referenceTasks);
  return flow.tasks.map((task) => {
    const { slug } = task;
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

/** @param taskIds By slug; of every task that the edges name. */
export function toEdgeRows(
  edges: readonly SerializedEdge[],
  taskIds: ReadonlyMap<string, string>,
  { flowId, tenantId, now }: Owner,
): EdgeRow[] {
  return edges.map((edge) => ({
    id: newId(),
    created: now,
    updated: now,
    tenant_id: tenantId,
    flow_id: flowId,
    upstream_task_id: taskIds.get(edge.upstream)!,
    downstream_task_id: taskIds.get(edge.downstream)!,
    key: edge.key,
    mapped: edge.mapped ? 1 : 0,
  }));
}

/** `{ fn, kwargs }` is kept as the function's name. */
function readTrigger(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "object" && value !== null ? textOrNull((value as { fn?: unknown }).fn) : null;
}
