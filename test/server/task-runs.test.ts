import t from "tap";
import { newId } from "../../src/core/ids.js";
import { holdInvariants } from "../helpers/invariants.js";
import { PrefectClient, PrefectRun, type RunInfo, type TaskInfo } from "../helpers/prefect-client.js";
import { deployFlow, refusalOf, startTestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t);
const client = new PrefectClient(cloud);
const flow = await deployFlow(cloud, { ours: false });
t.afterEach(() => holdInvariants(cloud));

const createRun = async () => (await cloud.call("create_flow_run", { flow_id: flow.flowId })).id;
const begin = async () => {
  const id = await createRun();
  const { task_runs } = await client.runInfo(id);
  const run = await PrefectRun.begin(client, id);
  const task = (slug: string) => (task_runs as RunInfo["task_runs"]).find((each) => each.task.slug === slug)!;
  return { id, run, task };
};

t.test("the task run that is there already is answered, with its version and its state as it came", async (t) => {
  const { id, task } = await begin();
  const a = task("a-1");
  t.strictSame(await client.taskInfo(id, a.task.id), {
    id: a.id,
    version: 1,
    serialized_state: { type: "Pending", message: "Task run created" },
  });
  const input = { flow_run_id: id, task_id: a.task.id };
  t.strictSame(await client.mutate("get_or_create_task_run", input, "{ id }"), { id: a.id }, "no index is -1");
});

t.test("a mapped child is made at its place, Pending and of version 1, once for all who ask at once", async (t) => {
  const { id, task } = await begin();
  const ask = (index: number) => client.taskInfo(id, task("b-1").task.id, index);
  const infos = await Promise.all(Array.from({ length: 24 }, (_, n) => ask(n % 3)));
  t.equal(new Set(infos.map((info) => info.id)).size, 3);
  for (const info of infos) t.match(info, { version: 1, serialized_state: { type: "Pending" } });
  const rows = await cloud.rows(
    "SELECT map_index, version, state FROM task_run WHERE flow_run_id = ?1 AND map_index >= 0 ORDER BY map_index",
    id,
  );
  t.strictSame(
    rows,
    [0, 1, 2].map((map_index) => ({ map_index, version: 1, state: "Pending" })),
  );
  const byQuery = await client.query<TaskInfo>(
    "get_task_run_info",
    `get_task_run_info(task_run_id: "${infos[0]!.id}") { serialized_state version }`,
  );
  t.strictSame(byQuery, { serialized_state: { type: "Pending", message: "Task run created" }, version: 1 });
});

t.test("no task run is made for what is not there, or is over", async (t) => {
  const { id, task, run } = await begin();
  const other = await deployFlow(cloud, { name: "other", ours: false });
  const [foreign] = await cloud.rows<{ id: string }>("SELECT id FROM task WHERE flow_id = ?1", other.flowId);
  const taskId = task("b-1").task.id;
  t.match(await refusalOf(client.taskInfo(id, newId(), 0)), { code: "INPUT_INVALID", message: "Invalid task ID" });
  t.match(await refusalOf(client.taskInfo(id, foreign!.id)), { message: "Invalid task ID" });
  t.match(await refusalOf(client.taskInfo(newId(), taskId)), { code: "FLOW_RUN_NOT_FOUND" });
  t.match(await refusalOf(client.taskInfo(id, taskId, -2)), { message: /`map_index` must be -1 or more, and is -2/ });
  await t.rejects(client.taskInfo(id, ""), { message: /is not a UUID/ });
  t.match(await refusalOf(client.query("get_task_run_info", `get_task_run_info(task_run_id: "${newId()}") { id }`)), {
    message: /There is no task run/,
  });
  await run.end("Success", "All reference tasks succeeded.");
  t.match(await refusalOf(client.taskInfo(id, taskId, 0)), {
    code: "STATE_REFUSED",
    message: /gets no new task runs: it has ended \(it is Success\)/,
  });
  t.match((await client.taskInfo(id, taskId)).serialized_state, { type: "Cancelled" }, "those that are there are told");
});

t.test("runs and task runs are renamed; an empty name is none", async (t) => {
  const { id, task } = await begin();
  const taskRunId = task("a-1").id;
  const done = { success: true };
  t.strictSame(await client.mutate("set_flow_run_name", { flow_run_id: id, name: "nightly" }, "{ success }"), done);
  t.strictSame(
    await client.mutate("set_task_run_name", { task_run_id: taskRunId, name: "a of 3" }, "{ success }"),
    done,
  );
  t.match(await cloud.rows("SELECT name FROM flow_run WHERE id = ?1", id), [{ name: "nightly" }]);
  t.match(await cloud.rows("SELECT name FROM task_run WHERE id = ?1", taskRunId), [{ name: "a of 3" }]);
  for (const call of [
    cloud.call("set_flow_run_name", { flow_run_id: id, name: " " }),
    cloud.call("set_task_run_name", { task_run_id: taskRunId, name: "" }),
  ]) {
    t.match(await refusalOf(call), { code: "INPUT_INVALID", message: /`name` has 1 to 255 characters, and is empty/ });
  }
  t.match(await refusalOf(cloud.call("set_flow_run_name", { flow_run_id: newId(), name: "x" })), {
    code: "FLOW_RUN_NOT_FOUND",
  });
  t.match(await refusalOf(cloud.call("set_task_run_name", { task_run_id: newId(), name: "x" })), {
    code: "INPUT_INVALID",
  });
});

t.test("a run with other labels is for other agents", async (t) => {
  const id = await createRun();
  t.ok((await client.queue(["host"])).includes(id));
  await cloud.call("set_flow_run_labels", { flow_run_id: id, labels: ["gpu", "a", "gpu "] });
  t.notOk((await client.queue(["host"])).includes(id));
  t.strictSame(await client.queue(["a", "gpu"]), [id]);
  t.match(await cloud.rows("SELECT labels FROM flow_run WHERE id = ?1", id), [{ labels: '["a","gpu"]' }]);
  t.match(await refusalOf(cloud.call("set_flow_run_labels", { flow_run_id: newId(), labels: [] })), {
    code: "FLOW_RUN_NOT_FOUND",
  });
  const { id: begun } = await begin();
  t.match(await refusalOf(cloud.call("set_flow_run_labels", { flow_run_id: begun, labels: ["gpu"] })), {
    code: "INPUT_INVALID",
    message: /is Running, and keeps its labels/,
  });
});

t.test("a run is deleted with all that is its own; to delete it again is no error", async (t) => {
  const { id, run } = await begin();
  await run.task("a-1", []);
  await client.mutate("write_run_logs", { logs: { flow_run_id: id, message: "one" } }, "{ success }");
  t.strictSame(await cloud.call("delete_flow_run", { flow_run_id: id }), { success: true, error: null });
  t.match(await cloud.call("delete_flow_run", { flow_run_id: id }), { success: false, error: /not found/ });
  for (const table of ["task_run", "flow_run_state", "log"]) {
    t.strictSame(await cloud.rows(`SELECT 1 FROM ${table} WHERE flow_run_id = ?1`, id), [], table);
  }
  t.strictSame(await cloud.rows("SELECT 1 FROM task_run_state WHERE task_run_id NOT IN (SELECT id FROM task_run)"), []);
});

t.test("heartbeats are noted, and answered the same for what is not there", async (t) => {
  const { id, task } = await begin();
  t.strictSame(await client.heartbeat(newId()), { success: true });
  const beat = (task_run_id: string) => cloud.call("update_task_run_heartbeat", { task_run_id });
  t.match(await beat(newId()), { success: true });
  t.match(await beat(task("a-1").id), { success: true });
  t.match(await cloud.rows("SELECT heartbeat FROM task_run WHERE id = ?1", task("a-1").id), [{ heartbeat: /^20/ }]);
  t.match(await cloud.rows("SELECT heartbeat FROM flow_run WHERE id = ?1", id), [{ heartbeat: /^20/ }]);
});

t.test("log lines: one that is no list, without a time, of a level or a run that is none", async (t) => {
  const id = await createRun();
  const write = (logs: unknown) => client.mutate<{ success: boolean }>("write_run_logs", { logs }, "{ success }");
  const line = { flow_run_id: id, name: "execute flow-run", level: "ERROR", message: "Failed to load" };
  t.strictSame(await write(line), { success: true }, "one object in place of a list");
  const naive = { ...line, level: "INFO", message: "naive", timestamp: "2026-11-23T10:53:48.586928" };
  t.strictSame(await write([naive, { ...line, level: "TRACE" }, { ...line, flow_run_id: newId() }]), { success: true });
  t.match(await cloud.rows("SELECT level, message, timestamp FROM log WHERE flow_run_id = ?1 ORDER BY id", id), [
    { level: "ERROR", message: "Failed to load", timestamp: /Z$/ },
    { level: "INFO", message: "naive", timestamp: "2026-11-23T10:53:48.586Z" },
  ]);
});

t.test("an agent is known again by name, type, version and labels, and deleted when it holds nothing", async (t) => {
  const ask = (name: string, labels: string[], version = "1.4.1") =>
    cloud.call("register_agent", { type: "LocalAgent", name, labels }, { "x-prefect-core-version": version });
  const { id } = await ask("one", ["b", "a"]);
  t.equal((await ask("one", ["a", "b"])).id, id);
  const others = [await ask("two", ["a", "b"]), await ask("one", ["a"]), await ask("one", ["a", "b"], "1.4.0")];
  t.equal(new Set([id, ...others.map((each) => each.id)]).size, 4);
  t.strictSame(await cloud.call("delete_agent", { agent_id: id }), { success: true, error: null });
  t.match(await cloud.call("delete_agent", { agent_id: id }), { success: false, error: /not found/ });

  const ours = await deployFlow(cloud, { name: "ours", labels: ["of-one"] });
  await cloud.call("create_flow_run", { flow_id: ours.flowId });
  const holder = await ask("holder", ["of-one"]);
  const claim = { agent_id: holder.id, labels: ["of-one"], limit: 1, lease_ms: 30_000 };
  t.equal((await cloud.call("claim_runs", claim)).runs.length, 1);
  t.match(await refusalOf(cloud.call("delete_agent", { agent_id: holder.id })), {
    code: "INPUT_INVALID",
    message: /cannot be deleted: it holds 1 flow runs/,
  });
});

t.test("an agent that is deleted while it claims has no run then, or is not deleted", async (t) => {
  const { flowId } = await deployFlow(cloud, { name: "raced", labels: ["raced"] });
  for (let round = 0; round < 20; round++) {
    await cloud.call("create_flow_run", { flow_id: flowId });
    const { id } = await cloud.call("register_agent", {
      type: "LocalAgent",
      name: `raced ${round}`,
      labels: ["raced"],
    });
    await Promise.allSettled([
      cloud.call("claim_runs", { agent_id: id, labels: ["raced"], limit: 1, lease_ms: 30_000 }),
      cloud.call("delete_agent", { agent_id: id }),
    ]);
  }
  const lost =
    "SELECT id FROM flow_run WHERE lease_agent_id IS NOT NULL AND lease_agent_id NOT IN (SELECT id FROM agent)";
  t.strictSame(await cloud.rows(lost), []);
});
