import t from "tap";
import { newId } from "../../src/core/ids.js";
import {
  deployFlow,
  flowRunRow,
  HandClock,
  LEASE_MS,
  refusalOf,
  startTestCloud,
  TestAgent,
  type TestCloud,
} from "../helpers/server.js";

const at = (clock: HandClock, ms: number) => new Date(clock.now() + ms).toISOString();

async function createRuns(
  cloud: TestCloud,
  flowId: string,
  count: number,
  more: { labels?: string[]; scheduled_start_time?: string } = {},
): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index++)
    ids.push((await cloud.call("create_flow_run", { flow_id: flowId, ...more })).id);
  return ids;
}

t.test("a claim gives a due run with its lease, its fence and its task runs, and sets it Submitted", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { flowId } = await deployFlow(cloud, { parameters: [{ name: "n" }] });
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId, parameters: { n: 1 }, context: { c: 2 } });
  const agent = await TestAgent.register(cloud);
  const { runs, next_due_at } = await agent.claim();
  t.equal(next_due_at, null);
  t.equal(runs.length, 1);
  const [run] = runs;
  t.match(run, {
    flow_run_id: id,
    fence: 1,
    lease_expires_at: at(clock, LEASE_MS),
    flow_id: flowId,
    parameters: { n: 1 },
    context: { c: 2 },
    run_config: { labels: ["host"] },
    scheduled_start_time: at(clock, 0),
    times_resurrected: 0,
  });
  t.strictSame(run!.task_runs.map((each) => [each.task_slug, each.map_index, each.version]).sort(), [
    ["a-1", -1, 1],
    ["b-1", -1, 1],
    ["c-1", -1, 1],
  ]);
  t.match(run!.task_runs[0]!.serialized_state, { type: "Pending" });
  const row = await flowRunRow(cloud, id);
  t.match(row, {
    state: "Submitted",
    version: 2,
    agent_id: agent.id,
    lease_agent_id: agent.id,
    heartbeat: at(clock, 0),
  });
  t.match(JSON.parse(String(row.serialized_state)), { type: "Submitted", state: { type: "Scheduled" } });
  t.strictSame((await agent.claim()).runs, [], "it is given once");
});

t.test("200 runs claimed by four agents at once: each run goes to exactly one", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const created = await createRuns(cloud, flowId, 200);
  const agents = await Promise.all(["a", "b", "c", "d"].map((name) => TestAgent.register(cloud, name)));
  const claimed = new Map<string, string>();
  await Promise.all(
    agents.map(async (agent) => {
      for (;;) {
        const { runs } = await agent.claim(7);
        if (runs.length === 0) return;
        for (const run of runs) {
          t.notOk(claimed.has(run.flow_run_id), "never twice");
          t.equal(run.fence, 1);
          claimed.set(run.flow_run_id, agent.id);
        }
      }
    }),
  );
  t.strictSame([...claimed.keys()].sort(), created.sort());
  t.ok(new Set(claimed.values()).size > 1, "more than one agent had some");
  const rows = await cloud.rows<{ id: string; lease_agent_id: string }>("SELECT id, lease_agent_id FROM flow_run");
  for (const row of rows) t.equal(row.lease_agent_id, claimed.get(row.id));
});

t.test("an agent takes the runs whose labels it has all, and unlabelled runs go to unlabelled agents", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const [both] = await createRuns(cloud, flowId, 1, { labels: ["b", "a"] });
  const [one] = await createRuns(cloud, flowId, 1, { labels: ["a"] });
  const [none] = await createRuns(cloud, flowId, 1, { labels: [] });
  const seen = async (labels: string[]) => (await cloud.call("get_runs_in_queue", { labels })).flow_run_ids;
  t.strictSame(await seen(["a", "b", "c"]), [both, one]);
  t.strictSame(await seen(["a"]), [one]);
  t.strictSame(await seen(["c"]), []);
  t.strictSame(await seen([]), [none]);
  const agent = await TestAgent.register(cloud, "agent", ["a"]);
  t.strictSame(
    (await agent.claim()).runs.map((run) => run.flow_run_id),
    [one],
  );
  t.strictSame(
    (await agent.claim(5, { labels: [] })).runs.map((run) => run.flow_run_id),
    [none],
  );
});

t.test("runs for others do not stand in the way: filtering comes before the limit", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  await createRuns(cloud, flowId, 120, { labels: ["elsewhere"] });
  const [mine] = await createRuns(cloud, flowId, 1);
  t.strictSame((await cloud.call("get_runs_in_queue", { labels: ["host"] })).flow_run_ids, [mine]);
  t.equal((await cloud.call("get_runs_in_queue", { labels: ["elsewhere"] })).flow_run_ids.length, 25);
});

t.test("a claim can be for one flow group alone", async (t) => {
  const cloud = await startTestCloud(t);
  const [mine, other] = [await deployFlow(cloud), await deployFlow(cloud, { name: "other" })];
  await createRuns(cloud, other.flowId, 2);
  const [run] = await createRuns(cloud, mine.flowId, 1);
  const agent = await TestAgent.register(cloud);
  t.strictSame(
    (await agent.claim(10, { flow_group_id: mine.flowGroupId })).runs.map((each) => each.flow_run_id),
    [run],
  );
  t.strictSame(await agent.claim(10, { flow_group_id: mine.flowGroupId }), { runs: [], next_due_at: null });
  t.equal((await agent.claim(10)).runs.length, 2);
});

t.test(
  "the longest due run comes first, whatever its labels, and a run of the future not before its time",
  async (t) => {
    const clock = new HandClock();
    const cloud = await startTestCloud(t, { clock });
    const { flowId } = await deployFlow(cloud);
    const run = async (ms: number, labels: string[]) =>
      (await createRuns(cloud, flowId, 1, { scheduled_start_time: at(clock, ms), labels }))[0];
    const [later, old, oldest] = [await run(60_000, ["host"]), await run(-1_000, ["host"]), await run(-5_000, ["gpu"])];
    const agent = await TestAgent.register(cloud, "agent", ["gpu", "host"]);
    const first = await agent.claim(1);
    t.equal(first.runs[0]!.flow_run_id, oldest);
    t.equal(first.next_due_at, at(clock, -1_000), "more are due than were asked for");
    const second = await agent.claim(5);
    t.strictSame(
      second.runs.map((each) => each.flow_run_id),
      [old],
    );
    t.equal(second.next_due_at, at(clock, 60_000));
    t.strictSame(await agent.claim(0), { runs: [], next_due_at: at(clock, 60_000) });
    clock.forward(60_000);
    t.strictSame(
      (await agent.claim(5)).runs.map((each) => each.flow_run_id),
      [later],
    );
    const before = at(clock, 3_600_000);
    const [future] = await createRuns(cloud, flowId, 1, { scheduled_start_time: at(clock, 1_000_000) });
    t.strictSame((await cloud.call("get_runs_in_queue", { labels: ["host"], before })).flow_run_ids, [future]);
  },
);

t.test("a pause without an end is never due", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const [id] = await createRuns(cloud, flowId, 1);
  await cloud.call("set_flow_run_states", {
    states: [{ flow_run_id: id!, state: { type: "Paused", start_time: null } }],
  });
  const agent = await TestAgent.register(cloud);
  t.strictSame(await agent.claim(), { runs: [], next_due_at: null });
  await cloud.call("set_flow_run_states", { states: [{ flow_run_id: id!, state: { type: "Resume" } }] });
  t.equal((await agent.claim()).runs.length, 1);
});

t.test("a Running run that nobody holds is due when one of its task runs is", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { flowId, flowGroupId } = await deployFlow(cloud);
  const [id] = await createRuns(cloud, flowId, 1);
  await cloud.call("set_flow_run_states", { states: [{ flow_run_id: id!, state: { type: "Running" } }] });
  const [task] = await cloud.rows<{ id: string }>("SELECT id FROM task_run WHERE flow_run_id = ?1", id!);
  const state = { type: "Retrying", start_time: at(clock, 60_000), run_count: 2 };
  await cloud.call("set_task_run_states", { states: [{ task_run_id: task!.id, state }] });
  const agent = await TestAgent.register(cloud);
  t.strictSame((await agent.claim()).runs, []);
  clock.forward(60_000);
  t.strictSame((await cloud.call("get_runs_in_queue", { labels: ["host"] })).flow_run_ids, [id]);
  t.strictSame((await agent.claim(5, { flow_group_id: newId() })).runs, []);
  const { runs } = await agent.claim(5, { flow_group_id: flowGroupId });
  t.equal(runs.length, 1);
  t.match(
    runs[0]!.task_runs.find((each) => each.id === task!.id),
    { version: 2, serialized_state: state },
  );
  t.match(JSON.parse(String((await flowRunRow(cloud, id!)).serialized_state)), {
    type: "Submitted",
    state: { type: "Running" },
  });
  t.strictSame((await agent.claim()).runs, [], "now it is held");
});

t.test("a run that cannot be claimed is Failed and says why, and the claim goes on with those behind it", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const [first, second, good, better] = await createRuns(cloud, flowId, 4);
  // A state at the limit: with the next one around it, it is above.
  const state = { type: "Scheduled", start_time: "2020-01-01T00:00:00.000Z", message: "x".repeat(999_900) };
  for (const flow_run_id of [first!, second!]) {
    await cloud.call("set_flow_run_states", { states: [{ flow_run_id, state }] });
  }
  const agent = await TestAgent.register(cloud);
  t.strictSame(
    (await agent.claim(1)).runs.map((each) => each.flow_run_id),
    [good],
  );
  t.match(await agent.claim(5), { runs: [{ flow_run_id: better }], next_due_at: null });
  for (const id of [first!, second!]) {
    const row = await flowRunRow(cloud, id);
    t.match(row, {
      state: "Failed",
      state_message: /^No agent can take this run\. A state of \d+ characters is longer/,
    });
  }
});

t.test("a claim out of range, or by nobody, is INPUT_INVALID", async (t) => {
  const cloud = await startTestCloud(t);
  const agent = await TestAgent.register(cloud);
  const claim = { agent_id: agent.id, labels: [], limit: 1, lease_ms: 1_000 };
  for (const wrong of [
    { limit: -1 },
    { limit: 10_000 },
    { lease_ms: 0 },
    { lease_ms: 2 ** 31 - 1 },
    { agent_id: newId() },
  ]) {
    t.equal(
      (await refusalOf(cloud.call("claim_runs", { ...claim, ...wrong }))).code,
      "INPUT_INVALID",
      JSON.stringify(wrong),
    );
  }
});

t.test(
  "the same agent, registered again, keeps its id; another version, name, type or set of labels is another agent",
  async (t) => {
    const cloud = await startTestCloud(t);
    const input = { type: "LocalAgent", name: "a", labels: ["x", "y"] };
    const register = async (more: object = {}, version = "1.4.1") =>
      (await cloud.call("register_agent", { ...input, ...more }, { "x-prefect-core-version": version })).id;
    const id = await register();
    t.equal(await register({ labels: ["y", "x", "y"] }), id);
    const others = [
      await register({ name: "b" }),
      await register({ type: "DockerAgent" }),
      await register({ labels: ["x"] }),
      await register({}, "1.4.0"),
    ];
    t.equal(new Set([id, ...others]).size, 5);
    t.equal(
      (await cloud.call("register_agent", { type: "LocalAgent" })).id,
      (await cloud.call("register_agent", { type: "LocalAgent" })).id,
    );
  },
);
