import t from "tap";
import { newId } from "../../src/core/ids.js";
import { holdInvariants } from "../helpers/invariants.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  HandClock,
  refusalOf,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

const clock = new HandClock();
const cloud = await startTestCloud(t, { clock });
const flow = await deployFlow(cloud);
const agent = await TestAgent.register(cloud);
t.afterEach(() => holdInvariants(cloud));

const createRun = async () => (await cloud.call("create_flow_run", { flow_id: flow.flowId })).id;
const setFlow = (flow_run_id: string, state: unknown, headers?: Record<string, string>, version?: number) =>
  cloud.call("set_flow_run_states", { states: [{ flow_run_id, state, version }] }, headers);
const taskRunOf = async (flowRunId: string) =>
  (
    await cloud.rows<{ id: string }>(
      "SELECT r.id FROM task_run r JOIN task t ON t.id = r.task_id WHERE r.flow_run_id = ?1 AND t.slug = 'a-1'",
      flowRunId,
    )
  )[0]!.id;

t.test("Prefect's path: Submitted, Running, a task, Success, with no lease anywhere", async (t) => {
  const id = await createRun();
  const submitted = { type: "Submitted", message: "Submitted for execution", state: { type: "Scheduled" } };
  t.strictSame(await setFlow(id, submitted, { "x-prefect-agent-id": agent.id }, 1), {
    states: [{ id, status: "SUCCESS", message: null }],
  });
  t.match(await flowRunRow(cloud, id), {
    state: "Submitted",
    agent_id: agent.id,
    heartbeat: new Date(clock.now()).toISOString(),
  });
  await setFlow(id, { type: "Running" }, {}, 17);
  const task_run_id = await taskRunOf(id);
  const setTask = (state: unknown) =>
    cloud.call("set_task_run_states", { states: [{ task_run_id, state, version: 99 }] });
  t.strictSame(await setTask({ type: "Running" }), { states: [{ id: task_run_id, status: "SUCCESS", message: null }] });
  await setTask({ type: "Failed" }).then(() => t.pass("a version is not compared"));
  t.match(await refusalOf(setTask({ type: "Retrying" })), {
    code: "STATE_REFUSED",
    message: /a task run that is Failed stays so/,
  });
  await setFlow(id, { type: "Success" });
  t.match(await flowRunRow(cloud, id), { state: "Success", version: 4 });
  t.match(await refusalOf(setFlow(id, { type: "Running" })), {
    code: "STATE_REFUSED",
    message: /State update failed for flow run/,
  });
});

for (const [end, running, others] of [
  ["Success", "Cancelled", /ended in Success before/],
  ["TimedOut", "TimedOut", /Not reached/],
] as const) {
  t.test(`a flow run that is set ${end} leaves no task run open, and none of them moves any more`, async (t) => {
    await createRun();
    const run = await agent.claimOne();
    const retrying = taskState(run, "b-1", "Retrying", 2);
    retrying.state = { type: "Retrying", run_count: 1, start_time: "2026-11-23T12:00:00.000Z" };
    await agent.report(run, [
      flowState("Running"),
      taskState(run, "a-1", "Running", 1),
      taskState(run, "b-1", "Running", 1),
      retrying,
    ]);
    await setFlow(run.flow_run_id, { type: end, message: "by hand" });
    t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
      "a-1": running,
      "b-1": "Cancelled",
      "c-1": "Cancelled",
    });
    const rows = await cloud.rows<{ state_message: string; end_time: string }>(
      "SELECT state_message, end_time FROM task_run WHERE flow_run_id = ?1 AND state = 'Cancelled'",
      run.flow_run_id,
    );
    for (const row of rows) t.match(row, { state_message: others, end_time: String });
    const late = { code: "STATE_REFUSED", message: new RegExp(`has ended \\(it is ${end}\\)`) };
    t.match((await agent.report(run, [taskState(run, "a-1", "Success", 2)])).refused, [late]);
    const task_run_id = await taskRunOf(run.flow_run_id);
    const set = cloud.call("set_task_run_states", { states: [{ task_run_id, state: { type: "Success" } }] });
    t.match(await refusalOf(set), late);
  });
}

t.test("of two agents that submit the same run, the second is told in the words that it looks for", async (t) => {
  const id = await createRun();
  const submitted = { type: "Submitted", state: { type: "Scheduled" } };
  const answers = await Promise.allSettled([setFlow(id, submitted), setFlow(id, submitted)]);
  const refused = answers.filter((each) => each.status === "rejected");
  t.equal(refused.length, 1);
  t.match(refused[0]!.reason.message, "State update failed: this run has already been submitted.");
  clock.forward(30_000);
  await setFlow(id, submitted).then(() => t.pass("after half a minute the lock is gone"));
  await setFlow(id, { type: "Scheduled" });
  await agent.claim();
  clock.forward(60_000);
  t.match(await refusalOf(setFlow(id, submitted)), { message: /already been submitted/ }, "but never under a lease");
});

t.test("a task starts only while its flow run is Running", async (t) => {
  const id = await createRun();
  const state = { task_run_id: await taskRunOf(id), state: { type: "Running" } };
  const refused = await refusalOf(cloud.call("set_task_run_states", { states: [state] }));
  t.match(refused, {
    code: "STATE_REFUSED",
    message: /provided a running state but associated flow run .* is not in a running state/,
  });
});

t.test("Cancelled closes the unfinished task runs, as every end by hand takes the run from its agent", async (t) => {
  await createRun();
  const run = (await agent.claim()).runs.at(-1)!;
  await agent.report(run, [
    flowState("Running"),
    taskState(run, "a-1", "Running", 1),
    taskState(run, "a-1", "Success", 2),
    taskState(run, "b-1", "Running", 1),
  ]);
  await setFlow(run.flow_run_id, { type: "Cancelled", message: "by hand" });
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Success",
    "b-1": "Cancelled",
    "c-1": "Cancelled",
  });
  t.match(await flowRunRow(cloud, run.flow_run_id), { lease_agent_id: null });
  t.strictSame(await agent.renew([run]), { lost: [run.flow_run_id], cancelling: [], granted: [] });
});

t.test("of several states in one request all are written, or none", async (t) => {
  const [one, two] = [await createRun(), await createRun()];
  const states = [
    { flow_run_id: one, state: { type: "Running" } },
    { flow_run_id: two, state: { type: "Mapped" } },
  ];
  t.equal((await refusalOf(cloud.call("set_flow_run_states", { states }))).code, "STATE_REFUSED");
  t.match(await flowRunRow(cloud, one), { state: "Scheduled", version: 1 });
});

t.test("an unknown run, and what is no state, are refused", async (t) => {
  const id = newId();
  t.match(await refusalOf(setFlow(id, { type: "Running" })), {
    code: "FLOW_RUN_NOT_FOUND",
    message: new RegExp(`State update failed for flow run ID ${id}`),
  });
  const task = cloud.call("set_task_run_states", { states: [{ task_run_id: id, state: { type: "Running" } }] });
  t.match(await refusalOf(task), {
    code: "INPUT_INVALID",
    message: new RegExp(`State update failed for task run ID ${id}`),
  });
  t.equal((await refusalOf(setFlow(await createRun(), { type: "Sleeping" }))).code, "INPUT_INVALID");
});

t.test("a Scheduled state without a time is due at once", async (t) => {
  const id = await createRun();
  await setFlow(id, { type: "Scheduled", message: "again" });
  const row = await flowRunRow(cloud, id);
  const now = new Date(clock.now()).toISOString();
  t.equal(row.state_start_time, now);
  t.same(
    JSON.parse(String(row.serialized_state)),
    { type: "Scheduled", message: "again" },
    "the state stays as it came",
  );
});

t.test("log lines are kept for runs that are there, and others left out without a word", async (t) => {
  const id = await createRun();
  const logs = [
    { flow_run_id: id, message: "kept" },
    { flow_run_id: newId(), message: "of nobody" },
    { message: "no run" },
    { flow_run_id: id, level: "LOUD" },
  ];
  t.strictSame(await cloud.call("write_run_logs", { logs }), { success: true, error: null });
  t.match(await cloud.rows("SELECT message, level FROM log WHERE flow_run_id = ?1", id), [
    { message: "kept", level: "INFO" },
  ]);
  t.strictSame(await cloud.call("write_run_logs", { logs: [] }), { success: true, error: null });
});

t.test("a heartbeat is noted, and answered the same for a run that is not there", async (t) => {
  const id = await createRun();
  clock.forward(1_000);
  t.strictSame(await cloud.call("update_flow_run_heartbeat", { flow_run_id: id }), { success: true, error: null });
  t.match(await flowRunRow(cloud, id), { heartbeat: new Date(clock.now()).toISOString() });
  t.strictSame(await cloud.call("update_flow_run_heartbeat", { flow_run_id: newId() }), { success: true, error: null });
});
