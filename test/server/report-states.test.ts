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
  type TestCloud,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

const cloud = await startTestCloud(t);
const flow = await deployFlow(cloud);
const agent = await TestAgent.register(cloud);
t.afterEach(() => holdInvariants(cloud));

async function claimNew(by = agent, of: TestCloud = cloud) {
  await of.call("create_flow_run", { flow_id: flow.flowId });
  return by.claimOne();
}

t.test("a whole run in batches: history, copies and times are written, and the lease ends with the run", async (t) => {
  const run = await claimNew();
  const first = [flowState("Running"), taskState(run, "a-1", "Running", 1)];
  t.strictSame(await agent.report(run, first), { refused: [], cancelling: [], queued: [], granted: [] });
  const success = taskState(run, "a-1", "Success", 2);
  success.state = {
    type: "Success",
    message: "done",
    _result: { type: "PrefectResult", location: "42" },
    extra: { kept: true },
  };
  success.at = "2026-11-23T10:00:05.000Z";
  await agent.report(run, [success, taskState(run, "b-1", "Running", 1)]);
  await agent.report(run, [
    taskState(run, "b-1", "Failed", 2),
    taskState(run, "c-1", "TriggerFailed", 1),
    flowState("Failed", "no luck"),
  ]);
  t.match(await flowRunRow(cloud, run.flow_run_id), {
    state: "Failed",
    state_message: "no luck",
    version: 4,
    start_time: "2026-11-23T10:00:01.000Z",
    end_time: "2026-11-23T10:00:01.000Z",
    lease_agent_id: null,
    lease_expires_at: null,
    agent_id: agent.id,
    fence: 1,
  });
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Success",
    "b-1": "Failed",
    "c-1": "TriggerFailed",
  });
  const id = run.task_runs.find((each) => each.task_slug === "a-1")!.id;
  const [row] = await cloud.rows("SELECT * FROM task_run WHERE id = ?1", id);
  t.match(row, {
    version: 3,
    start_time: "2026-11-23T10:00:01.000Z",
    end_time: "2026-11-23T10:00:05.000Z",
    state_timestamp: "2026-11-23T10:00:05.000Z",
    state_result: '{"location":"42","type":"PrefectResult"}',
    serialized_state: JSON.stringify(success.state),
  });
  const history = await cloud.rows(
    "SELECT version, state, timestamp FROM task_run_state WHERE task_run_id = ?1 ORDER BY version",
    id,
  );
  t.match(history, [
    { version: 1, state: "Pending" },
    { version: 2, state: "Running", timestamp: "2026-11-23T10:00:01.000Z" },
    { version: 3, state: "Success", timestamp: "2026-11-23T10:00:05.000Z" },
  ]);
  const [trigger] = await cloud.rows("SELECT end_time FROM task_run WHERE state = 'TriggerFailed'");
  t.strictSame(trigger, { end_time: null }, "a task that never ran has no end, as in the protocol");
});

t.test("children of a mapped task are made when the Cloud first hears of them", async (t) => {
  const run = await claimNew();
  const child = (map_index: number, type: string, version: number, task_run_id: string) => ({
    ...taskState(run, "b-1", type, version),
    task_run_id,
    map_index,
  });
  const ids = [newId(), newId(), newId()];
  await agent.report(run, [flowState("Running"), taskState(run, "b-1", "Mapped", 1)]);
  const starts = ids.map((id, index) => child(index, "Running", 0, id));
  const ends = ids.map((id, index) => child(index, "Success", 1, id));
  t.strictSame(await agent.report(run, [starts[0]!, ends[0]!, starts[1]!, starts[2]!]), {
    refused: [],
    cancelling: [],
    queued: [],
    granted: [],
  });
  t.strictSame(await agent.report(run, [ends[2]!, ends[1]!]), { refused: [], cancelling: [], queued: [], granted: [] });
  t.match(await taskRunStates(cloud, run.flow_run_id), {
    "b-1": "Mapped",
    "b-1[0]": "Success",
    "b-1[1]": "Success",
    "b-1[2]": "Success",
  });
  const rows = await cloud.rows(
    "SELECT id, version, map_index FROM task_run WHERE flow_run_id = ?1 AND map_index >= 0 ORDER BY map_index",
    run.flow_run_id,
  );
  t.strictSame(
    rows,
    ids.map((id, map_index) => ({ id, version: 2, map_index })),
  );

  const place = await agent.report(run, [child(1, "Running", 0, newId())]);
  t.match(place.refused, [
    { code: "STATE_REFUSED", message: new RegExp(`child 1 of task "b-1" is task run ${ids[1]}`) },
  ]);
  const slug = await agent.report(run, [{ ...child(7, "Running", 0, newId()), task_slug: "z-1" }]);
  t.match(slug.refused, [{ code: "STATE_REFUSED", message: /its flow has no task "z-1"/ }]);
  const unmapped = await agent.report(run, [child(-1, "Running", 0, newId())]);
  t.match(unmapped.refused, [{ code: "STATE_REFUSED", message: /only children of a mapped task may be new/ }]);
  const twice = await agent.report(run, [child(8, "Running", 0, newId()), child(8, "Running", 0, newId())]);
  t.match(twice.refused, [{ code: "STATE_REFUSED", message: /child 8 of task "b-1" is task run/ }]);
});

t.test("a child whose first state is refused leaves nothing behind, and may come again", async (t) => {
  const run = await claimNew();
  const child = { ...taskState(run, "b-1", "Running", 0), task_run_id: newId(), map_index: 0 };
  t.match((await agent.report(run, [child])).refused, [{ code: "STATE_REFUSED", message: /not in a running state/ }]);
  t.strictSame(await cloud.rows("SELECT id FROM task_run WHERE id = ?1", child.task_run_id), []);
  t.strictSame((await agent.report(run, [flowState("Running"), child])).refused, []);
  t.match(await taskRunStates(cloud, run.flow_run_id), { "b-1[0]": "Running" });
});

t.test("a refused state ends its run's part of the batch, and no other run's", async (t) => {
  const [one, two] = [await claimNew(), await claimNew()];
  agent.batch += 1;
  const { refused } = await cloud.call("report_states", {
    agent_id: agent.id,
    stream_id: agent.streamId,
    batch: agent.batch,
    runs: [
      {
        flow_run_id: one.flow_run_id,
        fence: 1,
        states: [flowState("Running"), taskState(one, "a-1", "Running", 7), taskState(one, "b-1", "Running", 1)],
      },
      { flow_run_id: two.flow_run_id, fence: 1, states: [flowState("Running"), taskState(two, "a-1", "Running", 1)] },
      { flow_run_id: one.flow_run_id, fence: 1, states: [taskState(one, "c-1", "Running", 1)] },
    ],
  });
  t.match(refused, [
    { flow_run_id: one.flow_run_id, code: "STATE_REFUSED", message: /follows version 7, and the run has version 1/ },
  ]);
  t.equal(refused.length, 1);
  t.match(await flowRunRow(cloud, one.flow_run_id), { state: "Running" }, "what came before it is kept");
  t.match(await taskRunStates(cloud, one.flow_run_id), { "a-1": "Pending", "b-1": "Pending", "c-1": "Pending" });
  t.match(await taskRunStates(cloud, two.flow_run_id), { "a-1": "Running" });
});

t.test(
  "what may not follow is refused: by move, by version, by the flow run's state, by what is no state",
  async (t) => {
    const run = await claimNew();
    const refused = async (...states: Parameters<TestAgent["report"]>[1]) =>
      (await agent.report(run, states)).refused[0];
    t.match(await refused(taskState(run, "a-1", "Running", 1)), {
      code: "STATE_REFUSED",
      message: /State update failed .* not in a running state\. Now it is Submitted/,
    });
    t.match(await refused({ ...flowState("Running"), version: 9 }), {
      code: "STATE_REFUSED",
      message: /follows version 9/,
    });
    t.match(await refused(flowState("Skipped")), { code: "STATE_REFUSED", message: /never Skipped/ });
    t.match(await refused(flowState("Ran")), { code: "INPUT_INVALID", message: /`type` is the name of a state/ });
    t.match(await refused({ ...flowState("Running"), state: ["Running"] }), { code: "INPUT_INVALID" });
    t.match(await refused(flowState("Running", "x".repeat(1_000_001))), {
      code: "STATE_REFUSED",
      message: /longer than 1000000/,
    });
    const other = await claimNew();
    t.match(await refused(flowState("Running"), taskState(other, "a-1", "Skipped", 1)), {
      code: "STATE_REFUSED",
      message: /belongs to flow run/,
    });
    t.notOk(await refused(taskState(run, "a-1", "Running", 1), taskState(run, "a-1", "Success", 2)));
    t.match(await refused(taskState(run, "a-1", "Running", 3)), {
      code: "STATE_REFUSED",
      message: /a task run that is Success stays so/,
    });
    t.notOk(await refused(flowState("Success")));
    t.match(await refused(flowState("Running")), {
      code: "STATE_REFUSED",
      message: /a flow run that is Success stays so/,
    });
    t.match(await refused(taskState(run, "b-1", "Running", 1)), { code: "STATE_REFUSED", message: /it is Success/ });
  },
);

t.test("only the run's holder may report, under the newest fence", async (t) => {
  const run = await claimNew();
  const other = await TestAgent.register(cloud, "other");
  t.match((await other.report(run, [flowState("Running")])).refused, [
    { code: "RUN_LEASE_LOST", message: new RegExp(`agent ${agent.id} holds it`) },
  ]);
  t.match((await agent.report({ ...run, fence: 2 }, [flowState("Running")])).refused, [{ code: "RUN_LEASE_LOST" }]);
  await cloud.call("release_runs", { agent_id: agent.id, runs: [{ flow_run_id: run.flow_run_id, fence: 1 }] });
  t.match((await agent.report(run, [flowState("Running")])).refused, [
    { code: "RUN_LEASE_LOST", message: /nobody holds it/ },
  ]);
  const again = await other.claimOne();
  t.match(again, { flow_run_id: run.flow_run_id, fence: 2 });
  t.match((await agent.report(run, [flowState("Running")])).refused, [
    { code: "RUN_LEASE_LOST", message: /under fence 1, and the run is at fence 2/ },
  ]);
  t.strictSame((await other.report(again, [flowState("Running"), flowState("Success")])).refused, []);
  t.match((await agent.report({ ...run, fence: 2 }, [flowState("Failed")])).refused, [{ code: "RUN_LEASE_LOST" }]);
  const nowhere = { flow_run_id: newId(), fence: 1 };
  t.match((await agent.report(nowhere, [flowState("Running")])).refused, [{ code: "FLOW_RUN_NOT_FOUND" }]);
});

t.test(
  "a report that gives its run back says nothing more of it: whoever has lost it cannot set it Running",
  async (t) => {
    const run = await claimNew();
    const { refused } = await agent.report(run, [flowState("Running"), flowState("Scheduled"), flowState("Running")]);
    t.match(refused, [{ code: "RUN_LEASE_LOST", message: /nobody holds it/ }]);
    t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Scheduled", lease_agent_id: null });
    t.match(await agent.claimOne(), { flow_run_id: run.flow_run_id, fence: 2 });
  },
);

t.test(
  "a batch that comes twice is answered as before and changes nothing; one that comes late is refused",
  async (t) => {
    const run = await claimNew();
    const states = [flowState("Running"), taskState(run, "a-1", "Running", 1), taskState(run, "b-1", "Running", 5)];
    const send = (batch: number, sent = states) =>
      cloud.call("report_states", {
        agent_id: agent.id,
        stream_id: stream,
        batch,
        runs: [{ flow_run_id: run.flow_run_id, fence: 1, states: sent, logs: [{ message: "once" }] }],
      });
    const stream = newId();
    const first = await send(1);
    t.equal(first.refused.length, 1);
    const before = await cloud.rows("SELECT * FROM task_run WHERE flow_run_id = ?1", run.flow_run_id);
    t.strictSame(await Promise.all([send(1), send(1)]), [first, first]);
    t.strictSame(await send(1, []), first, "whatever it holds now");
    t.strictSame(await cloud.rows("SELECT * FROM task_run WHERE flow_run_id = ?1", run.flow_run_id), before);
    t.equal((await cloud.rows("SELECT id FROM log WHERE flow_run_id = ?1", run.flow_run_id)).length, 1);
    t.strictSame((await send(2, [taskState(run, "a-1", "Success", 2)])).refused, []);
    t.match(await refusalOf(send(1)), { code: "INPUT_INVALID", message: /Batch 1 .* came after batch 2/ });
    t.strictSame((await send(9, [taskState(run, "b-1", "Running", 1)])).refused, [], "a number may be left out");
  },
);

t.test("each round of a loop ends the task run for the time being, as in Prefect", async (t) => {
  const run = await claimNew();
  const states = [flowState("Running"), taskState(run, "a-1", "Running", 1), taskState(run, "a-1", "Looped", 2)];
  t.strictSame((await agent.report(run, states)).refused, []);
  const endedAt = async () =>
    (
      await cloud.rows(
        "SELECT end_time FROM task_run WHERE id = ?1",
        run.task_runs.find((each) => each.task_slug === "a-1")!.id,
      )
    )[0]?.end_time;
  t.equal(await endedAt(), states[2]!.at);
  const last = { ...taskState(run, "a-1", "Success", 4), at: "2026-11-23T11:00:00.000Z" };
  t.strictSame((await agent.report(run, [taskState(run, "a-1", "Running", 3), last])).refused, []);
  t.equal(await endedAt(), last.at);
});

t.test("lines of the log go with the states, with the protocol's defaults", async (t) => {
  const run = await claimNew();
  const logs = [
    { message: "plain" },
    {
      message: "told",
      level: "ERROR",
      name: "millrace.a",
      timestamp: "2026-11-23T09:00:00Z",
      task_run_id: run.task_runs[0]!.id,
      info: { a: 1 },
    },
    { message: "odd level", level: "LOUD" },
  ];
  agent.batch += 1;
  const runs = [{ flow_run_id: run.flow_run_id, fence: 1, states: [], logs }];
  await cloud.call("report_states", { agent_id: agent.id, stream_id: agent.streamId, batch: agent.batch, runs });
  const rows = await cloud.rows(
    "SELECT message, level, name, task_run_id, info FROM log WHERE flow_run_id = ?1 ORDER BY id",
    run.flow_run_id,
  );
  t.strictSame(rows, [
    { message: "plain", level: "INFO", name: null, task_run_id: null, info: null },
    { message: "told", level: "ERROR", name: "millrace.a", task_run_id: run.task_runs[0]!.id, info: '{"a":1}' },
  ]);
});

t.test("a run that failed leaves no task Running behind", async (t) => {
  const run = await claimNew();
  await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1)]);
  await agent.flowState(run, "Failed", "its thread died");
  t.strictSame(await taskRunStates(cloud, run.flow_run_id), {
    "a-1": "Failed",
    "b-1": "Cancelled",
    "c-1": "Cancelled",
  });
  const [row] = await cloud.rows(
    "SELECT state_message FROM task_run WHERE flow_run_id = ?1 AND state = 'Failed'",
    run.flow_run_id,
  );
  t.strictSame(row, { state_message: "its thread died" });
});
