import t from "tap";
import { newId } from "../../src/core/ids.js";
import { AgentEvents } from "../../src/server/agents/agent-events.js";
import { subscribe } from "../helpers/agent-events.js";
import { eventually } from "../helpers/eventually.js";
import { deployFlow, flowState, HandClock, LEASE_MS, letPass, startTestCloud, TestAgent } from "../helpers/server.js";

/** Far above what it takes (under 5 ms on an idle machine), far below any poll. */
const AT_ONCE_MS = 250;

t.test("an agent is told at once that a run it may take is due, and not of others", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployFlow(cloud);
  const other = await deployFlow(cloud, { name: "other" });
  const agent = await TestAgent.register(cloud);
  const [mine, ofFlow] = [await subscribe(cloud, agent.id), await subscribe(cloud, agent.id, flow.flowGroupId)];
  t.teardown(() => {
    mine.close();
    ofFlow.close();
  });
  t.equal(mine.status, 200);
  await cloud.call("create_flow_run", { flow_id: flow.flowId, labels: ["elsewhere"] });
  const before = performance.now();
  await cloud.call("create_flow_run", { flow_id: flow.flowId });
  t.strictSame(await mine.next(), { run_due: true, cancelling: [], granted: [] });
  t.ok(performance.now() - before < AT_ONCE_MS);
  t.strictSame(await ofFlow.next(), { run_due: true, cancelling: [], granted: [] });
  await cloud.call("create_flow_run", { flow_id: other.flowId });
  t.strictSame(await mine.next(), { run_due: true, cancelling: [], granted: [] });
  t.equal(mine.events.length, 2);
  t.equal(ofFlow.events.length, 1);
});

t.test("an agent is told when a run that was scheduled for later becomes due", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  const events = await subscribe(cloud, agent.id);
  t.teardown(() => events.close());
  const dueAt = Date.now() + 200;
  await cloud.call("create_flow_run", {
    flow_id: flowId,
    scheduled_start_time: new Date(dueAt + 60_000).toISOString(),
  });
  await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: new Date(dueAt).toISOString() });
  t.strictSame(await events.next(), { run_due: true, cancelling: [], granted: [] });
  const late = Date.now() - dueAt;
  t.ok(late >= 0 && late < AT_ONCE_MS, `${late} ms after it was due`);
  t.equal((await agent.claim()).runs.length, 1);
});

t.test(
  "runs that were due before the server started wake nobody by themselves; the round of loops announces each once",
  async (t) => {
    const clock = new HandClock();
    const cloud = await startTestCloud(t, { clock });
    const { flowId } = await deployFlow(cloud);
    const agent = await TestAgent.register(cloud);
    const events = await subscribe(cloud, agent.id);
    t.teardown(() => events.close());
    const at = (ms: number) => new Date(clock.now() + ms).toISOString();
    await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: at(1_000_000) });
    clock.forward(1_000_000);
    await cloud.server.tick();
    t.strictSame(await events.next(), { run_due: true, cancelling: [], granted: [] });
    clock.forward(1_000);
    await cloud.server.tick();
    await cloud.server.tick();
    t.equal(events.events.length, 1);
  },
);

t.test("the holder of a run is told to stop it; what an agent does itself is not news to it", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  const claimNew = async () => {
    await cloud.call("create_flow_run", { flow_id: flowId });
    return agent.claimOne();
  };
  const [running, submitted, ended] = [await claimNew(), await claimNew(), await claimNew()];
  await agent.flowState(running, "Running");
  const events = await subscribe(cloud, agent.id);
  t.teardown(() => events.close());
  await cloud.call("cancel_flow_run", { flow_run_id: running.flow_run_id });
  t.strictSame(await events.next(), { run_due: false, cancelling: [running.flow_run_id], granted: [] });
  await cloud.call("cancel_flow_run", { flow_run_id: submitted.flow_run_id });
  t.strictSame(await events.next(), { run_due: false, cancelling: [submitted.flow_run_id], granted: [] });
  await cloud.call("set_flow_run_states", { states: [{ flow_run_id: ended.flow_run_id, state: { type: "Success" } }] });
  t.strictSame(await events.next(), { run_due: false, cancelling: [ended.flow_run_id], granted: [] });
  await agent.report(running, [flowState("Cancelled")]);
  t.equal(events.events.length, 3);
});

t.test("a run that is taken back wakes the other agents", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { flowId } = await deployFlow(cloud);
  const [first, second] = [await TestAgent.register(cloud, "first"), await TestAgent.register(cloud, "second")];
  await cloud.call("create_flow_run", { flow_id: flowId });
  const run = await first.claimOne();
  const events = await subscribe(cloud, second.id);
  t.teardown(() => events.close());
  await letPass(cloud, clock, LEASE_MS);
  t.strictSame(await events.next(), { run_due: true, cancelling: [], granted: [] });
  t.match(await second.claimOne(), { flow_run_id: run.flow_run_id, fence: 2 });
});

t.test("what is wrong with a subscription is answered, not streamed", async (t) => {
  const cloud = await startTestCloud(t);
  const events = await subscribe(cloud, newId());
  await events.ended;
  t.match(events.text, /"code":"INPUT_INVALID"/);
  const headers = { accept: "text/event-stream" };
  const answer = await cloud.post('{"query":"subscription { nothing }"}', headers, "/graphql/stream");
  t.equal(answer.status, 400);
  t.match(answer.body.errors, [{ extensions: { code: "GRAPHQL_VALIDATION_FAILED" } }]);
  const plain = await fetch(`${cloud.url}/graphql/stream`, {
    method: "POST",
    headers: { authorization: `Bearer ${cloud.token}` },
    body: "{}",
  });
  t.equal(plain.ok, false);
  const overHttp = await cloud.ask("subscription($a: UUID!) { agent_events(agent_id: $a) { run_due } }", {
    a: newId(),
  });
  t.match(overHttp.body.errors, [{ message: /Subscriptions are answered at .graphql.stream/ }]);
});

t.test("closing the server ends every subscription, and a client that goes is forgotten", async (t) => {
  const cloud = await startTestCloud(t);
  const agent = await TestAgent.register(cloud);
  const { flowId } = await deployFlow(cloud);
  const [gone, left] = [await subscribe(cloud, agent.id), await subscribe(cloud, agent.id)];
  gone.close();
  await gone.ended;
  await cloud.call("create_flow_run", { flow_id: flowId });
  t.strictSame(await left.next(), { run_due: true, cancelling: [], granted: [] });
  const before = performance.now();
  await cloud.server.close();
  await left.ended;
  t.match(left.text, /event: complete/);
  t.ok(performance.now() - before < 2_000, "without waiting for anybody");
});

t.test("what a slow listener has not read is merged into one event", async (t) => {
  const events = new AgentEvents();
  const [agentId, tenantId, flowGroupId] = ["a", "t", "g"];
  const listener = events.listen({ agentId, tenantId, keyId: "key", labels: ["x"], flowGroupId: null });
  const run = { tenantId, labels: ["x"], flowGroupId };
  for (let times = 0; times < 1_000; times++) {
    events.wakeFor(run);
    events.stop(agentId, `run ${times % 3}`);
  }
  events.wakeFor({ ...run, tenantId: "other" });
  t.strictSame(await listener.next(), {
    done: false,
    value: { run_due: true, cancelling: ["run 0", "run 1", "run 2"], granted: [] },
  });
  const waiting = listener.next();
  await listener.return();
  t.strictSame(await waiting, { done: true, value: undefined });
  t.equal(events.listeners, 0);
  events.close();
  t.strictSame(await events.listen({ agentId, tenantId, keyId: "key", labels: [], flowGroupId: null }).next(), {
    done: true,
    value: undefined,
  });
});

t.test("a connection that breaks leaves no listener behind", async (t) => {
  const cloud = await startTestCloud(t);
  const agent = await TestAgent.register(cloud);
  const all = await Promise.all(Array.from({ length: 20 }, () => subscribe(cloud, agent.id)));
  t.equal(cloud.server.listeners, 20);
  for (const each of all) each.close();
  await eventually(() => cloud.server.listeners === 0);
});
