import t from "tap";
import { stateTypes } from "../../src/core/state.js";
import { openReadWorld, type Rows, tenantRows, uuid } from "../helpers/read-world.js";

/** A diamond with a long way round it, and a tail: 0 → 1 → 3 → 5, 0 → 2 → 4 → 3. */
const edges = [
  [0, 1],
  [0, 2],
  [1, 3],
  [2, 4],
  [4, 3],
  [3, 5],
] as const;
const task = (row: number, tenant = 1) => uuid(50, tenant, row);

function diamond(tenant: number): Rows {
  const { flow } = tenantRows(tenant);
  const own = {
    tenant_id: uuid(1, tenant, 0),
    created: "2026-11-23T10:00:00.000Z",
    updated: "2026-11-23T10:00:00.000Z",
  };
  const flow_id = flow[0]!.id as string;
  return {
    task: [0, 1, 2, 3, 4, 5].map((n) => ({ ...own, id: task(n, tenant), flow_id, name: `t${n}`, slug: `t${n}-1` })),
    edge: edges.map(([from, to], n) => ({
      ...own,
      id: uuid(51, tenant, n),
      flow_id,
      upstream_task_id: task(from, tenant),
      downstream_task_id: task(to, tenant),
    })),
  };
}

const world = await openReadWorld(t.testdir(), {}, [tenantRows(1), tenantRows(2), diamond(1), diamond(2)]);
t.after(() => world.close());

async function answer(query: string, variables: Record<string, unknown> = {}): Promise<unknown> {
  const { data, errors } = await world.ask(query, variables);
  if (errors) throw errors[0];
  return Object.values(data!)[0];
}
const around = async (root: string, args: string, more = "order_by: [{depth: asc}, {task: {slug: asc}}]") =>
  (
    (await answer(`{ ${root}(args: {${args}}, ${more}) { depth task { slug } } }`)) as {
      depth: number;
      task: { slug: string };
    }[]
  ).map(({ depth, task }) => `${task.slug.slice(0, 2)} ${depth}`);

t.test("the tasks that depend on one are those that edges lead to, by the longest way", async (t) => {
  const start = `start_task_ids: ["${task(0)}"]`;
  t.same(await around("utility_downstream_tasks", start), ["t0 0", "t1 1", "t2 1", "t4 2", "t3 3", "t5 4"]);
  t.equal(world.statements(), 2, "one for the tasks around, one for their rows");
  t.same(await around("utility_upstream_tasks", `start_task_ids: "{${task(4)},${task(1)}}"`), [
    "t1 0",
    "t4 0",
    "t2 1",
    "t0 2",
  ]);
  t.same(await around("utility_downstream_tasks", `${start}, depth_limit: 1`), ["t0 0", "t1 1", "t2 1"]);
  t.same(await around("utility_downstream_tasks", `${start}, depth_limit: 0`), ["t0 0"]);
});

t.test("they are a list like any other", async (t) => {
  const start = `start_task_ids: ["${task(0)}"]`;
  t.same(await around("utility_downstream_tasks", start, "where: {depth: {_gte: 2}}, limit: 1"), ["t4 2"]);
  t.same(await around("utility_downstream_tasks", start, 'where: {task: {slug: {_eq: "t5-1"}}}'), ["t5 4"]);
  const runs = await answer(
    `query ($ids: _uuid!, $run: UUID) { utility_downstream_tasks(args: {start_task_ids: $ids}) {
      task_id depth task { task_runs(where: {flow_run_id: {_eq: $run}}) { id map_index version } } } }`,
    { ids: `{${uuid(5, 1, 0)}}`, run: uuid(8, 1, 0) },
  );
  t.same(runs, [
    {
      task_id: uuid(5, 1, 0),
      depth: 0,
      task: { task_runs: [{ id: uuid(9, 1, 0), map_index: -1, version: 1 }] },
    },
    {
      task_id: uuid(5, 1, 1),
      depth: 1,
      task: { task_runs: [-1, 0, 1].map((map_index, n) => ({ id: uuid(9, 1, n + 1), map_index, version: 1 })) },
    },
  ]);
  t.equal(world.statements(), 3);
});

t.test("another tenant's tasks, and those that nobody has, lead nowhere", async (t) => {
  t.same(await around("utility_downstream_tasks", `start_task_ids: ["${task(0, 2)}", "${task(77)}"]`), []);
  t.same(await around("utility_downstream_tasks", 'start_task_ids: "{}"'), []);
});

t.test("what is no list of ids is refused", async (t) => {
  const refusal = async (ids: string) =>
    (await world.ask(`{ utility_upstream_tasks(args: {start_task_ids: ${ids}}) { depth } }`)).errors?.[0]?.message;
  t.match(await refusal('"x"'), /a list of ids was asked for|A list of ids/i);
  t.match(await refusal('["x"]'), /a UUID, and was "x"/);
  const many = JSON.stringify(Array.from({ length: 10_001 }, () => task(0)));
  t.match(await refusal(many), /starts from 10001 tasks, and 10000 are the most/);
});

t.test("the children of a mapped task run are counted by the database", async (t) => {
  const rows = tenantRows(3);
  const parent = rows.task_run.find((run) => run.map_index === -1 && run.name === "part 1")! as { id: string };
  rows.task_run.forEach((run, n) => {
    Object.assign(run, {
      start_time: `2026-11-23T11:00:0${n % 10}.000Z`,
      end_time: `2026-11-23T12:00:0${n % 10}.000Z`,
    });
  });
  const world = await openReadWorld(t.testdir(), {}, [rows]);
  t.after(() => world.close());
  const ask = async (id: string, tenant: number) => {
    const query = `query ($id: UUID!) { mapped_children(task_run_id: $id) { min_start_time max_end_time state_counts } }`;
    return (await world.ask(query, { id }, tenant)).data?.mapped_children;
  };
  t.same(await ask(parent.id, 3), {
    min_start_time: "2026-11-23T11:00:02.000+00:00",
    max_end_time: "2026-11-23T12:00:03.000+00:00",
    state_counts: { Running: 1, Pending: 1 },
  });
  t.equal(world.statements(), 1);
  const none = { min_start_time: null, max_end_time: null, state_counts: {} };
  t.same(await ask(parent.id, 1), none, "not another tenant's");
  t.same(await ask(rows.task_run[2]!.id as string, 3), none, "a child has none");
});

t.test("the names of states say what they are a kind of, and how they are shown", async (t) => {
  const { state_hierarchy, state_info } = (await answer("{ reference_data { state_hierarchy state_info } }")) as {
    state_hierarchy: Record<string, string[]>;
    state_info: Record<string, { color: string; parent: string }>;
  };
  t.same(Object.keys(state_hierarchy).sort(), [...stateTypes].sort());
  t.same(state_hierarchy.Retrying, ["Scheduled", "Pending", "State"]);
  t.same(state_hierarchy.Cached, ["Success", "Finished", "State"]);
  t.same(state_info.Failed, { color: "#eb0000", parent: "Finished" });
  t.same(state_info.Running!.parent, "State");
});
