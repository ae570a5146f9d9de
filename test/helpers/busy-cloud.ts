import { schedules } from "../../src/core/schedule/schedules.js";
import { toSerializedSchedule } from "../../src/schedule/serialized-schedule.js";
import { flowState, serializedFlow, startTestCloud, TestAgent, type TestCloud, taskState } from "./server.js";

type Test = Parameters<typeof startTestCloud>[0];

/** A Cloud in which something of everything is under way. */
export interface BusyCloud {
  readonly cloud: TestCloud;
  readonly flowId: string;
  readonly prefectFlowId: string;
  readonly scheduledFlowId: string;
  /** Flow runs by how they stand. */
  readonly runs: Record<"ended" | "running" | "waiting" | "submitted" | "scheduled" | "prefect", string>;
}

/** Limits with holders and waiters, a schedule, ended and open runs, a run of Prefect's with a retry in two steps. */
export async function busyCloud(t: Test): Promise<BusyCloud> {
  const cloud = await startTestCloud(t);
  const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
  const create = async (more: object, name: string, ours = true) => {
    const flow = { ...serializedFlow({ name, ours }), ...more };
    for (const task of flow.tasks as { slug: string; tags?: string[] }[]) if (task.slug === "a-1") task.tags = ["db"];
    return (await cloud.call("create_flow", { project_id, serialized_flow: flow })).id;
  };
  const flowId = await create({}, "orders");
  const prefectFlowId = await create({}, "etl", false);
  const schedule = toSerializedSchedule(schedules.interval({ everyMs: 3_600_000 }));
  const scheduledFlowId = await create({ schedule }, "hourly");
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
  await cloud.call("update_flow_concurrency_limit", { name: "host", limit: 10 });

  const agent = await TestAgent.register(cloud);
  const begin = async () => {
    const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
    return { id, run: await agent.claimOne() };
  };
  const ended = await begin();
  await agent.report(ended.run, [flowState("Running"), taskState(ended.run, "a-1", "Running", 1)]);
  await agent.report(ended.run, [
    taskState(ended.run, "a-1", "Success", 2),
    taskState(ended.run, "b-1", "Failed", 1),
    flowState("Failed"),
  ]);
  const running = await begin();
  await agent.report(running.run, [flowState("Running"), taskState(running.run, "a-1", "Running", 1)]);
  const waiting = await begin();
  await agent.report(waiting.run, [flowState("Running"), taskState(waiting.run, "a-1", "Running", 1)]);
  const submitted = await begin();
  const { id: scheduled } = await cloud.call("create_flow_run", { flow_id: flowId });
  const prefect = await beginPrefect(cloud, prefectFlowId);
  await cloud.server.tick();
  const runs = {
    ended: ended.id,
    running: running.id,
    waiting: waiting.id,
    submitted: submitted.id,
    scheduled,
    prefect,
  };
  return { cloud, flowId, prefectFlowId, scheduledFlowId, runs };
}

async function beginPrefect(cloud: TestCloud, flow_id: string): Promise<string> {
  const { id } = await cloud.call("create_flow_run", { flow_id });
  const set = (type: string) => cloud.call("set_flow_run_states", { states: [{ flow_run_id: id, state: { type } }] });
  await set("Submitted");
  await set("Running");
  const [task] = await cloud.rows<{ id: string }>(
    "SELECT t.id FROM task_run t JOIN task k ON k.id = t.task_id WHERE t.flow_run_id = ?1 AND k.slug = 'b-1'",
    id,
  );
  for (const type of ["Running", "Failed", "Retrying", "Running", "Success", "Cached"]) {
    const state = { type, message: `${type} as Prefect's runner writes it` };
    await cloud.call("set_task_run_states", { states: [{ task_run_id: task!.id, state }] });
  }
  return id;
}
