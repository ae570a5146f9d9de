import type { RegisterEdgesInput, RegisterTasksInput, SuccessPayload } from "../../client/wire.js";
import type { Transaction } from "../../db/database.js";
import {
  type FlowToExtend,
  holdFlowToExtend,
  markEdgeEnds,
  taskIdsOf,
  writeSerializedFlow,
} from "../../db/queries/flow-graph.js";
import { insertEdges, insertTasks } from "../../db/queries/flows.js";
import { type RequestContext, toInstant } from "../parts.js";
import { toEdgeRows, toTaskRows } from "../registration/flow-rows.js";
import {
  readEdges,
  readReferences,
  readTasks,
  type SerializedEdge,
  type SerializedTask,
  tasksUnknown,
} from "../registration/serialized-flow.js";
import { flowUnknown } from "./flows.js";

/** Prefect's client makes a flow without its tasks, and adds them in batches. One that came before is known by its slugs. */
export function registerTasks(input: RegisterTasksInput, context: RequestContext): Promise<SuccessPayload> {
  const sent = new Map(readTasks(input.serialized_tasks).map((task) => [task.slug, task]));
  return extend(context, input.flow_id, async (transaction, flow, now) => {
    const known = await taskIdsOf(transaction, flow.id, [...sent.keys()]);
    const tasks = [...sent.values()].filter((task) => !known.has(task.slug));
    if (tasks.length === 0) return;
    const serialized = readSerialized(flow);
    const owner = { flowId: flow.id, tenantId: context.caller.tenantId, now };
    const referenceTasks = readReferences(serialized.reference_tasks);
    await insertTasks(transaction, toTaskRows({ tasks, edges: [], referenceTasks }, owner));
    const before = Array.isArray(serialized.tasks) ? (serialized.tasks as SerializedTask[]) : [];
    const text = JSON.stringify({ ...serialized, tasks: [...before, ...tasks] });
    await writeSerializedFlow(transaction, flow.id, text, now);
  });
}

/** Between tasks that are registered already. They are not added to the flow's JSON: Prefect's server does not do so either. */
export function registerEdges(input: RegisterEdgesInput, context: RequestContext): Promise<SuccessPayload> {
  const edges = readEdges(input.serialized_edges);
  return extend(context, input.flow_id, async (transaction, flow, now) => {
    if (edges.length === 0) return;
    const slugs = new Set(edges.flatMap((edge) => [edge.upstream, edge.downstream]));
    const ids = await taskIdsOf(transaction, flow.id, [...slugs]);
    const lost = edges.find(({ upstream, downstream }) => !ids.has(upstream) || !ids.has(downstream));
    if (lost) throw tasksUnknown(lost.upstream, lost.downstream);
    await insertEdges(transaction, toEdgeRows(edges, ids, { flowId: flow.id, tenantId: context.caller.tenantId, now }));
    const endsOf = (end: "upstream" | "downstream", some: readonly SerializedEdge[]) => [
      ...new Set(some.map((edge) => ids.get(edge[end])!)),
    ];
    const ends = {
      upstreams: endsOf("upstream", edges),
      downstreams: endsOf("downstream", edges),
      mapped: endsOf(
        "downstream",
        edges.filter((edge) => edge.mapped),
      ),
      namesReferences: readReferences(readSerialized(flow).reference_tasks).length > 0,
    };
    await markEdgeEnds(transaction, ends, now);
  });
}

/** Archived or not: another registration may have archived it between two batches. */
async function extend(
  { parts, caller }: RequestContext,
  flowId: string,
  work: (transaction: Transaction, flow: FlowToExtend, now: string) => Promise<void>,
): Promise<SuccessPayload> {
  await parts.database.write(async (transaction) => {
    const flow = await holdFlowToExtend(transaction, caller.tenantId, flowId);
    if (!flow) throw flowUnknown(flowId);
    await work(transaction, flow, toInstant(parts.clock.now()));
  });
  return { success: true, error: null };
}

function readSerialized(flow: FlowToExtend): Record<string, unknown> {
  return JSON.parse(flow.serialized_flow ?? "{}") as Record<string, unknown>;
}
