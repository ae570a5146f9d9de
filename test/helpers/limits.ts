import { deployFlow, serializedFlow, type TestCloud } from "./server.js";

type Shape = Parameters<typeof serializedFlow>[0];

/** A flow of tasks without edges, by slug, with their tags. */
export async function deployTagged(cloud: TestCloud, tags: Record<string, string[]>, shape: Shape = {}) {
  const slugs = Object.keys(tags);
  const { projectId } = await deployFlow(cloud, { name: "project-maker" });
  const flow = serializedFlow({ ...shape, tasks: slugs.length > 0 ? slugs : ["a-1"], edges: [] });
  for (const task of flow.tasks as { slug: string; tags?: string[] }[]) task.tags = tags[task.slug] ?? [];
  const { id, flow_group_id } = await cloud.call("create_flow", { project_id: projectId, serialized_flow: flow });
  return { projectId, flowId: id, flowGroupId: flow_group_id };
}

/** The names of all taken slots. */
export async function holders(cloud: TestCloud): Promise<string[]> {
  return (await cloud.rows<{ name: string }>("SELECT name FROM concurrency_slot ORDER BY name")).map(
    ({ name }) => name,
  );
}

/** Of a flow run: `<slug> <state>`. */
export async function taskStates(cloud: TestCloud, flowRunId: string): Promise<string[]> {
  const sql = `SELECT k.slug, t.state FROM task_run t JOIN task k ON k.id = t.task_id WHERE t.flow_run_id = ?1
    ORDER BY k.slug, t.map_index`;
  return (await cloud.rows<{ slug: string; state: string }>(sql, flowRunId)).map(
    ({ slug, state }) => `${slug} ${state}`,
  );
}
