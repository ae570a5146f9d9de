import { newId } from "../src/core/ids.js";
import type { Transaction } from "../src/db/database.js";
import { insertFlow, insertFlowGroup, insertTasks } from "../src/db/queries/flows.js";
import type { FilledFlow } from "./fill-cloud.js";

const FLOWS = 100;
const TASKS = 8;
/** Who has runs of several flows: agents with `bench` take four of five of them. */
const LABEL_SETS: readonly (readonly string[])[] = [["bench"], [], ["bench"], ["gpu"], ["bench", "eu"]];

interface Filled {
  tenantId: string;
  agentId: string;
  flows: FilledFlow[];
}

/** A project with 100 flows of 8 tasks each, and the agent that has run them so far. */
export async function insertFlowsToFill(transaction: Transaction): Promise<Filled> {
  const now = new Date().toISOString();
  const [tenant] = await transaction.all<{ id: string }>("SELECT id FROM tenant");
  const tenantId = tenant!.id;
  const row = () => ({ id: newId(), created: now, updated: now, tenant_id: tenantId });
  const project = { ...row(), name: "Filled", description: null };
  await transaction.query.insertInto("project").values(project).execute();
  const agent = { ...row(), agent_config_id: null, name: "filler", type: "LocalAgent", core_version: null };
  await transaction.query
    .insertInto("agent")
    .values({ ...agent, labels: '["bench"]', last_queried: now })
    .execute();
  const flows: FilledFlow[] = [];
  for (let at = 0; at < FLOWS; at += 1) {
    const labels = LABEL_SETS[at % LABEL_SETS.length]!;
    flows.push(await insertOne(transaction, row, { projectId: project.id, name: `filled ${at}`, labels }));
  }
  return { tenantId, agentId: agent.id, flows };
}

interface Owned {
  id: string;
  created: string;
  updated: string;
  tenant_id: string;
}

async function insertOne(
  transaction: Transaction,
  row: () => Owned,
  { projectId, name, labels }: { projectId: string; name: string; labels: readonly string[] },
): Promise<FilledFlow> {
  const nothing = { description: null, schedule: null, run_config: null, settings: "{}" };
  const group = { ...row(), name: newId(), labels: JSON.stringify(labels), default_parameters: "{}" };
  await insertFlowGroup(transaction, { ...nothing, ...group });
  const flow = {
    ...row(),
    project_id: projectId,
    flow_group_id: group.id,
    version_group_id: group.name,
    engine: "millrace" as const,
    name,
    version: 1,
    archived: 0,
    environment: null,
    parameters: "[]",
    storage: null,
    is_schedule_active: 0,
    serialized_flow: null,
    core_version: null,
  };
  await insertFlow(transaction, { ...nothing, ...flow });
  const tasks = Array.from({ length: TASKS }, (_, at) => ({
    ...row(),
    flow_id: flow.id,
    name: `task ${at}`,
    slug: `task-${at}`,
    description: null,
    type: null,
    max_retries: 0,
    retry_delay: null,
    trigger: null,
    tags: "[]",
    mapped: 0,
    auto_generated: 0,
    cache_key: null,
    is_root_task: at === 0 ? 1 : 0,
    is_terminal_task: at === TASKS - 1 ? 1 : 0,
    is_reference_task: at === TASKS - 1 ? 1 : 0,
  }));
  await insertTasks(transaction, tasks);
  return { id: flow.id, name, labels, taskIds: tasks.map((task) => task.id) };
}
