import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  LEASE_MS,
  letPass,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../../helpers/server.js";
import { bed, SECOND } from "./bed.js";

/** A run whose task a-1 has asked for a run of another flow, each held by an agent of its own, and a limit with one slot. */
async function family(t: Parameters<typeof bed>[0]) {
  const { cloud, clock } = await bed(t);
  const flow = await deployFlow(cloud);
  const childFlow = await deployFlow(cloud, { name: "child", tasks: ["x-1"], labels: ["big"] });
  await cloud.call("update_flow_concurrency_limit", { name: "host", limit: 1 });
  const [agent, other] = [await TestAgent.register(cloud, "first"), await TestAgent.register(cloud, "other", ["big"])];
  await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const parent = await agent.claimOne();
  await agent.report(parent, [flowState("Running"), taskState(parent, "a-1", "Running", 1)]);
  const asking = parent.task_runs.find((each) => each.task_slug === "a-1")!.id;
  const ask = async (key: string) =>
    (await cloud.call("create_flow_run", { flow_id: childFlow.flowId, idempotency_key: key })).id;
  return { cloud, clock, agent, other, parent, asking, ask };
}

t.test(
  "when an agent dies as it cancels, the end of its lease ends the run, its slot, and what its tasks asked for",
  async (t) => {
    const { cloud, clock, agent, other, parent, asking, ask } = await family(t);
    await ask(asking);
    const child = await other.claimOne();
    await other.flowState(child, "Running");
    const waiting = await ask(`${asking}/2`);
    await cloud.call("cancel_flow_run", { flow_run_id: parent.flow_run_id });
    await letPass(cloud, clock, LEASE_MS - SECOND);
    await other.renew([child]);
    t.match(await flowRunRow(cloud, parent.flow_run_id), { state: "Cancelling" }, "its code may still be at work");
    t.match(await flowRunRow(cloud, child.flow_run_id), { state: "Running" });
    t.equal((await cloud.rows("SELECT run_id FROM concurrency_slot")).length, 1);

    await letPass(cloud, clock, SECOND);
    t.match(await flowRunRow(cloud, parent.flow_run_id), {
      state: "Cancelled",
      state_message: new RegExp(`^Flow run is cancelled: agent first \\(${agent.id}\\) last renewed its lease at `),
    });
    t.strictSame(await taskRunStates(cloud, parent.flow_run_id), {
      "a-1": "Cancelled",
      "b-1": "Cancelled",
      "c-1": "Cancelled",
    });
    t.strictSame(await cloud.rows("SELECT run_id FROM concurrency_slot"), []);
    t.match(await flowRunRow(cloud, waiting), { state: "Cancelled" });
    t.match(await flowRunRow(cloud, child.flow_run_id), { state: "Cancelling" }, "it has code of its own to stop");
    t.match(await other.renew([child]), { lost: [], cancelling: [child.flow_run_id] });
    await letPass(cloud, clock, LEASE_MS);
    t.match(await flowRunRow(cloud, child.flow_run_id), { state: "Cancelled" });
    t.strictSame(await brokenInvariants(cloud), []);
  },
);

t.test("a server that is restarted in the middle of a cancellation goes on with it", async (t) => {
  const { cloud, clock, parent } = await family(t);
  await cloud.call("cancel_flow_run", { flow_run_id: parent.flow_run_id });
  await cloud.server.close();
  const again = await startTestCloud(t, { clock, database: cloud.file });
  await letPass(again, clock, LEASE_MS - SECOND);
  t.match(await flowRunRow(again, parent.flow_run_id), { state: "Cancelling" });
  await letPass(again, clock, 2 * SECOND);
  t.match(await flowRunRow(again, parent.flow_run_id), { state: "Cancelled" });
});

t.test("a run that a task did not wait for goes on when the run of that task is cancelled", async (t) => {
  const { cloud, agent, parent, asking, ask } = await family(t);
  const onItsOwn = await ask(asking);
  await agent.report(parent, [taskState(parent, "a-1", "Success", 2)]);
  await cloud.call("cancel_flow_run", { flow_run_id: parent.flow_run_id });
  await agent.report(parent, [flowState("Cancelled")]);
  t.match(await flowRunRow(cloud, parent.flow_run_id), { state: "Cancelled" });
  t.match(await flowRunRow(cloud, onItsOwn), { state: "Scheduled" });
});

t.test(
  "also when the task's success comes with the end of its run; one whose task ended otherwise is cancelled",
  async (t) => {
    const { cloud, agent, parent, asking, ask } = await family(t);
    const onItsOwn = await ask(asking);
    const other = parent.task_runs.find((each) => each.task_slug === "b-1")!.id;
    const waitedFor = await ask(other);
    await agent.report(parent, [
      taskState(parent, "a-1", "Success", 2),
      taskState(parent, "b-1", "Running", 1),
      taskState(parent, "b-1", "Failed", 2),
      flowState("Cancelling"),
      flowState("Cancelled"),
    ]);
    t.match(await flowRunRow(cloud, parent.flow_run_id), { state: "Cancelled" });
    t.match(await flowRunRow(cloud, onItsOwn), { state: "Scheduled" });
    t.match(await flowRunRow(cloud, waitedFor), { state: "Cancelled" });
  },
);

t.test("what a task of Prefect's asked for is cancelled also when that task has succeeded", async (t) => {
  const { cloud, ask } = await family(t);
  const flow = await deployFlow(cloud, { name: "theirs", tasks: ["p-1"], labels: ["py"], ours: false });
  const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const [{ asking } = { asking: "" }] = await cloud.rows<{ asking: string }>(
    "SELECT id AS asking FROM task_run WHERE flow_run_id = ?1",
    id,
  );
  const set = (type: string) => cloud.call("set_flow_run_states", { states: [{ flow_run_id: id, state: { type } }] });
  await set("Submitted");
  await set("Running");
  const child = await ask(asking);
  for (const type of ["Running", "Success"]) {
    await cloud.call("set_task_run_states", { states: [{ task_run_id: asking, state: { type } }] });
  }
  await cloud.call("cancel_flow_run", { flow_run_id: id });
  await set("Cancelled");
  t.match(await flowRunRow(cloud, child), { state: "Cancelled" });
});
