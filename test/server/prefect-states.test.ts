import t from "tap";
import { holdInvariants } from "../helpers/invariants.js";
import { PrefectClient, PrefectRun, type PrefectState, prefectState, success } from "../helpers/prefect-client.js";
import { deployFlow, flowRunRow, HandClock, refusalOf, startTestCloud } from "../helpers/server.js";

const clock = new HandClock();
const cloud = await startTestCloud(t, { clock });
const client = new PrefectClient(cloud);
const flow = await deployFlow(cloud, { ours: false });
t.afterEach(() => holdInvariants(cloud));

const createRun = async () => (await cloud.call("create_flow_run", { flow_id: flow.flowId })).id;
const begin = async () => PrefectRun.begin(client, await createRun());
const taskRow = async (id: string) => (await cloud.rows("SELECT * FROM task_run WHERE id = ?1", id))[0]!;
const versions = async (taskRunId: string) =>
  (
    await cloud.rows<{ state: string }>(
      "SELECT state FROM task_run_state WHERE task_run_id = ?1 ORDER BY version",
      taskRunId,
    )
  ).map((row) => row.state);
const setting = (settings: Record<string, unknown>) =>
  cloud.server.database.write((transaction) =>
    transaction.run("UPDATE flow_group SET settings = ?1 WHERE id = ?2", JSON.stringify(settings), flow.flowGroupId),
  );

t.test("a state comes back exactly as it was sent: nothing is filled in, nothing left out", async (t) => {
  const run = await begin();
  const info = await run.info("a-1");
  const sent: PrefectState[] = [
    { type: "Running" },
    { type: "Retrying", context: { tags: ["a"], task_run_count: 2 }, cached_inputs: {}, message: null },
    {
      message: "é \u{1F600}",
      type: "Success",
      _result: { location: null, type: "Result", x: [1, { y: null }] },
      more: 1,
    },
  ];
  for (const state of sent) {
    await client.setTaskRun(info.id, null, state);
    const [task] = (await client.runInfo(run.id)).task_runs.filter((each) => each.id === info.id);
    t.strictSame(task!.serialized_state, state);
    t.strictSame((await run.info("a-1")).serialized_state, state);
  }
  await client.setFlowRun(run.id, null, { type: "Failed" });
  t.strictSame((await client.runInfo(run.id)).serialized_state, { type: "Failed" });
});

t.test("times without a zone are UTC", async (t) => {
  const run = await begin();
  const info = await run.task("a-1", []);
  const start_time = "2026-11-23T12:53:48.586928";
  await client.setTaskRun(info.id, null, prefectState("Scheduled", "later", { start_time }));
  t.match(await taskRow(info.id), { state_start_time: "2026-11-23T12:53:48.586Z" });
  t.equal((await run.info("a-1")).serialized_state.start_time, start_time);
});

t.test("versions are ignored, until a flow group locks them: then only Running asks for the right one", async (t) => {
  const run = await begin();
  const [a, b] = [await run.info("a-1"), await run.info("b-1")];
  const running = prefectState("Running", "Starting task run.");
  t.match(await client.setTaskRun(a.id, 77, running), { id: a.id, status: "SUCCESS", message: null });

  await setting({ version_locking_enabled: true });
  t.teardown(() => setting({}));
  const locked = { code: "VERSION_LOCKING_ERROR", message: /follows version 0, and the run has version 1/ };
  t.match(await refusalOf(client.setTaskRun(b.id, 0, running)), locked);
  t.match(await client.setTaskRun(b.id, 1, running), { status: "SUCCESS" });
  t.match(await refusalOf(client.setTaskRun(b.id, 1, running)), { code: "VERSION_LOCKING_ERROR" }, "a second process");
  t.match(await client.setTaskRun(b.id, 1, success()), { status: "SUCCESS" }, "other states are let through");
  const other = await createRun();
  t.match(await refusalOf(client.setFlowRun(other, 0, running)), { code: "VERSION_LOCKING_ERROR" });
  t.match(await client.setFlowRun(other, null, running), { status: "SUCCESS" }, "no version asks for nothing");
  t.match(await client.setFlowRun(other, 1, prefectState("Failed", "No heartbeat")), { status: "SUCCESS" });
});

t.test("a lost lock is told with HTTP 200 and its code, where Prefect's client looks for it", async (t) => {
  const id = await createRun();
  await setting({ version_locking_enabled: true });
  t.teardown(() => setting({}));
  const states = [{ flow_run_id: id, version: 5, state: prefectState("Running", "Running flow.") }];
  const query = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }";
  const { status, body } = await cloud.post(
    JSON.stringify({ query, variables: JSON.stringify({ input: { states } }) }),
  );
  t.equal(status, 200);
  t.equal(body.errors?.[0]?.extensions.code, "VERSION_LOCKING_ERROR");
});

t.test("of two agents that submit a run one is refused, in the words that Prefect's agent looks for", async (t) => {
  const id = await createRun();
  const agents = [new PrefectClient(cloud), new PrefectClient(cloud)];
  for (const [index, agent] of agents.entries()) await agent.register(`agent ${index}`, ["host"]);
  const answers = await Promise.allSettled(agents.map((agent) => agent.submit(id)));
  t.strictSame(answers.map((each) => each.status).sort(), ["fulfilled", "rejected"]);
  const lost = answers.find((each) => each.status === "rejected")!;
  t.match(String(lost.reason), /State update failed: this run has already been submitted\./);
  const winner = agents[answers.findIndex((each) => each.status === "fulfilled")]!;
  t.match(await flowRunRow(cloud, id), { state: "Submitted", version: 2, agent_id: winner.agentId });
  clock.forward(30_000);
  t.match(await client.setFlowRun(id, 2, prefectState("Submitted", "again")), { status: "SUCCESS" }, "the lock ends");
});

t.test("of two agents that submit a task that is due again one is refused", async (t) => {
  const run = await begin();
  const start_time = new Date(clock.now() - 5_000).toISOString();
  const info = await run.task("a-1", [prefectState("Retrying", "again", { start_time, run_count: 1 })]);
  const submitted = prefectState("Submitted", "Submitted for execution");
  await client.setTaskRun(info.id, null, submitted);
  t.match(await refusalOf(client.setTaskRun(info.id, null, submitted)), { message: /already been submitted/ });
});

t.test("a task may be Running only while its flow run is", async (t) => {
  const id = await createRun();
  const { task_runs } = await client.runInfo(id);
  const message = `State update failed for task run ID ${task_runs[0]!.id}: provided a running state but associated flow run ${id} is not in a running state.`;
  const refusal = await refusalOf(
    client.setTaskRun(task_runs[0]!.id, 1, prefectState("Running", "Starting task run.")),
  );
  t.ok(refusal.message.startsWith(message), refusal.message);
  t.match(await client.setTaskRun(task_runs[0]!.id, null, prefectState("Failed", "by hand")), { status: "SUCCESS" });
});

t.test("inputs that a state kept are kept on, until one has its own", async (t) => {
  const run = await begin();
  const info = await run.task("a-1", []);
  const inputs = { x: { type: "PrefectResult", location: "1" } };
  await client.setTaskRun(info.id, null, prefectState("Retrying", "again", { cached_inputs: inputs }));
  const { cached_inputs, ...rest } = prefectState("Running", "Starting task run.");
  t.strictSame(cached_inputs, {});
  await client.setTaskRun(info.id, null, rest);
  t.strictSame((await run.info("a-1")).serialized_state, { ...rest, cached_inputs: inputs });
  const own = { x: { type: "PrefectResult", location: "2" } };
  await client.setTaskRun(info.id, null, prefectState("Retrying", "again", { cached_inputs: own }));
  await client.setTaskRun(info.id, null, success());
  t.strictSame((await run.info("a-1")).serialized_state.cached_inputs, own);
});

const ENDS = { Success: true, Failed: true, TimedOut: true, Cancelled: true, Looped: true };
const NO_ENDS = { Skipped: false, Mapped: false, TriggerFailed: false, ValidationFailed: false, Finished: false };
for (const [type, has] of Object.entries({ ...ENDS, ...NO_ENDS })) {
  t.test(`${type} ${has ? "is" : "is not"} the end of a task run's time`, async (t) => {
    const run = await begin();
    const start = new Date(clock.now()).toISOString();
    const info = await run.task("a-1", []);
    clock.forward(5_000);
    await client.setTaskRun(info.id, null, prefectState(type, "over"));
    const end = has ? new Date(clock.now()).toISOString() : null;
    t.match(await taskRow(info.id), { state: type, start_time: start, end_time: end });
  });
}

t.test("a cached result and a retry are written in two steps, a loop in rounds", async (t) => {
  const run = await begin();
  const cached = prefectState("Cached", "cached", { hashed_inputs: { x: "d41d" }, cached_result_expiration: null });
  const a = await run.task("a-1", [success(), cached]);
  t.strictSame(await versions(a.id), ["Pending", "Running", "Success", "Cached"]);
  const b = await run.task("b-1", [
    prefectState("TimedOut", "too long"),
    prefectState("Retrying", "again", { run_count: 1 }),
  ]);
  await run.task("b-1", [prefectState("Looped", "round 1", { loop_count: 1 })]);
  await run.task("b-1", [prefectState("Looped", "round 2", { loop_count: 2 })]);
  await run.task("b-1", [success()]);
  t.strictSame(
    await versions(b.id),
    "Pending Running TimedOut Retrying Running Looped Running Looped Running Success".split(" "),
  );
  t.match(await refusalOf(client.setTaskRun(a.id, null, prefectState("Retrying", "again"))), { code: "STATE_REFUSED" });
});

t.test("a state around another one is told as itself, and leaves the way open", async (t) => {
  const run = await begin();
  const info = await run.info("a-1");
  const inner = prefectState("Scheduled", "due", { start_time: new Date(clock.now()).toISOString() });
  const queued = prefectState("Queued", "no slot", {
    state: prefectState("Submitted", "s", { state: inner }),
    start_time: null,
  });
  for (const state of [
    prefectState("Submitted", "s", { state: inner }),
    queued,
    prefectState("ClientFailed", "c", { state: inner }),
  ]) {
    await client.setTaskRun(info.id, null, state);
    t.match(await taskRow(info.id), { state: state.type, end_time: null });
    t.strictSame((await run.info("a-1")).serialized_state, state);
  }
  await run.task("a-1", [success()]);
});

t.test("what a state says that came again changes nothing, and what came late is refused", async (t) => {
  const run = await begin();
  const info = await run.task("a-1", [success()]);
  const before = await versions(info.id);
  for (let n = 0; n < 6; n++) t.match(await client.setTaskRun(info.id, null, success()), { status: "SUCCESS" });
  t.strictSame(await versions(info.id), before);
  const late = prefectState("Running", "Starting task run.", { context: { tags: [] } });
  t.match(await refusalOf(client.setTaskRun(info.id, 1, late)), { message: /that is Success stays so/ });
  t.match(await refusalOf(client.setTaskRun(info.id, null, success("4"))), { message: /stays so/ }, "another result");
  await run.end("Success", "done");
  await run.end("Success", "done");
  t.match(await refusalOf(run.end("Failed", "late")), { message: /stays so/ });
  t.match(await flowRunRow(cloud, run.id), { state: "Success", version: 3 });
});
