import t from "tap";
import { deployTagged, holders } from "../helpers/limits.js";
import {
  type FlowShape,
  flowState,
  HandClock,
  letPass,
  startTestCloud,
  TestAgent,
  type TestCloud,
  taskState,
} from "../helpers/server.js";

type Run = Awaited<ReturnType<TestAgent["claimOne"]>>;

/** Flows with one task of the tag `db`, which has one slot, and how their runs begin and wait. */
async function slotBed(t: Parameters<typeof startTestCloud>[0]) {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const agent = await TestAgent.register(cloud);
  const deploy = (name: string, shape: FlowShape = {}) => deployTagged(cloud, { "a-1": ["db"] }, { name, ...shape });
  const begin = async (flowId: string, by = agent) => {
    await cloud.call("create_flow_run", { flow_id: flowId });
    const run = await by.claimOne();
    await by.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
    return run;
  };
  const giveBack = ({ flow_run_id, fence }: Run, by = agent) =>
    cloud.call("release_runs", { agent_id: by.id, runs: [{ flow_run_id, fence, waits: true }] });
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
  return { cloud, clock, agent, deploy, begin, giveBack };
}

const deletions: Record<string, (cloud: TestCloud, ids: Record<string, string>) => Promise<unknown>> = {
  delete_flow_run: (cloud, { flowRunId }) => cloud.call("delete_flow_run", { flow_run_id: flowRunId! }),
  delete_flow: (cloud, { flowId }) => cloud.call("delete_flow", { flow_id: flowId! }),
  delete_flow_group: (cloud, { flowGroupId }) => cloud.call("delete_flow_group", { flow_group_id: flowGroupId! }),
};

for (const [name, remove] of Object.entries(deletions)) {
  t.test(`${name} gives the slots that it frees to those that wait, held or given back`, async (t) => {
    const { cloud, agent, deploy, begin, giveBack } = await slotBed(t);
    const [doomed, flow] = [await deploy("doomed"), await deploy("waiting")];
    const first = await begin(doomed.flowId);
    const back = await begin(flow.flowId);
    await giveBack(back);
    t.strictSame((await agent.claim()).runs, [], "it waits");
    await remove(cloud, { ...doomed, flowRunId: first.flow_run_id });
    t.strictSame(await holders(cloud), []);
    t.equal((await agent.claimOne()).flow_run_id, back.flow_run_id);
  });
}

t.test("a project that is deleted gives up the slots of its flows", async (t) => {
  const { cloud, agent, deploy, begin, giveBack } = await slotBed(t);
  const [doomed, flow] = [await deploy("doomed"), await deploy("waiting")];
  const { id: project_id } = await cloud.call("create_project", { name: "Doomed" });
  await cloud.call("update_flow_project", { flow_id: doomed.flowId, project_id });
  await begin(doomed.flowId);
  const back = await begin(flow.flowId);
  await giveBack(back);
  await cloud.call("delete_project", { project_id });
  t.equal((await agent.claimOne()).flow_run_id, back.flow_run_id);
});

t.test("a slot that was offered to a run which nobody takes is there for the next that is given back", async (t) => {
  const { cloud, agent, deploy, begin, giveBack } = await slotBed(t);
  const flow = await deploy("here");
  const elsewhere = await deploy("elsewhere", { labels: ["elsewhere"] });
  const gone = await TestAgent.register(cloud, "gone", ["elsewhere"]);
  const holder = await begin(flow.flowId);
  await giveBack(await begin(elsewhere.flowId, gone), gone);
  const next = await begin(flow.flowId);
  await agent.report(holder, [taskState(holder, "a-1", "Success", 2), flowState("Success")]);
  t.strictSame((await agent.claim()).runs, []);
  await giveBack(next);
  t.equal((await agent.claimOne()).flow_run_id, next.flow_run_id);
});

t.test("who was given back behind a run that nobody takes is offered the slot within a minute", async (t) => {
  const { cloud, clock, agent, deploy, begin, giveBack } = await slotBed(t);
  const flow = await deploy("here");
  const elsewhere = await deploy("elsewhere", { labels: ["elsewhere"] });
  const gone = await TestAgent.register(cloud, "gone", ["elsewhere"]);
  const holder = await begin(flow.flowId);
  await giveBack(await begin(elsewhere.flowId, gone), gone);
  const next = await begin(flow.flowId);
  await giveBack(next);
  await agent.report(holder, [taskState(holder, "a-1", "Success", 2), flowState("Success")]);
  t.strictSame((await agent.claim()).runs, []);
  await letPass(cloud, clock, 60_000);
  t.equal((await agent.claimOne()).flow_run_id, next.flow_run_id);
});

const ROUNDS = 25;

t.test("a limit that is made while a task run ends leaves no slot behind", async (t) => {
  const { cloud, agent, begin } = await slotBed(t);
  const left: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const tag = `new-${round}`;
    const { flowId } = await deployTagged(cloud, { "a-1": [tag] }, { name: tag });
    const run = await begin(flowId);
    await Promise.all([
      agent.report(run, [taskState(run, "a-1", "Success", 2), flowState("Success")]),
      cloud.call("update_task_tag_limit", { tag, limit: 1 }),
    ]);
    left.push(...(await holders(cloud)));
  }
  t.strictSame(left, []);
});

t.test("a limit that is deleted while a task run takes its slot leaves none behind", async (t) => {
  const { cloud, agent } = await slotBed(t);
  const left: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const tag = `old-${round}`;
    const { flowId } = await deployTagged(cloud, { "a-1": [tag] }, { name: tag });
    await cloud.call("create_flow_run", { flow_id: flowId });
    const run = await agent.claimOne();
    await agent.report(run, [flowState("Running")]);
    const { id: limit_id } = await cloud.call("update_task_tag_limit", { tag, limit: 1 });
    await Promise.all([
      agent.report(run, [taskState(run, "a-1", "Running", 1)]),
      cloud.call("delete_task_tag_limit", { limit_id }),
    ]);
    await agent.report(run, [taskState(run, "a-1", "Success", 2), flowState("Success")]);
    left.push(...(await holders(cloud)));
  }
  t.strictSame(left, []);
});
