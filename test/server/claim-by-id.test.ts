import t from "tap";
import { newId } from "../../src/core/ids.js";
import { deployFlow, HandClock, LEASE_MS, startTestCloud, TestAgent } from "../helpers/server.js";

t.test("a run is claimed by its id whatever its labels, and no other with it", async (t) => {
  const cloud = await startTestCloud(t, { clock: new HandClock() });
  const { flowId } = await deployFlow(cloud);
  const ids: string[] = [];
  for (const label of ["far", "away"]) {
    ids.push((await cloud.call("create_flow_run", { flow_id: flowId, labels: [label] })).id);
  }
  const agent = await TestAgent.register(cloud);
  const claim = { agent_id: agent.id, labels: [], limit: 5, lease_ms: LEASE_MS };
  t.same((await cloud.call("claim_runs", claim)).runs, [], "its labels say no");
  const { runs } = await cloud.call("claim_runs", { ...claim, flow_run_id: ids[1]! });
  t.same(
    runs.map(({ flow_run_id, fence }) => [flow_run_id, fence]),
    [[ids[1], 1]],
  );
  t.same((await cloud.call("claim_runs", { ...claim, flow_run_id: ids[1]! })).runs, [], "it is given once");
  t.same((await cloud.call("claim_runs", { ...claim, flow_run_id: newId() })).runs, [], "an id of no run");
});

t.test("a run that is not due, or has no slot for its label, is not given by its id either", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { flowId } = await deployFlow(cloud);
  const dueAt = new Date(clock.now() + 60_000).toISOString();
  const later = await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: dueAt });
  const agent = await TestAgent.register(cloud);
  const claim = { agent_id: agent.id, labels: [], limit: 1, lease_ms: LEASE_MS };
  const early = await cloud.call("claim_runs", { ...claim, flow_run_id: later.id });
  t.same(early, { runs: [], next_due_at: dueAt });
  await cloud.call("update_flow_concurrency_limit", { name: "one", limit: 1 });
  const limited: string[] = [];
  for (let index = 0; index < 2; index++) {
    limited.push((await cloud.call("create_flow_run", { flow_id: flowId, labels: ["one"] })).id);
  }
  const byId = async (id: string) => (await cloud.call("claim_runs", { ...claim, flow_run_id: id })).runs.length;
  t.equal(await byId(limited[1]!), 1);
  t.equal(await byId(limited[0]!), 0, "the label's slot is taken");
  clock.forward(60_000);
  t.equal(await byId(later.id), 1);
});

t.test("a claim is taken over by its id, run by run, with the fence that it was given", async (t) => {
  const cloud = await startTestCloud(t, { clock: new HandClock() });
  const { flowId } = await deployFlow(cloud);
  for (let index = 0; index < 2; index++) await cloud.call("create_flow_run", { flow_id: flowId });
  const agent = await TestAgent.register(cloud);
  const claim = { agent_id: agent.id, labels: agent.labels, limit: 2, lease_ms: LEASE_MS, claim_id: newId() };
  const { runs } = await cloud.call("claim_runs", claim);
  t.equal(runs.length, 2);
  for (const { flow_run_id, fence } of runs) {
    const taken = await cloud.call("claim_runs", { ...claim, limit: 1, flow_run_id });
    t.same(
      taken.runs.map((each) => [each.flow_run_id, each.fence]),
      [[flow_run_id, fence]],
    );
  }
});
