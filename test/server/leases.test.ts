import t from "tap";
import { brokenInvariants } from "../helpers/invariants.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  HandClock,
  LEASE_MS,
  letPass,
  refusalOf,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

async function bed(t: Parameters<typeof startTestCloud>[0]) {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const flow = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud, "first");
  const claimNew = async () => {
    await cloud.call("create_flow_run", { flow_id: flow.flowId });
    return agent.claimOne();
  };
  return { clock, cloud, flow, agent, claimNew };
}

t.test(
  "a lease that is not renewed ends: the run is Scheduled again, and another agent goes on with what is finished",
  async (t) => {
    const { clock, cloud, agent, claimNew } = await bed(t);
    const run = await claimNew();
    await agent.report(run, [
      flowState("Running"),
      taskState(run, "a-1", "Running", 1),
      taskState(run, "a-1", "Success", 2),
      taskState(run, "b-1", "Running", 1),
    ]);
    const renewedAt = new Date(clock.now()).toISOString();
    await letPass(cloud, clock, LEASE_MS - 1);
    t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Running" }, "not a millisecond early");
    clock.forward(1);
    await cloud.server.tick();
    const why = `Rescheduled: agent first (${agent.id}) last renewed its lease at ${renewedAt}`;
    t.match(await flowRunRow(cloud, run.flow_run_id), {
      state: "Scheduled",
      state_message: why,
      times_resurrected: 1,
      lease_agent_id: null,
      fence: 1,
    });
    t.match(await cloud.rows("SELECT name, level, message FROM log"), [
      { name: "millrace.reaper", level: "WARNING", message: why },
    ]);
    t.match((await agent.report(run, [flowState("Success")])).refused, [{ code: "RUN_LEASE_LOST" }]);
    t.strictSame(await agent.renew([run]), { lost: [run.flow_run_id], cancelling: [], granted: [] });

    const second = await TestAgent.register(cloud, "second");
    const taken = await second.claimOne();
    t.match(taken, { flow_run_id: run.flow_run_id, fence: 2, times_resurrected: 1 });
    const stateOf = (slug: string) => taken.task_runs.find((each) => each.task_slug === slug);
    t.match(stateOf("a-1"), { version: 3, serialized_state: { type: "Success" } });
    t.match(stateOf("b-1"), { version: 2, serialized_state: { type: "Running" } });
    const rest = [
      flowState("Running"),
      taskState(taken, "b-1", "Running", 2),
      taskState(taken, "b-1", "Success", 3),
      taskState(taken, "c-1", "Skipped", 1),
      flowState("Success"),
    ];
    t.strictSame((await second.report(taken, rest)).refused, []);
    t.strictSame(await brokenInvariants(cloud), []);
  },
);

t.test("a renewed lease holds; one that ended may be renewed as long as nobody took the run", async (t) => {
  const { clock, cloud, agent, claimNew } = await bed(t);
  const run = await claimNew();
  await letPass(cloud, clock, LEASE_MS - 1);
  t.strictSame(await agent.renew([run]), { lost: [], cancelling: [], granted: [] });
  await letPass(cloud, clock, LEASE_MS - 1);
  t.match(await flowRunRow(cloud, run.flow_run_id), {
    state: "Submitted",
    heartbeat: new Date(clock.now() - LEASE_MS + 1).toISOString(),
  });
  clock.forward(1);
  t.strictSame(await agent.renew([run]), { lost: [], cancelling: [], granted: [] });
  await cloud.server.tick();
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Submitted" });
  t.strictSame(await agent.renew([{ ...run, fence: 2 }]), { lost: [run.flow_run_id], cancelling: [], granted: [] });
  t.strictSame(await agent.renew([]), { lost: [], cancelling: [], granted: [] });
  t.equal((await refusalOf(agent.renew([run], 1))).code, "INPUT_INVALID");
});

t.test("a run whose agent died while it was being cancelled is Cancelled, with its tasks", async (t) => {
  const { clock, cloud, agent, claimNew } = await bed(t);
  const run = await claimNew();
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
  t.strictSame(await cloud.call("cancel_flow_run", { flow_run_id: run.flow_run_id }), { state: "Cancelling" });
  t.strictSame(await agent.renew([run]), { lost: [], cancelling: [run.flow_run_id], granted: [] });
  await letPass(cloud, clock, LEASE_MS);
  t.match(await flowRunRow(cloud, run.flow_run_id), {
    state: "Cancelled",
    state_message: /^Flow run is cancelled: agent first/,
    lease_agent_id: null,
  });
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Cancelled",
    "b-1": "Cancelled",
    "c-1": "Cancelled",
  });
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a run that lost ten agents is Failed, and says why", async (t) => {
  const { clock, cloud, agent, claimNew } = await bed(t);
  const run = await claimNew();
  for (let lost = 1; lost <= 10; lost++) {
    await letPass(cloud, clock, LEASE_MS);
    t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Scheduled", times_resurrected: lost });
    await agent.claimOne();
  }
  await letPass(cloud, clock, LEASE_MS);
  t.match(await flowRunRow(cloud, run.flow_run_id), {
    state: "Failed",
    state_message:
      /^Given up after it was rescheduled 10 times; the last time, agent first \(.*\) last renewed its lease at 2026/,
  });
  await cloud.server.tick();
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Failed", times_resurrected: 10 });
});

t.test("a finished run is never touched", async (t) => {
  const { clock, cloud, agent, claimNew } = await bed(t);
  const run = await claimNew();
  await agent.report(run, [flowState("Running"), flowState("Success")]);
  const before = await flowRunRow(cloud, run.flow_run_id);
  clock.forward(100 * LEASE_MS);
  await letPass(cloud, clock, 2 * LEASE_MS);
  t.strictSame(await flowRunRow(cloud, run.flow_run_id), before);
});

t.test("a run that is given back is due at once, and does not count as lost, however far it had come", async (t) => {
  const { cloud, agent, claimNew } = await bed(t);
  const [fresh, begun] = [await claimNew(), await claimNew()];
  await agent.flowState(begun, "Running");
  const release = (runs: { flow_run_id: string; fence: number }[]) =>
    cloud.call("release_runs", {
      agent_id: agent.id,
      runs: runs.map(({ flow_run_id, fence }) => ({ flow_run_id, fence })),
    });
  t.strictSame(await release([fresh, begun]), { success: true, error: null });
  t.match(await flowRunRow(cloud, fresh.flow_run_id), {
    state: "Scheduled",
    times_resurrected: 0,
    state_message: /agent first \(.*\) gave it back$/,
  });
  t.match(await flowRunRow(cloud, begun.flow_run_id), { state: "Scheduled", times_resurrected: 0 });
  t.match(await release([fresh]), { success: true, error: /no longer this agent's/ });
  t.equal((await agent.claim()).runs.length, 2);
});

t.test("a run that is given back with an end has that end", async (t) => {
  const { cloud, agent, claimNew } = await bed(t);
  const run = await claimNew();
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
  const release = (state: unknown) =>
    cloud.call("release_runs", { agent_id: agent.id, runs: [{ flow_run_id: run.flow_run_id, fence: 1, state }] });
  for (const wrong of [{ type: "Running" }, { type: "Broken" }, "Failed"]) {
    t.equal((await refusalOf(release(wrong))).code, "INPUT_INVALID");
  }
  await release({ type: "Failed", message: "out of memory" });
  t.match(await flowRunRow(cloud, run.flow_run_id), {
    state: "Failed",
    state_message: "out of memory",
    lease_agent_id: null,
  });
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Failed",
    "b-1": "Cancelled",
    "c-1": "Cancelled",
  });
  t.match(await cloud.rows("SELECT DISTINCT state_message FROM task_run WHERE state = 'Cancelled'"), [
    { state_message: "Not reached: the flow run failed before." },
  ]);
  const nobody = cloud.call("release_runs", { agent_id: run.flow_run_id, runs: [] });
  t.equal((await refusalOf(nobody)).code, "INPUT_INVALID");
});

t.test("a run that is given back while it is being cancelled is Cancelled", async (t) => {
  const { cloud, agent, claimNew } = await bed(t);
  const run = await claimNew();
  await agent.flowState(run, "Running");
  await cloud.call("cancel_flow_run", { flow_run_id: run.flow_run_id });
  await cloud.call("release_runs", { agent_id: agent.id, runs: [{ flow_run_id: run.flow_run_id, fence: 1 }] });
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Cancelled" });
});

t.test("many leases that end at once are all taken back in one round", async (t) => {
  const { clock, cloud, flow, agent } = await bed(t);
  for (let run = 0; run < 50; run++) await cloud.call("create_flow_run", { flow_id: flow.flowId });
  t.equal((await agent.claim(50)).runs.length, 50);
  await letPass(cloud, clock, LEASE_MS - 1);
  clock.forward(1);
  await Promise.all([cloud.server.tick(), cloud.server.tick()]);
  t.strictSame(
    await cloud.rows("SELECT state, count(*) AS n, max(times_resurrected) AS lost FROM flow_run GROUP BY state"),
    [{ state: "Scheduled", n: 50, lost: 1 }],
  );
});

t.test(
  "leases that ended while the machine slept last their length again: who renews then keeps its run",
  async (t) => {
    const { clock, cloud, flow, agent, claimNew } = await bed(t);
    const [alive, dead] = [await claimNew(), await claimNew()];
    await cloud.call("create_flow_run", { flow_id: flow.flowId });
    const [short] = (await agent.claim(1, { lease_ms: 2_000 })).runs;
    const stateOf = async (run: { flow_run_id: string }) => (await flowRunRow(cloud, run.flow_run_id)).state;
    clock.forward(10 * LEASE_MS);
    await cloud.server.tick();
    await letPass(cloud, clock, 1_999);
    t.strictSame(await Promise.all([alive, dead, short!].map(stateOf)), ["Submitted", "Submitted", "Submitted"]);
    t.strictSame(await agent.renew([alive]), { lost: [], cancelling: [], granted: [] });
    await letPass(cloud, clock, 1_000);
    t.equal(await stateOf(short!), "Scheduled", "a short lease is not made longer than it was");
    await letPass(cloud, clock, LEASE_MS - 2_000);
    t.strictSame(await Promise.all([alive, dead].map(stateOf)), ["Submitted", "Scheduled"]);
  },
);

t.test("so do leases that ended before the server was started again", async (t) => {
  const { clock, cloud, claimNew } = await bed(t);
  const run = await claimNew();
  await cloud.server.close();
  clock.forward(10 * LEASE_MS);
  const again = await startTestCloud(t, { clock, database: cloud.file });
  await letPass(again, clock, LEASE_MS - 1);
  t.match(await flowRunRow(again, run.flow_run_id), { state: "Submitted", times_resurrected: 0 });
  await letPass(again, clock, 1);
  t.match(await flowRunRow(again, run.flow_run_id), { state: "Scheduled", times_resurrected: 1 });
});
