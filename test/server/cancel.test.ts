import t from "tap";
import { newId } from "../../src/core/ids.js";
import { holdInvariants } from "../helpers/invariants.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  refusalOf,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

const cloud = await startTestCloud(t);
const flow = await deployFlow(cloud);
const agent = await TestAgent.register(cloud);
t.afterEach(() => holdInvariants(cloud));

const createRun = async () => (await cloud.call("create_flow_run", { flow_id: flow.flowId })).id;
const claimNew = async () => {
  await createRun();
  return agent.claimOne();
};
const cancel = (flow_run_id: string) => cloud.call("cancel_flow_run", { flow_run_id });

t.test("a run that waits is Cancelled at once, and never claimed", async (t) => {
  const id = await createRun();
  t.strictSame(await cancel(id), { state: "Cancelled" });
  t.match(await flowRunRow(cloud, id), { state_message: "Flow run is cancelled" });
  t.strictSame(await taskRunStates(cloud, id), { "a-1": "Cancelled", "b-1": "Cancelled", "c-1": "Cancelled" });
  t.strictSame((await agent.claim()).runs, []);
});

t.test("a run that was claimed and has not begun is Cancelled at once, and its agent cannot begin it", async (t) => {
  const run = await claimNew();
  t.strictSame(await cancel(run.flow_run_id), { state: "Cancelled" });
  t.match((await agent.report(run, [flowState("Running")])).refused, [
    { code: "RUN_CANCELLED", message: /is Cancelled stays so/ },
  ]);
});

t.test("a Running run becomes Cancelling; its agent is told in every answer, and ends it", async (t) => {
  const run = await claimNew();
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
  t.strictSame(await cancel(run.flow_run_id), { state: "Cancelling" });
  t.strictSame(await cancel(run.flow_run_id), { state: "Cancelling" }, "once more changes nothing");
  t.match(await flowRunRow(cloud, run.flow_run_id), { version: 4, lease_agent_id: agent.id });
  t.match(await agent.report(run, []), { refused: [], cancelling: [run.flow_run_id] });
  t.match(await agent.renew([run]), { lost: [], cancelling: [run.flow_run_id], granted: [] });
  t.match((await agent.report(run, [taskState(run, "b-1", "Running", 1)])).refused, [
    { code: "RUN_CANCELLED", message: /it is Cancelling/ },
  ]);
  t.match((await agent.report(run, [flowState("Running")])).refused, [
    { code: "RUN_CANCELLED", message: /is being cancelled/ },
  ]);
  t.strictSame(
    (await agent.report(run, [taskState(run, "a-1", "Success", 2)])).refused,
    [],
    "what is in hand may still be finished",
  );
  t.match(await agent.report(run, [flowState("Cancelled")]), {
    refused: [],
    cancelling: [],
    queued: [],
    granted: [],
  });
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Success",
    "b-1": "Cancelled",
    "c-1": "Cancelled",
  });
});

t.test("a Running run that nobody holds is Cancelled at once: nobody would end it", async (t) => {
  const set = (flow_run_id: string, type: string) =>
    cloud.call("set_flow_run_states", { states: [{ flow_run_id, state: { type } }] });
  const [running, cancelling] = [await createRun(), await createRun()];
  await set(running, "Running");
  t.strictSame(await cancel(running), { state: "Cancelled" });
  t.match(await taskRunStates(cloud, running), { "a-1": "Cancelled" });
  await set(cancelling, "Running");
  await set(cancelling, "Cancelling");
  t.strictSame(await cancel(cancelling), { state: "Cancelled" });
});

t.test("a run that finishes as it is being cancelled keeps its own end", async (t) => {
  const run = await claimNew();
  await agent.flowState(run, "Running");
  await cancel(run.flow_run_id);
  t.strictSame((await agent.report(run, [flowState("Success")])).refused, []);
  t.strictSame(await cancel(run.flow_run_id), { state: "Success" }, "a finished run is left as it is");
});

t.test("mapped children are closed with their run, those of the same batch too", async (t) => {
  const run = await claimNew();
  const child = { ...taskState(run, "b-1", "Running", 0), task_run_id: newId(), map_index: 0 };
  const { refused } = await agent.report(run, [
    flowState("Running"),
    taskState(run, "b-1", "Mapped", 1),
    child,
    flowState("Cancelled"),
  ]);
  t.strictSame(refused, []);
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Cancelled",
    "b-1": "Mapped",
    "b-1[0]": "Cancelled",
    "c-1": "Cancelled",
  });
});

t.test("an unknown run is FLOW_RUN_NOT_FOUND", async (t) => {
  t.equal((await refusalOf(cancel(newId()))).code, "FLOW_RUN_NOT_FOUND");
});
