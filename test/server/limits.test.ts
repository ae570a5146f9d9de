import t from "tap";
import { subscribe } from "../helpers/agent-events.js";
import { deployTagged, holders, taskStates } from "../helpers/limits.js";
import {
  flowState,
  HandClock,
  LEASE_MS,
  letPass,
  startTestCloud,
  TestAgent,
  type TestCloud,
  taskState,
} from "../helpers/server.js";

/** A run that an agent has begun. */
async function begun(cloud: TestCloud, agent: TestAgent, flowId: string) {
  await cloud.call("create_flow_run", { flow_id: flowId });
  const run = await agent.claimOne();
  await agent.report(run, [flowState("Running")]);
  return run;
}

t.test("a task run without a free slot is Queued, and waits until it is told; then it may be Running", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployTagged(cloud, { "a-1": ["db"] });
  const agent = await TestAgent.register(cloud);
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
  const [first, second] = [await begun(cloud, agent, flow.flowId), await begun(cloud, agent, flow.flowId)];
  const task = second.task_runs.find(({ task_slug }) => task_slug === "a-1")!;
  t.match(await agent.report(first, [taskState(first, "a-1", "Running", 1)]), { refused: [], queued: [], granted: [] });
  const refused = await agent.report(second, [taskState(second, "a-1", "Running", 1)]);
  t.match(refused, { refused: [], queued: [task.id], granted: [] });
  const [row] = await cloud.rows<{
    state: string;
    version: number;
    serialized_state: string;
    start_time: string | null;
  }>("SELECT state, version, serialized_state, start_time FROM task_run WHERE id = ?1", task.id);
  t.match(row, { state: "Queued", version: 2, start_time: null });
  t.match(JSON.parse(row!.serialized_state), {
    type: "Queued",
    state: { type: "Pending" },
    message: /tag "db" \(limit 1\)/,
  });
  t.same(await holders(cloud), ["db"]);
  const freed = await agent.report(first, [taskState(first, "a-1", "Success", 2)]);
  t.same(freed.granted, [task.id], "the slot that came free has its next owner in the same transaction");
  t.same(await holders(cloud), ["db"]);
  t.match(await agent.report(second, [taskState(second, "a-1", "Running", 2)]), {
    refused: [],
    queued: [],
    granted: [],
  });
  t.same(await cloud.rows("SELECT * FROM slot_request"), []);
  await agent.report(second, [taskState(second, "a-1", "Success", 3), flowState("Success")]);
  t.same(await holders(cloud), []);
});

t.test("another agent's task run is told over its subscription, the longest waiting first", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployTagged(cloud, { "a-1": ["db"] });
  const agent = await TestAgent.register(cloud, "one");
  const other = await TestAgent.register(cloud, "two");
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
  const runs = [
    await begun(cloud, agent, flow.flowId),
    await begun(cloud, other, flow.flowId),
    await begun(cloud, other, flow.flowId),
  ];
  await agent.report(runs[0]!, [taskState(runs[0]!, "a-1", "Running", 1)]);
  for (const run of [runs[2]!, runs[1]!]) await other.report(run, [taskState(run, "a-1", "Running", 1)]);
  const events = await subscribe(cloud, other.id);
  t.teardown(() => events.close());
  await agent.report(runs[0]!, [taskState(runs[0]!, "a-1", "Failed", 2)]);
  const idOf = (at: number) => runs[at]!.task_runs.find(({ task_slug }) => task_slug === "a-1")!.id;
  t.strictSame(await events.next(), { run_due: false, cancelling: [], granted: [idOf(2)] });
  const beat = await other.renew(runs.slice(1));
  t.same(beat.granted, [idOf(2)], "a heartbeat tells again, for the event may have been lost");
  t.match(
    (await other.report(runs[1]!, [taskState(runs[1]!, "a-1", "Running", 2)])).queued,
    [idOf(1)],
    "who is not next stays in line",
  );
});

t.test("a task of several tags takes all of its slots or none", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployTagged(cloud, { "a-1": ["db", "net"], "b-1": ["db"], "c-1": ["net"] });
  const agent = await TestAgent.register(cloud);
  for (const tag of ["db", "net"]) await cloud.call("update_task_tag_limit", { tag, limit: 1 });
  const run = await begun(cloud, agent, flow.flowId);
  await agent.report(run, [taskState(run, "c-1", "Running", 1)]);
  const both = run.task_runs.find(({ task_slug }) => task_slug === "a-1")!.id;
  t.same((await agent.report(run, [taskState(run, "a-1", "Running", 1)])).queued, [both]);
  t.same(await holders(cloud), ["net"], "it holds none while it waits");
  t.same((await agent.report(run, [taskState(run, "b-1", "Running", 1)])).queued, [], "nor does it hold up others");
  t.same((await agent.report(run, [taskState(run, "c-1", "Success", 2)])).granted, []);
  t.same((await agent.report(run, [taskState(run, "b-1", "Success", 2)])).granted, [both]);
  t.same(await holders(cloud), ["db", "net"]);
});

t.test(
  "a limit takes effect at once: 0 pauses, raising and deleting wake, and what runs already is counted",
  async (t) => {
    const cloud = await startTestCloud(t);
    const flow = await deployTagged(cloud, { "a-1": ["db"], "b-1": ["db"], "c-1": ["db"] });
    const agent = await TestAgent.register(cloud);
    const run = await begun(cloud, agent, flow.flowId);
    const idOf = (slug: string) => run.task_runs.find(({ task_slug }) => task_slug === slug)!.id;
    await agent.report(run, [taskState(run, "a-1", "Running", 1)]);
    const { id } = await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
    t.same(await holders(cloud), ["db"], "a-1 was there before the limit");
    t.same((await agent.report(run, [taskState(run, "b-1", "Running", 1)])).queued, [idOf("b-1")]);
    const events = await subscribe(cloud, agent.id);
    t.teardown(() => events.close());
    t.equal((await cloud.call("update_task_tag_limit", { tag: "db", limit: 2 })).id, id, "the same limit");
    t.same((await events.next()).granted, [idOf("b-1")]);
    await agent.report(run, [taskState(run, "b-1", "Running", 2)]);
    await cloud.call("update_task_tag_limit", { tag: "db", limit: 0 });
    t.same((await agent.report(run, [taskState(run, "a-1", "Success", 2)])).granted, [], "lowered: nobody is next");
    t.same((await agent.report(run, [taskState(run, "c-1", "Running", 1)])).queued, [idOf("c-1")]);
    t.strictSame(await cloud.call("delete_task_tag_limit", { limit_id: id }), { success: true, error: null });
    t.same((await events.next()).granted, [idOf("c-1")]);
    t.same((await agent.report(run, [taskState(run, "c-1", "Running", 2)])).queued, []);
    t.same(await holders(cloud), []);
    t.match(await cloud.call("delete_task_tag_limit", { limit_id: id }), {
      success: false,
      error: /There is no task tag limit/,
    });
    await t.rejects(cloud.call("update_task_tag_limit", { tag: "db", limit: -1 }), { code: "INPUT_INVALID" });
    await t.rejects(cloud.call("update_flow_concurrency_limit", { name: " ", limit: 1 }), { code: "INPUT_INVALID" });
  },
);

t.test("slots end with what held them: a lost lease, a retry, a pause, a flow run that ends", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const flow = await deployTagged(cloud, { "a-1": ["db"], "b-1": ["db"] });
  const agent = await TestAgent.register(cloud);
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
  const run = await begun(cloud, agent, flow.flowId);
  await agent.report(run, [taskState(run, "a-1", "Running", 1)]);
  await agent.report(run, [
    { ...taskState(run, "a-1", "Retrying", 2), state: { type: "Retrying", start_time: "2027-01-01T00:00:00Z" } },
  ]);
  t.same(await holders(cloud), []);
  await agent.report(run, [taskState(run, "b-1", "Running", 1)]);
  t.same(await holders(cloud), ["db"]);
  await letPass(cloud, clock, LEASE_MS + 1);
  t.same(await holders(cloud), [], "a lost lease gives them up");
  const again = await agent.claimOne();
  await agent.report(again, [flowState("Running"), taskState(again, "b-1", "Running", 2)]);
  t.same(await holders(cloud), ["db"]);
  await agent.report(again, [flowState("Failed")]);
  t.same(await holders(cloud), []);
});

t.test("flow runs without a slot of all their labels are not in the queue; others behind them are", async (t) => {
  const cloud = await startTestCloud(t);
  const limited = await deployTagged(cloud, {}, { name: "limited", labels: ["gpu", "host"] });
  const free = await deployTagged(cloud, {}, { name: "free", labels: ["host"] });
  const agent = await TestAgent.register(cloud, "agent", ["gpu", "host"]);
  await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 1 });
  for (let at = 0; at < 5; at += 1) await cloud.call("create_flow_run", { flow_id: limited.flowId });
  const behind = await cloud.call("create_flow_run", { flow_id: free.flowId });
  const { runs } = await agent.claim(10);
  t.equal(runs.length, 2);
  t.ok(runs.some((run) => run.flow_run_id === behind.id));
  t.same(await holders(cloud), ["gpu"]);
  const shown = await cloud.call("get_runs_in_queue", { labels: ["gpu", "host"] });
  t.same(shown.flow_run_ids, [], "nor are they shown to Prefect's agents");
  const events = await subscribe(cloud, agent.id);
  t.teardown(() => events.close());
  const held = runs.find((run) => run.flow_run_id !== behind.id)!;
  await agent.report(held, [flowState("Running"), flowState("Success")]);
  t.match(await events.next(), { run_due: true }, "a slot that comes free wakes agents");
  t.equal((await agent.claim(10)).runs.length, 1);
  await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 3 });
  t.match(await events.next(), { run_due: true });
  t.equal((await agent.claim(10)).runs.length, 2);
});

t.test(
  "Prefect's client is answered QUEUED for a task run, and asks again; its agent is refused a run without a slot",
  async (t) => {
    const cloud = await startTestCloud(t);
    const flow = await deployTagged(cloud, { "a-1": ["db"] }, { labels: ["gpu"], ours: false });
    await cloud.call("update_task_tag_limit", { tag: "db", limit: 0 });
    const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId });
    const set = (state: object) => cloud.call("set_flow_run_states", { states: [{ flow_run_id: id, state }] });
    await set({ type: "Submitted" });
    await set({ type: "Running" });
    const [task] = await cloud.rows<{ id: string }>("SELECT id FROM task_run WHERE flow_run_id = ?1 ORDER BY id", id);
    const running = () =>
      cloud.call("set_task_run_states", { states: [{ task_run_id: task!.id, state: { type: "Running" } }] });
    t.match(await running(), { states: [{ status: "QUEUED" }] });
    await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
    t.match(await running(), { states: [{ status: "SUCCESS" }] });
    t.same(await holders(cloud), ["db"]);
    await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 1 });
    t.same(await holders(cloud), ["db", "gpu"]);
    const next = await cloud.call("create_flow_run", { flow_id: flow.flowId });
    const submit = cloud.call("set_flow_run_states", {
      states: [{ flow_run_id: next.id, state: { type: "Submitted" } }],
    });
    await t.rejects(submit, { code: "STATE_REFUSED", message: /State update failed/ });
    const direct = cloud.call("set_flow_run_states", {
      states: [{ flow_run_id: next.id, state: { type: "Running" } }],
    });
    t.match(await direct, { states: [{ status: "QUEUED" }] });
    await set({ type: "Success" });
    t.same(await holders(cloud), []);
    const again = cloud.call("set_flow_run_states", { states: [{ flow_run_id: next.id, state: { type: "Running" } }] });
    t.match(await again, { states: [{ status: "SUCCESS" }] });
  },
);

t.test("a run given back because its tasks wait for a slot is due when there is one", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployTagged(cloud, { "a-1": ["db"] });
  const agent = await TestAgent.register(cloud);
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 0 });
  const run = await begun(cloud, agent, flow.flowId);
  await agent.report(run, [taskState(run, "a-1", "Running", 1)]);
  const { flow_run_id, fence } = run;
  await cloud.call("release_runs", { agent_id: agent.id, runs: [{ flow_run_id, fence, waits: true }] });
  t.same((await agent.claim()).runs, []);
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 1 });
  const back = await agent.claimOne();
  t.equal(back.flow_run_id, run.flow_run_id);
  t.same((await agent.report(back, [flowState("Running"), taskState(back, "a-1", "Running", 2)])).queued, []);
});

t.test("a claim that comes again under its id is answered with the same runs", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployTagged(cloud, {});
  const agent = await TestAgent.register(cloud);
  for (let at = 0; at < 3; at += 1) await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const claim_id = "0193a7c2-5b1e-7c11-a2f4-0c7d3d9e8b10";
  const claim = { agent_id: agent.id, labels: agent.labels, limit: 2, lease_ms: LEASE_MS, claim_id };
  const first = await cloud.call("claim_runs", claim);
  const again = await cloud.call("claim_runs", claim);
  t.equal(first.runs.length, 2);
  const idsAndFences = (runs: typeof first.runs) =>
    runs.map(({ flow_run_id, fence }) => `${flow_run_id} ${fence}`).sort();
  t.same(idsAndFences(again.runs), idsAndFences(first.runs));
  await agent.report(first.runs[0]!, [flowState("Running"), flowState("Success")]);
  t.same(
    idsAndFences((await cloud.call("claim_runs", claim)).runs),
    idsAndFences([first.runs[1]!]),
    "what is over is not answered",
  );
  const other = await TestAgent.register(cloud, "other");
  t.equal(
    (await cloud.call("claim_runs", { ...claim, agent_id: other.id })).runs.length,
    1,
    "an id is its agent's alone",
  );
});

t.test("states of a batch are known as they were when it is sent twice", async (t) => {
  const cloud = await startTestCloud(t);
  const flow = await deployTagged(cloud, { "a-1": ["db"] });
  const agent = await TestAgent.register(cloud);
  await cloud.call("update_task_tag_limit", { tag: "db", limit: 0 });
  const run = await begun(cloud, agent, flow.flowId);
  const first = await agent.report(run, [taskState(run, "a-1", "Running", 1)]);
  agent.batch -= 1;
  t.strictSame(await agent.report(run, [taskState(run, "a-1", "Running", 1)]), first);
  t.same(await taskStates(cloud, run.flow_run_id), ["a-1 Queued"]);
});
