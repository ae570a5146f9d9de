import t from "tap";
import { newId } from "../../src/core/ids.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  refusalOf,
  serializedFlow,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

t.test(
  "a project's name is taken once: the second is refused in the words that Prefect's client looks for",
  async (t) => {
    const cloud = await startTestCloud(t);
    const { id } = await cloud.call("create_project", { name: "Sales", description: "all of it" });
    t.strictSame(await cloud.rows("SELECT id, name, description FROM project"), [
      { id, name: "Sales", description: "all of it" },
    ]);
    t.strictSame((await refusalOf(cloud.call("create_project", { name: "Sales" }))).message, "Uniqueness violation.");
    t.equal((await refusalOf(cloud.call("create_project", { name: " " }))).code, "INPUT_INVALID");
  },
);

t.test("a flow is registered with its tasks, edges and columns", async (t) => {
  const cloud = await startTestCloud(t);
  const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
  const flow = serializedFlow({
    tasks: ["x", "a-1", "b-1"],
    labels: ["host", "orders"],
    parameters: [{ name: "x", default: 2 }],
  });
  (flow.edges as { mapped: boolean; key: string }[])[1]!.mapped = true;
  (flow.edges as unknown[]).push({ ...(flow.edges as object[])[1], key: "1" });
  Object.assign((flow.tasks as object[])[1]!, {
    max_retries: 3,
    retry_delay: 1.5,
    tags: ["io"],
    type: "millrace.Task",
  });
  const registered = { ...flow, description: "daily", millrace: { spec_hash: "abc" } };
  const created = await cloud.call("create_flow", { project_id, serialized_flow: registered });
  t.match(created, { version: 1, created: true });
  const [row] = await cloud.rows<Record<string, string>>("SELECT * FROM flow");
  t.match(row, {
    id: created.id,
    name: "orders",
    version: 1,
    archived: 0,
    core_version: "1.4.1",
    description: "daily",
    is_schedule_active: 0,
  });
  t.strictSame(JSON.parse(row!.serialized_flow!), registered, "as it was sent");
  t.strictSame(JSON.parse(row!.run_config!), { type: "UniversalRun", labels: ["host", "orders"] });
  const tasks = await cloud.rows(
    "SELECT slug, name, max_retries, retry_delay, trigger, tags, mapped, is_root_task, is_terminal_task, is_reference_task FROM task ORDER BY slug DESC",
  );
  const trigger = "prefect.triggers.all_successful";
  const plain = { max_retries: 0, retry_delay: null, trigger, tags: "[]", mapped: 0 };
  t.strictSame(tasks, [
    { slug: "x", name: "x", ...plain, is_root_task: 1, is_terminal_task: 0, is_reference_task: 0 },
    { slug: "b-1", name: "b", ...plain, mapped: 1, is_root_task: 0, is_terminal_task: 1, is_reference_task: 1 },
    {
      slug: "a-1",
      name: "a",
      ...plain,
      max_retries: 3,
      retry_delay: 1.5,
      tags: '["io"]',
      is_root_task: 0,
      is_terminal_task: 0,
      is_reference_task: 0,
    },
  ]);
  const edges = await cloud.rows(
    "SELECT u.slug AS up, d.slug AS down, e.key, e.mapped FROM edge e JOIN task u ON u.id = e.upstream_task_id JOIN task d ON d.id = e.downstream_task_id ORDER BY up DESC, e.key",
  );
  t.strictSame(edges, [
    { up: "x", down: "a-1", key: "0", mapped: 0 },
    { up: "a-1", down: "b-1", key: "0", mapped: 1 },
    { up: "a-1", down: "b-1", key: "1", mapped: 1 },
  ]);
});

t.test("named reference tasks are the reference tasks", async (t) => {
  const cloud = await startTestCloud(t);
  const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
  await cloud.call("create_flow", {
    project_id,
    serialized_flow: { ...serializedFlow(), reference_tasks: [{ slug: "a-1" }] },
  });
  t.strictSame(await cloud.rows("SELECT slug FROM task WHERE is_reference_task = 1"), [{ slug: "a-1" }]);
});

t.test(
  "the same key answers the same version; another key, or none, makes a new version and archives the old",
  async (t) => {
    const cloud = await startTestCloud(t);
    const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
    const deploy = (idempotency_key?: string) =>
      cloud.call("create_flow", { project_id, serialized_flow: serializedFlow(), idempotency_key });
    const first = await deploy("one");
    t.strictSame(await deploy("one"), { ...first, created: false });
    const second = await deploy("two");
    t.match(second, { version: 2, created: true, flow_group_id: first.flow_group_id });
    t.match(await deploy("one"), { version: 3, created: true }, "only the newest version's key counts");
    t.match(await deploy(), { version: 4, created: true });
    t.match(await deploy("one"), { version: 5 }, "a registration without a key forgets the key");
    t.strictSame(await cloud.rows("SELECT version FROM flow WHERE archived = 0"), [{ version: 5 }]);
    const other = await cloud.call("create_flow", { project_id, serialized_flow: serializedFlow({ name: "other" }) });
    t.not(other.flow_group_id, first.flow_group_id);
    const grouped = await cloud.call("create_flow", {
      project_id,
      serialized_flow: serializedFlow({ name: "renamed" }),
      version_group_id: "g",
    });
    const again = await cloud.call("create_flow", {
      project_id,
      serialized_flow: serializedFlow({ name: "renamed again" }),
      version_group_id: "g",
    });
    t.match(again, { version: 2, flow_group_id: grouped.flow_group_id });
  },
);

t.test("the same flow deployed four times at once becomes one version", async (t) => {
  const cloud = await startTestCloud(t);
  const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
  const input = { project_id, serialized_flow: serializedFlow(), idempotency_key: "one" };
  const answers = await Promise.all([1, 2, 3, 4].map(() => cloud.call("create_flow", input)));
  t.equal(new Set(answers.map((each) => each.id)).size, 1);
  t.equal(answers.filter((each) => each.created).length, 1);
});

t.test(
  "a flow registered by several at once, without a key, has one group and a version for each of them",
  async (t) => {
    const cloud = await startTestCloud(t);
    const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
    const input = { project_id, serialized_flow: serializedFlow() };
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => cloud.call("create_flow", input)));
    t.equal(new Set(answers.map((each) => each.flow_group_id)).size, 1);
    t.strictSame(answers.map((each) => each.version).sort(), [1, 2, 3, 4, 5, 6]);
    t.strictSame(await cloud.rows("SELECT version FROM flow WHERE archived = 0"), [{ version: 6 }]);
  },
);

t.test("a new version cancels the runs of the old one that have not begun, and leaves those under way", async (t) => {
  const cloud = await startTestCloud(t);
  const { projectId, flowId } = await deployFlow(cloud);
  const [begun, waiting] = [
    await cloud.call("create_flow_run", { flow_id: flowId }),
    await cloud.call("create_flow_run", { flow_id: flowId }),
  ];
  const agent = await TestAgent.register(cloud);
  await agent.claimOne();
  const scheduled = await cloud.call("create_flow_run", { flow_id: flowId });
  await cloud.server.database.write((transaction) =>
    transaction.run("UPDATE flow_run SET auto_scheduled = 1 WHERE id = ?1", scheduled.id),
  );
  await cloud.call("create_flow", { project_id: projectId, serialized_flow: serializedFlow() });
  t.match(await flowRunRow(cloud, begun.id), { state: "Submitted" });
  t.match(await flowRunRow(cloud, waiting.id), { state: "Cancelled", state_message: `Flow ${flowId} was archived.` });
  t.strictSame(await taskRunStates(cloud, waiting.id), { "a-1": "Cancelled", "b-1": "Cancelled", "c-1": "Cancelled" });
  t.strictSame(
    await cloud.rows("SELECT id FROM flow_run WHERE id = ?1", scheduled.id),
    [],
    "a scheduler's own run is removed",
  );
  t.equal((await refusalOf(cloud.call("create_flow_run", { flow_id: flowId }))).code, "FLOW_ARCHIVED");
});

t.test(
  "a run that had begun and was given back is no run that waits: a deploy leaves it to be gone on with",
  async (t) => {
    const cloud = await startTestCloud(t);
    const { projectId, flowId } = await deployFlow(cloud);
    await cloud.call("create_flow_run", { flow_id: flowId });
    const agent = await TestAgent.register(cloud);
    const run = await agent.claimOne();
    await agent.report(run, [
      flowState("Running"),
      taskState(run, "a-1", "Running", 1),
      taskState(run, "a-1", "Success", 2),
    ]);
    await cloud.call("release_runs", {
      agent_id: agent.id,
      runs: [{ flow_run_id: run.flow_run_id, fence: run.fence }],
    });
    await cloud.call("create_flow", { project_id: projectId, serialized_flow: serializedFlow() });
    t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Scheduled" });
    t.match(await taskRunStates(cloud, run.flow_run_id), { "a-1": "Success", "b-1": "Pending" });
    t.match(await agent.claimOne(), { flow_run_id: run.flow_run_id, fence: 2 });
  },
);

t.test("what cannot be registered is refused by name, and nothing of it is kept", async (t) => {
  const cloud = await startTestCloud(t);
  const { id: project_id } = await cloud.call("create_project", { name: "Sales" });
  const edge = (up: unknown, down: unknown) => ({
    ...serializedFlow(),
    edges: [{ upstream_task: up, downstream_task: down }],
  });
  const cases: [unknown, RegExp][] = [
    ["text", /serialized_flow/],
    [{}, /`name`/],
    [{ name: "" }, /`name`/],
    [{ name: "f", tasks: {} }, /`tasks`/],
    [{ name: "f", tasks: [{}] }, /`tasks\[0\].slug`/],
    [{ name: "f", tasks: [{ slug: "a" }, { slug: "a" }] }, /`tasks\[1\].slug`/],
    [{ name: "f", parameters: [{}] }, /`parameters\[0\].name`/],
    [edge({ slug: "a-1" }, "b-1"), /`edges\[0\].downstream_task`/],
    [
      edge({ slug: "a-1" }, { slug: "z-1" }),
      /some edges reference tasks that do not exist within this flow: "a-1" → "z-1"/,
    ],
  ];
  for (const [serialized_flow, message] of cases) {
    t.match(await refusalOf(cloud.call("create_flow", { project_id, serialized_flow })), {
      code: "INPUT_INVALID",
      message,
    });
  }
  const nowhere = cloud.call("create_flow", { project_id: newId(), serialized_flow: serializedFlow() });
  t.equal((await refusalOf(nowhere)).code, "PROJECT_NOT_FOUND");
  t.strictSame(
    await cloud.rows("SELECT id FROM flow UNION ALL SELECT id FROM flow_group UNION ALL SELECT id FROM task"),
    [],
  );
});
