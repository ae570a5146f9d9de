import t, { type Test } from "tap";
import { openCloud } from "../../src/client/cloud-client.js";
import type { ClaimedRun, StateReportInput } from "../../src/client/wire.js";
import { brokenInvariants } from "../helpers/invariants.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  HandClock,
  letPass,
  refusalOf,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

/** A claimed run whose first task is in `state`; the fields go on top of it. */
async function bed(t: Test, state: string, fields: Record<string, unknown>) {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const flow = await deployFlow(cloud, { tasks: ["a-1", "b-1"] });
  const agent = await TestAgent.register(cloud, "first");
  await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const run = await agent.claimOne();
  const waits = (run: ClaimedRun): StateReportInput => {
    const report = taskState(run, "a-1", state, 2);
    return { ...report, state: { type: state, message: null, ...fields } };
  };
  const { refused } = await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1), waits(run)]);
  t.strictSame(refused, []);
  const release = () =>
    cloud.call("release_runs", {
      agent_id: agent.id,
      runs: [{ flow_run_id: run.flow_run_id, fence: run.fence, waits: true }],
    });
  const taskRunId = run.task_runs.find((each) => each.task_slug === "a-1")!.id;
  return { clock, cloud, agent, run, release, taskRunId };
}

const later = (clock: HandClock, ms: number) => new Date(clock.now() + ms).toISOString();

t.test(
  "a run given back because its tasks wait stays Running and comes back when the first of them is due",
  async (t) => {
    const dueAt = later(new HandClock(), 60_000);
    const { clock, cloud, agent, run, release } = await bed(t, "Retrying", { start_time: dueAt, run_count: 1 });
    await release();
    t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Running", lease_agent_id: null, times_resurrected: 0 });
    t.strictSame((await agent.claim()).runs, [], "not yet");
    await letPass(cloud, clock, 59_000);
    t.strictSame((await agent.claim()).runs, [], "not a second early");
    await letPass(cloud, clock, 1_000);
    const again = await agent.claimOne();
    t.match(again, { flow_run_id: run.flow_run_id, fence: 2, times_resurrected: 0 });
    t.match(
      again.task_runs.find((each) => each.task_slug === "a-1"),
      { version: 3, serialized_state: { type: "Retrying", run_count: 1 } },
    );
    t.strictSame(await brokenInvariants(cloud), []);
  },
);

t.test("agents that listen are told when it is due", async (t) => {
  const dueAt = new Date(Date.now() + 1_500).toISOString();
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud, { tasks: ["a-1"] });
  const agent = await TestAgent.register(cloud);
  await cloud.call("create_flow_run", { flow_id: flowId });
  const run = await agent.claimOne();
  const retrying = { ...taskState(run, "a-1", "Retrying", 2), state: { type: "Retrying", start_time: dueAt } };
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1), retrying]);
  const client = openCloud({ url: cloud.url, token: cloud.token });
  const events = client.agentEvents(agent.id, undefined, new AbortController().signal)[Symbol.asyncIterator]();
  // The first event says that the subscription stands.
  await events.next();
  await client.releaseRuns(agent.id, [{ flowRunId: run.flow_run_id, fence: run.fence, waits: true }]);
  while (!(await events.next()).value?.runDue) t.comment("an event of another kind");
  t.ok(Date.now() >= Date.parse(dueAt), "not before");
  t.ok(Date.now() < Date.parse(dueAt) + 1_000, "and soon after");
  await events.return?.();
  await client.close();
});

t.test("a paused run comes back when someone resumes it, with what they said; the second is too late", async (t) => {
  const { cloud, agent, run, release, taskRunId } = await bed(t, "Paused", {
    start_time: null,
    context: { task_run_count: 1 },
  });
  await release();
  t.strictSame((await agent.claim()).runs, [], "it waits");
  const resume = () => cloud.call("resume_task_run", { task_run_id: taskRunId, input: { approved: true } });
  await resume();
  t.match(await refusalOf(resume()), { code: "STATE_REFUSED", message: /is Resume, not Paused/ });
  const again = await agent.claimOne();
  t.match(
    again.task_runs.find((each) => each.id === taskRunId)?.serialized_state,
    { type: "Resume", context: { task_run_count: 1, input: { approved: true } } },
    "what the pause remembers stays",
  );
  t.equal(again.flow_run_id, run.flow_run_id);
});

t.test("a task resumed while its agent still holds the run is found when the run is given back", async (t) => {
  const { cloud, agent, release, taskRunId } = await bed(t, "Paused", { start_time: null });
  await cloud.call("resume_task_run", { task_run_id: taskRunId });
  t.strictSame((await agent.claim()).runs, [], "its agent has it");
  await release();
  t.equal((await agent.claimOne()).fence, 2);
});

t.test("nothing is resumed that is not Paused, or whose flow run has ended", async (t) => {
  const { cloud, run, release, taskRunId } = await bed(t, "Paused", { start_time: null });
  const other = run.task_runs.find((each) => each.task_slug === "b-1")!.id;
  t.match(await refusalOf(cloud.call("resume_task_run", { task_run_id: other })), { code: "STATE_REFUSED" });
  await release();
  await cloud.call("cancel_flow_run", { flow_run_id: run.flow_run_id });
  t.match(await taskRunStates(cloud, run.flow_run_id), { "a-1": "Cancelled", "b-1": "Cancelled" });
  t.match(await refusalOf(cloud.call("resume_task_run", { task_run_id: taskRunId })), { code: "STATE_REFUSED" });
  const nobody = "00000000-0000-7000-8000-000000000000";
  t.match(await refusalOf(cloud.call("resume_task_run", { task_run_id: nobody })), { code: "INPUT_INVALID" });
});

t.test("a run given back by an agent that no longer holds it is left alone", async (t) => {
  const { clock, cloud, run, release } = await bed(t, "Paused", { start_time: null });
  await letPass(cloud, clock, 31_000);
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Scheduled" }, "the lease has ended");
  t.match(await release(), { success: true, error: /no longer this agent's/ });
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Scheduled" });
});

t.test("a run that was cancelled before it was given back to wait is Cancelled, not left for ever", async (t) => {
  const { cloud, run, release } = await bed(t, "Paused", { start_time: null });
  t.match(await cloud.call("cancel_flow_run", { flow_run_id: run.flow_run_id }), { state: "Cancelling" });
  await release();
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Cancelled", lease_agent_id: null });
  t.match(await taskRunStates(cloud, run.flow_run_id), { "a-1": "Cancelled", "b-1": "Cancelled" });
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a run that never began cannot wait: it goes back into the queue, and is given up in the end", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud, { tasks: ["a-1"] });
  const agent = await TestAgent.register(cloud);
  await cloud.call("create_flow_run", { flow_id: flowId });
  const release = async () => {
    const { flow_run_id, fence } = await agent.claimOne();
    await cloud.call("release_runs", { agent_id: agent.id, runs: [{ flow_run_id, fence, waits: true }] });
    return flowRunRow(cloud, flow_run_id);
  };
  t.match(await release(), { state: "Scheduled", lease_agent_id: null, times_resurrected: 1 });
  for (let taken = 1; taken < 10; taken += 1) await release();
  t.match(await release(), { state: "Failed", state_message: /Given up after it was rescheduled 10 times/ });
});

t.test("what would not fit into a state of a worker thread is no input to resume with", async (t) => {
  const { cloud, taskRunId } = await bed(t, "Paused", { start_time: null });
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  const resume = (input: unknown) => cloud.call("resume_task_run", { task_run_id: taskRunId, input });
  for (const input of [nested(17), new Array(10_000).fill(1), "x".repeat(250_000)]) {
    t.match(await refusalOf(resume(input)), { code: "INPUT_INVALID", message: /larger than an input may be/ });
  }
  t.match(await resume([nested(15), new Array(9_900).fill(1)]), { state: "Resume" });
});
