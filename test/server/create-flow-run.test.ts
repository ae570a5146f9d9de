import t from "tap";
import { newId } from "../../src/core/ids.js";
import { deployFlow, flowRunRow, HandClock, refusalOf, startTestCloud } from "../helpers/server.js";

const clock = new HandClock();
const cloud = await startTestCloud(t, { clock });
const now = new Date(clock.now()).toISOString();

t.test("a run begins Scheduled, with a Pending task run for each task", async (t) => {
  const { flowId } = await deployFlow(cloud);
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
  const row = await flowRunRow(cloud, id);
  t.match(row, {
    flow_id: flowId,
    name: /^[a-z]+-[a-z]+$/,
    state: "Scheduled",
    state_message: "Flow run scheduled.",
    state_start_time: now,
    scheduled_start_time: now,
    version: 1,
    fence: 0,
    lease_agent_id: null,
    parameters: "{}",
    context: "{}",
    labels: '["host"]',
  });
  t.same(JSON.parse(String(row.serialized_state)), {
    type: "Scheduled",
    message: "Flow run scheduled.",
    start_time: now,
  });
  t.match(await cloud.rows("SELECT * FROM flow_run_state WHERE flow_run_id = ?1", id), [
    { version: 1, state: "Scheduled", start_time: now, timestamp: now },
  ]);
  const taskRuns = await cloud.rows(
    "SELECT version, state, state_message, map_index FROM task_run WHERE flow_run_id = ?1",
    id,
  );
  t.strictSame(
    taskRuns,
    Array(3).fill({ version: 1, state: "Pending", state_message: "Task run created", map_index: -1 }),
  );
  const states = await cloud.rows(
    "SELECT s.version, s.state FROM task_run_state s JOIN task_run r ON r.id = s.task_run_id WHERE r.flow_run_id = ?1",
    id,
  );
  t.strictSame(states, Array(3).fill({ version: 1, state: "Pending" }));
});

t.test("labels come from the first place that says any; an empty list says none", async (t) => {
  const flow = await deployFlow(cloud, { name: "labelled", labels: ["of-flow", "host"] });
  const labelsOf = async (input: { labels?: string[]; run_config?: unknown }) => {
    const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId, ...input });
    return JSON.parse(String((await flowRunRow(cloud, id)).labels));
  };
  const run_config = { type: "LocalRun", labels: ["of-config"] };
  t.strictSame(await labelsOf({ labels: ["b ", "a", "b"], run_config }), ["a", "b"]);
  t.strictSame(await labelsOf({ run_config }), ["of-config"]);
  t.strictSame(await labelsOf({ labels: [] }), []);
  t.strictSame(await labelsOf({}), ["host", "of-flow"]);
  const group = (column: string, value: string) =>
    cloud.server.database.write((transaction) =>
      transaction.run(`UPDATE flow_group SET ${column} = ?1 WHERE id = ?2`, value, flow.flowGroupId),
    );
  await group("run_config", '{"type":"LocalRun","labels":["of-group-config"]}');
  t.strictSame(await labelsOf({}), ["of-group-config"]);
  await group("labels", '["of-group"]');
  t.strictSame(await labelsOf({}), ["of-group"]);
});

t.test(
  "parameters are the flow's defaults, then the group's, then the given; a required one must come from somewhere",
  async (t) => {
    const flow = await deployFlow(cloud, {
      name: "with parameters",
      tasks: ["n", "city", "a-1"],
      parameters: [
        { name: "n", default: 0 },
        { name: "m", default: [1] },
        { name: "city", required: true },
      ],
      ours: false,
    });
    const run = async (parameters?: unknown) => {
      const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId, parameters });
      return JSON.parse(String((await flowRunRow(cloud, id)).parameters));
    };
    t.strictSame(await run({ city: "Bern" }), { m: [1], city: "Bern" }, "Prefect fills in what is falsy");
    t.strictSame(await run({ city: null, n: 5, extra: [1] }), { m: [1], n: 5, city: null, extra: [1] });
    t.match(await refusalOf(run()), {
      code: "PARAMETER_MISSING",
      message: "Required parameters were not supplied: {'city'}",
    });
    t.match(await refusalOf(run([1])), { code: "INPUT_INVALID", message: /`parameters` must be an object/ });
    await cloud.server.database.write((transaction) =>
      transaction.run(
        `UPDATE flow_group SET default_parameters = '{"city":"Ulm","n":7}' WHERE id = ?1`,
        flow.flowGroupId,
      ),
    );
    t.strictSame(await run({ n: 8 }), { m: [1], city: "Ulm", n: 8 });
  },
);

t.test("the same idempotency key answers the first run, also when both come at once", async (t) => {
  const flow = await deployFlow(cloud, { name: "once" });
  const ask = (idempotency_key: string) => cloud.call("create_flow_run", { flow_id: flow.flowId, idempotency_key });
  const answers = await Promise.all([ask("a"), ask("a"), ask("b"), ask("a")]);
  t.equal(new Set(answers.map((each) => each.id)).size, 2);
  t.equal((await cloud.rows("SELECT id FROM flow_run WHERE flow_id = ?1", flow.flowId)).length, 2);
});

t.test("a run may be asked for by the version group, and takes its newest version", async (t) => {
  const first = await deployFlow(cloud, { name: "versions" });
  const second = await deployFlow(cloud, { name: "versions" });
  const [group] = await cloud.rows<{ name: string }>("SELECT name FROM flow_group WHERE id = ?1", first.flowGroupId);
  const { id } = await cloud.call("create_flow_run", { version_group_id: group!.name });
  t.equal((await flowRunRow(cloud, id)).flow_id, second.flowId);
});

t.test("name, time, context and run config are kept as given", async (t) => {
  const { flowId } = await deployFlow(cloud, { name: "given" });
  const scheduled_start_time = "2030-01-01T00:00:00+01:00";
  const given = {
    flow_run_name: "my run",
    scheduled_start_time,
    context: { a: 1 },
    run_config: { type: "LocalRun", env: { A: "b" } },
  };
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId, ...given });
  t.match(await flowRunRow(cloud, id), {
    name: "my run",
    scheduled_start_time: "2029-12-31T23:00:00.000Z",
    state_start_time: "2029-12-31T23:00:00.000Z",
    context: '{"a":1}',
    run_config: '{"type":"LocalRun","env":{"A":"b"}}',
  });
});

t.test("a flow that is not there is FLOW_NOT_FOUND", async (t) => {
  const flow_id = newId();
  t.strictSame(await refusalOf(cloud.call("create_flow_run", { flow_id })), {
    code: "FLOW_NOT_FOUND",
    message: `Flow ${flow_id} not found.`,
  });
  const group = await refusalOf(cloud.call("create_flow_run", { version_group_id: "none" }));
  t.strictSame(group, { code: "FLOW_NOT_FOUND", message: "Version group none has no unarchived flows." });
  t.equal((await refusalOf(cloud.call("create_flow_run", {}))).code, "INPUT_INVALID");
});
