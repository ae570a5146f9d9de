import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import { prefectState } from "../../helpers/prefect-client.js";
import { deployFlow, flowRunRow, flowState, TestAgent, taskRunStates, taskState } from "../../helpers/server.js";
import { bed, MINUTE, SECOND } from "./bed.js";

const SILENT = 10 * MINUTE;

/** A flow of Prefect's, one run of it under way in a Python process, and its agent. */
async function pythonBed(t: Parameters<typeof bed>[0], services: Parameters<typeof bed>[1] = {}) {
  const { cloud, clock, letPass } = await bed(t, services);
  const flow = await deployFlow(cloud, { tasks: ["a-1", "b-1"], ours: false });
  const { id: agentId } = await cloud.call("register_agent", { type: "LocalAgent", name: "snake", labels: ["host"] });
  const headers = { "X-PREFECT-AGENT-ID": agentId };
  const set = (flow_run_id: string, type: string) =>
    cloud.call("set_flow_run_states", { states: [{ flow_run_id, state: prefectState(type, type) }] }, headers);
  const setTask = async (flowRunId: string, slug: string, type: string) => {
    const [row] = await cloud.rows<{ id: string }>(
      "SELECT r.id FROM task_run r JOIN task t ON t.id = r.task_id WHERE r.flow_run_id = ?1 AND t.slug = ?2",
      flowRunId,
      slug,
    );
    await cloud.call("set_task_run_states", { states: [{ task_run_id: row!.id, state: prefectState(type, type) }] });
  };
  const beat = (flow_run_id: string) => cloud.call("update_flow_run_heartbeat", { flow_run_id });
  const start = async (upTo: "Submitted" | "Running" = "Running", flowId = flow.flowId) => {
    const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
    await set(id, "Submitted");
    if (upTo === "Running") await set(id, "Running");
    return id;
  };
  // The server must have run for as long as it waits.
  await letPass(SILENT + MINUTE);
  return { cloud, clock, letPass, flow, agentId, set, setTask, beat, start };
}

t.test("a Python run whose process died between tasks is Scheduled again after ten minutes, not before", async (t) => {
  const { cloud, letPass, agentId, start, setTask } = await pythonBed(t);
  const id = await start();
  await setTask(id, "a-1", "Running");
  await setTask(id, "a-1", "Success");
  const [{ heartbeat } = { heartbeat: "" }] = await cloud.rows<{ heartbeat: string }>("SELECT heartbeat FROM flow_run");
  await letPass(SILENT - SECOND);
  t.match(await flowRunRow(cloud, id), { state: "Running" });
  await letPass(MINUTE);
  const why = `no heartbeat of its process since ${heartbeat}; it was started by agent snake (${agentId}), which last asked for work at`;
  const row = await flowRunRow(cloud, id);
  t.match(row, { state: "Scheduled", times_resurrected: 1 });
  t.ok(String(row.state_message).startsWith(`Rescheduled: ${why}`), String(row.state_message));
  const lines = await cloud.rows("SELECT level, message FROM log WHERE name = 'millrace.lazarus'");
  t.match(lines, [{ level: "WARNING", message: /This is attempt 1\.$/ }]);
  t.equal(lines.length, 1);
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a run that beats is left alone, for as long as it does", async (t) => {
  const { cloud, letPass, start, setTask, beat } = await pythonBed(t);
  const id = await start();
  await setTask(id, "a-1", "Running");
  for (let minutes = 0; minutes < 30; minutes += 9) {
    await letPass(9 * MINUTE);
    await beat(id);
  }
  t.match(await flowRunRow(cloud, id), { state: "Running", times_resurrected: 0 });
  t.match(await taskRunStates(cloud, id), { "a-1": "Running" });
});

t.test("the task run that was Running fails with the cause; then the flow run goes on", async (t) => {
  const { cloud, letPass, start, setTask } = await pythonBed(t);
  const id = await start();
  await setTask(id, "a-1", "Running");
  await letPass(SILENT - SECOND);
  t.match(await taskRunStates(cloud, id), { "a-1": "Running" });
  await letPass(MINUTE);
  t.match(await taskRunStates(cloud, id), { "a-1": "Failed" });
  t.match(await cloud.rows("SELECT state_message FROM task_run WHERE state = 'Failed'"), [
    { state_message: /^No heartbeat detected from the remote task: no heartbeat of its process since .*agent snake/ },
  ]);
  t.match(await cloud.rows("SELECT level, task_run_id, message FROM log WHERE name = 'millrace.zombies'"), [
    { level: "ERROR", task_run_id: /./, message: /The task run is Failed\.$/ },
  ]);
  await letPass(MINUTE);
  t.match(await flowRunRow(cloud, id), { state: "Scheduled" });
});

t.test("a task with retries left is retried, each death counted, and the queue brings the run back", async (t) => {
  const { cloud, letPass, start, setTask, beat, set } = await pythonBed(t);
  await cloud.server.database.write((transaction) =>
    transaction.run("UPDATE task SET max_retries = 1, retry_delay = 120 WHERE slug = 'a-1'"),
  );
  const id = await start();
  await setTask(id, "a-1", "Running");
  await letPass(SILENT + MINUTE);
  const [row] = await cloud.rows<{ state_start_time: string; state_timestamp: string; serialized_state: string }>(
    "SELECT state_start_time, state_timestamp, serialized_state FROM task_run WHERE state = 'Retrying'",
  );
  t.equal(Date.parse(row!.state_start_time) - Date.parse(row!.state_timestamp), 120 * SECOND);
  t.match(JSON.parse(row!.serialized_state), { type: "Retrying", run_count: 1 });
  t.match(await flowRunRow(cloud, id), { state: "Running", times_resurrected: 0 }, "Lazarus leaves it to the queue");
  const queue = () => cloud.call("get_runs_in_queue", { labels: ["host"] });
  t.strictSame(await queue(), { flow_run_ids: [] });
  await letPass(2 * MINUTE);
  t.strictSame(await queue(), { flow_run_ids: [id] });
  await set(id, "Submitted");
  await set(id, "Running");
  await setTask(id, "a-1", "Running");
  await beat(id);
  await letPass(SILENT + MINUTE);
  t.match(await taskRunStates(cloud, id), { "a-1": "Failed" });
});

t.test("a group whose heartbeats are off is left alone, and one without Lazarus is not started again", async (t) => {
  const { cloud, letPass, flow, start, setTask } = await pythonBed(t);
  const id = await start();
  await setTask(id, "a-1", "Running");
  await cloud.call("disable_flow_heartbeat", { flow_id: flow.flowId });
  await letPass(3 * SILENT);
  t.match(await taskRunStates(cloud, id), { "a-1": "Running" });
  await cloud.call("enable_flow_heartbeat", { flow_id: flow.flowId });
  await cloud.call("disable_flow_lazarus_process", { flow_id: flow.flowId });
  await letPass(MINUTE);
  t.match(await taskRunStates(cloud, id), { "a-1": "Failed" });
  await letPass(2 * MINUTE);
  t.match(await flowRunRow(cloud, id), { state: "Failed", state_message: /Lazarus is off for its flow group\.$/ });
});

t.test("a slow start is left alone for ten minutes, and a run that began meanwhile is not started again", async (t) => {
  const { cloud, letPass, start, set } = await pythonBed(t);
  const [slow, dead] = [await start("Submitted"), await start("Submitted")];
  await letPass(SILENT - 2 * SECOND);
  await set(slow, "Running");
  await letPass(MINUTE + 2 * SECOND);
  t.match(await flowRunRow(cloud, slow), { state: "Running", times_resurrected: 0 });
  t.match(await flowRunRow(cloud, dead), { state: "Scheduled", times_resurrected: 1 });
});

t.test(
  "a process that is started for a task that is due again may be slow too: the run is not revived beside it",
  async (t) => {
    const { cloud, letPass, start, setTask, beat } = await pythonBed(t);
    const id = await start();
    await setTask(id, "a-1", "Running");
    await setTask(id, "a-1", "Retrying");
    await letPass(2 * SILENT);
    t.match(await flowRunRow(cloud, id), { state: "Running" }, "it waits for its retry, and nobody beats");
    await setTask(id, "a-1", "Submitted");
    await letPass(SILENT - SECOND);
    t.match(await flowRunRow(cloud, id), { state: "Running", times_resurrected: 0 });
    await beat(id);
    await setTask(id, "a-1", "Running");
    await letPass(SILENT - SECOND);
    t.match(await taskRunStates(cloud, id), { "a-1": "Running" });
  },
);

t.test("a run that is revived ten times in vain is Failed", async (t) => {
  const { cloud, letPass, start, set } = await pythonBed(t);
  const id = await start("Submitted");
  for (let times = 1; times <= 10; times++) {
    await letPass(SILENT + MINUTE);
    t.match(await flowRunRow(cloud, id), { state: "Scheduled", times_resurrected: times });
    await set(id, "Submitted");
  }
  await letPass(SILENT + MINUTE);
  t.match(await flowRunRow(cloud, id), {
    state: "Failed",
    state_message: /^Given up after it was rescheduled 10 times/,
  });
  t.match(await cloud.rows("SELECT message FROM log WHERE level = 'ERROR' AND name = 'millrace.lazarus'"), [
    { message: /^Given up/ },
  ]);
  const before = await flowRunRow(cloud, id);
  await letPass(2 * SILENT);
  t.strictSame(await flowRunRow(cloud, id), before, "a finished run is never touched");
});

t.test("a Python run that is cancelled is Cancelling until its process ends it", async (t) => {
  const { cloud, letPass, start, set, setTask, beat } = await pythonBed(t);
  const id = await start();
  await setTask(id, "a-1", "Running");
  t.strictSame(await cloud.call("cancel_flow_run", { flow_run_id: id }), { state: "Cancelling" });
  for (let minutes = 0; minutes < 20; minutes += 5) {
    await letPass(5 * MINUTE);
    await beat(id);
  }
  t.match(await flowRunRow(cloud, id), { state: "Cancelling" }, "its code may still be at work");
  await set(id, "Cancelled");
  t.match(await taskRunStates(cloud, id), { "a-1": "Cancelled", "b-1": "Cancelled" });
});

t.test(
  "a Python run whose process dies as it is cancelled is Cancelled with the reason, and its task runs",
  async (t) => {
    const { cloud, letPass, start, setTask } = await pythonBed(t);
    const id = await start();
    await setTask(id, "a-1", "Running");
    await cloud.call("cancel_flow_run", { flow_run_id: id });
    await letPass(SILENT - SECOND);
    t.match(await flowRunRow(cloud, id), { state: "Cancelling" });
    await letPass(MINUTE + SECOND);
    t.match(await flowRunRow(cloud, id), {
      state: "Cancelled",
      state_message: /^Flow run is cancelled: no heartbeat of its process since/,
    });
    t.strictSame(await taskRunStates(cloud, id), { "a-1": "Cancelled", "b-1": "Cancelled" });
    t.match(await cloud.rows("SELECT level FROM log WHERE name = 'millrace.zombies'"), [{ level: "ERROR" }]);
    t.strictSame(await brokenInvariants(cloud), []);
  },
);

t.test("a run that an agent holds is none of theirs, however old its heartbeat", async (t) => {
  const services = { heartbeats: { silentAfterMs: 2 * SECOND, everyMs: SECOND } };
  const { cloud, letPass } = await bed(t, services);
  const flow = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const run = await agent.claimOne();
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
  await letPass(20 * SECOND);
  t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Running", times_resurrected: 0 });
  t.match(await taskRunStates(cloud, run.flow_run_id), { "a-1": "Running" });
});

t.test("the time to wait is an option; a server that was away counts from when it is back", async (t) => {
  const services = { heartbeats: { silentAfterMs: MINUTE, everyMs: 10 * SECOND } };
  const { cloud, clock, letPass, start } = await pythonBed(t, services);
  const id = await start();
  clock.forward(5 * MINUTE);
  await letPass(MINUTE - SECOND);
  t.match(await flowRunRow(cloud, id), { state: "Running" }, "nobody could beat while the server was away");
  await letPass(20 * SECOND);
  t.match(await flowRunRow(cloud, id), { state: "Scheduled" });
});

t.test("a run that cannot be dealt with holds up no other, with a lease or without", async (t) => {
  const { cloud, letPass, start, flow } = await pythonBed(t);
  const broken = await start();
  await letPass(SECOND);
  const other = await deployFlow(cloud, { name: "other", ours: false });
  const id = await start("Running", other.flowId);
  await cloud.server.database.write((transaction) =>
    transaction.run("UPDATE flow_group SET settings = 'null' WHERE id = ?1", flow.flowGroupId),
  );
  await letPass(SILENT + 2 * MINUTE);
  t.match(await flowRunRow(cloud, broken), { state: "Running" });
  t.match(await flowRunRow(cloud, id), { state: "Scheduled", times_resurrected: 1 });
  t.match(
    cloud.log.filter(({ level }) => level === "error").map(({ message }) => message),
    [`Silent flow run ${broken} could not be dealt with (zombies).`],
  );
});

t.test("a lease whose run cannot be taken back keeps no other from ending", async (t) => {
  const { cloud, letPass } = await bed(t);
  const { flowId } = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  for (let count = 0; count < 3; count += 1) await cloud.call("create_flow_run", { flow_id: flowId });
  const { runs } = await agent.claim();
  const [broken, ...rest] = runs.map((run) => run.flow_run_id);
  await cloud.server.database.write((transaction) =>
    transaction.run("UPDATE flow_run SET labels = '{' WHERE id = ?1", broken!),
  );
  await letPass(MINUTE);
  for (const id of rest) t.match(await flowRunRow(cloud, id), { state: "Scheduled", times_resurrected: 1 });
  t.match(await flowRunRow(cloud, broken!), { state: "Submitted" });
  t.ok(cloud.log.some(({ message }) => message === `Flow run ${broken} could not be taken from its agent.`));
});
