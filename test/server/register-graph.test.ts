import { gzipSync } from "node:zlib";
import fc from "fast-check";
import t from "tap";
import { newId } from "../../src/core/ids.js";
import { decompressFlow } from "../../src/server/registration/compressed-flow.js";
import { PrefectClient } from "../helpers/prefect-client.js";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../helpers/property-runs.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { refusalOf, serializedFlow, startTestCloud, type TestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t);
const python = new PrefectClient(cloud);
const { id: projectId } = await cloud.call("create_project", { name: "Sales" });

interface Shape {
  tasks: Record<string, unknown>[];
  edges: Record<string, unknown>[];
}

const packed = (value: unknown) => gzipSync(JSON.stringify(value)).toString("base64");

/** As `flow.register` does it: the flow without its tasks and edges, then these. Answers the flow's id. */
async function create(flow: Record<string, unknown>): Promise<string> {
  const { tasks: _, edges: __, ...bare } = flow;
  const input = { project_id: projectId, serialized_flow: packed(bare), set_schedule_active: false };
  const sent = { ...input, version_group_id: null };
  return (await python.mutate<{ id: string }>("create_flow_from_compressed_string", sent, "{ id }")).id;
}

const addTasks = (flow_id: string, serialized_tasks: unknown) =>
  python.mutate<{ success: boolean }>("register_tasks", { flow_id, serialized_tasks }, "{ success }");
const addEdges = (flow_id: string, serialized_edges: unknown) =>
  python.mutate<{ success: boolean }>("register_edges", { flow_id, serialized_edges }, "{ success }");

/** What a flow has become: its tasks and edges without their ids, and its JSON. */
async function flowAsStored(on: TestCloud, flowId: string) {
  const tasks = await on.rows(
    `SELECT slug, name, max_retries, trigger, tags, mapped, is_root_task, is_terminal_task, is_reference_task
     FROM task WHERE flow_id = ?1 ORDER BY slug`,
    flowId,
  );
  const edges = await on.rows(
    `SELECT u.slug AS up, d.slug AS down, coalesce(e.key, '') AS key, e.mapped FROM edge e
     JOIN task u ON u.id = e.upstream_task_id JOIN task d ON d.id = e.downstream_task_id
     WHERE e.flow_id = ?1 ORDER BY up, down, e.key`,
    flowId,
  );
  const [row] = await on.rows<{ serialized_flow: string }>("SELECT serialized_flow FROM flow WHERE id = ?1", flowId);
  const serialized = JSON.parse(row!.serialized_flow) as { tasks?: { slug: string }[] };
  const listed = (serialized.tasks ?? []).map((task) => task.slug).sort();
  return { tasks, edges, listed };
}

t.test("a packed flow whose tasks and edges come after it is the flow that is registered in one piece", async (t) => {
  const flow = serializedFlow({ name: "in pieces", ours: false });
  (flow.edges as { mapped: boolean }[])[1]!.mapped = true;
  const flowId = await create(flow);
  t.strictSame(await addTasks(flowId, flow.tasks), { success: true });
  t.strictSame(await addEdges(flowId, flow.edges), { success: true });
  const whole = await cloud.call("create_flow", {
    project_id: projectId,
    serialized_flow: { ...flow, name: "in one piece" },
  });
  const stored = await flowAsStored(cloud, flowId);
  t.strictSame(stored, await flowAsStored(cloud, whole.id));
  t.strictSame(
    stored.tasks.map(({ slug, mapped, is_root_task: root, is_terminal_task: last }) => [slug, mapped, root, last]),
    [
      ["a-1", 0, 1, 0],
      ["b-1", 0, 0, 0],
      ["c-1", 1, 0, 1],
    ],
  );
  const [row] = await cloud.rows("SELECT is_schedule_active, engine FROM flow WHERE id = ?1", flowId);
  t.strictSame(row, { is_schedule_active: 0, engine: "prefect" });
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
  t.equal((await cloud.rows("SELECT id FROM task_run WHERE flow_run_id = ?1", id)).length, 3);
});

t.test(
  "a packed flow that carries its tasks and edges, as the command line sends it, is idempotent by its key",
  async (t) => {
    const input = {
      project_id: projectId,
      serialized_flow: packed(serializedFlow({ name: "cli" })),
      idempotency_key: "k",
    };
    const first = await cloud.call("create_flow_from_compressed_string", { ...input, set_schedule_active: true });
    t.match(first, { version: 1, created: true });
    t.strictSame(await cloud.call("create_flow_from_compressed_string", input), { ...first, created: false });
    t.equal((await flowAsStored(cloud, first.id)).tasks.length, 3);
  },
);

t.test("tasks and edges in any order of batches, doubled and empty ones among them, make the same flow", async (t) => {
  const whole = fc.integer({ min: 0, max: 8 }).chain((size) =>
    fc.record({
      size: fc.constant(size),
      pairs: fc.array(
        fc.record({ up: fc.nat(8), down: fc.nat(8), key: fc.constantFrom(null, "x", "y"), mapped: fc.boolean() }),
        {
          maxLength: 12,
        },
      ),
      references: fc.array(fc.nat(8), { maxLength: 2 }),
      taskOrder: fc.array(fc.nat(8), { maxLength: 16 }),
      edgeOrder: fc.array(fc.nat(11), { maxLength: 20 }),
      batch: fc.integer({ min: 1, max: 4 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(whole, async ({ size, pairs, references, taskOrder, edgeOrder, batch }) => {
      const name = `random ${newId()}`;
      const slugs = Array.from({ length: size }, (_, index) => `t-${index}`);
      const seen = new Set<string>();
      const edges = pairs
        .filter(
          ({ up, down, key }) =>
            up < down && down < size && !seen.has(`${up} ${down} ${key}`) && seen.add(`${up} ${down} ${key}`),
        )
        .map(({ up, down, key, mapped }) => ({
          upstream_task: { slug: `t-${up}` },
          downstream_task: { slug: `t-${down}` },
          key,
          mapped,
        }));
      const named = references.filter((at) => at < size).map((at) => ({ slug: `t-${at}` }));
      const flow = { ...serializedFlow({ name, tasks: slugs, edges: [] }), edges, reference_tasks: named };
      const { id } = await cloud.call("create_flow", {
        project_id: projectId,
        serialized_flow: { ...flow, name: `${name} whole` },
      });
      const flowId = await create(flow);
      // Some of them out of order, then all of them.
      const { tasks } = flow as unknown as Shape;
      const shuffled = <Item>(list: readonly Item[], order: readonly number[]) =>
        [...order.flatMap((at) => (list[at] === undefined ? [] : [list[at]])), ...list] as Item[];
      for (const part of batches(shuffled(tasks, taskOrder), batch)) await addTasks(flowId, part);
      for (const part of batches(shuffled(edges, edgeOrder), batch)) await addEdges(flowId, part);
      t.strictSame(await flowAsStored(cloud, flowId), await flowAsStored(cloud, id));
    }),
    { numRuns: propertyRuns(60), interruptAfterTimeLimit: PROPERTY_TIMEOUT_MS },
  );
});

/** Prefect's loop: always one call, and an empty one at the end of full ones. */
function batches<Item>(list: readonly Item[], size: number): Item[][] {
  const parts: Item[][] = [];
  for (let start = 0; start <= list.length; start += size) parts.push(list.slice(start, start + size));
  return parts;
}

t.test("batches that come at once are all there", async (t) => {
  const tasks = Array.from({ length: 40 }, (_, index) => `t-${String(index).padStart(2, "0")}`);
  const flow = serializedFlow({ name: "at once", tasks }) as unknown as Shape & Record<string, unknown>;
  const flowId = await create(flow);
  await Promise.all([...batches(flow.tasks, 7), ...batches(flow.tasks, 9)].map((part) => addTasks(flowId, part)));
  await Promise.all([...batches(flow.edges, 7), ...batches(flow.edges, 9)].map((part) => addEdges(flowId, part)));
  const stored = await flowAsStored(cloud, flowId);
  t.strictSame(stored.listed, tasks);
  t.equal(stored.edges.length, 39);
  t.equal(stored.tasks.filter((task) => task.is_root_task === 1).length, 1);
});

t.test("what cannot be added is refused, and nothing of it is kept", async (t) => {
  const flow = serializedFlow({ name: "refused" });
  const flowId = await create(flow);
  await addTasks(flowId, flow.tasks);
  const unknown = [...(flow.edges as object[]), { upstream_task: { slug: "a-1" }, downstream_task: { slug: "z-1" } }];
  t.match(await refusalOf(addEdges(flowId, unknown)), {
    code: "INPUT_INVALID",
    message: /^Edges could not be registered - some edges reference tasks that do not exist within this flow/,
  });
  t.strictSame((await flowAsStored(cloud, flowId)).edges, []);
  for (const [tasks, message] of [
    [{}, /`serialized_tasks` must be a list/],
    [[{ name: "a" }], /`serialized_tasks\[0\].slug`/],
    ["text", /`serialized_tasks`/],
  ] as const) {
    t.match(await refusalOf(addTasks(flowId, tasks)), { code: "INPUT_INVALID", message });
  }
  t.match(await refusalOf(addEdges(flowId, [{ upstream_task: "a-1" }])), {
    message: /serialized_edges\[0\].upstream_task/,
  });
  const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
  for (const headers of [{}, theirs]) {
    const flow_id = headers === theirs ? flowId : newId();
    const asked = cloud.call("register_tasks", { flow_id, serialized_tasks: [] }, headers);
    t.equal((await refusalOf(asked)).code, "FLOW_NOT_FOUND");
    t.equal(
      (await refusalOf(cloud.call("register_edges", { flow_id, serialized_edges: [] }, headers))).code,
      "FLOW_NOT_FOUND",
    );
  }
});

t.test("what cannot be unpacked is refused in the words of Prefect's server, and a bomb is not unpacked", async (t) => {
  const bad = [
    "",
    "no base64!",
    Buffer.from("not gzipped").toString("base64"),
    gzipSync("{").toString("base64"),
    gzipSync(Buffer.from([0x22, 0xff, 0x22])).toString("base64"),
    packed(serializedFlow()).slice(0, 60),
  ];
  for (const serialized_flow of bad) {
    t.match(
      await refusalOf(cloud.call("create_flow_from_compressed_string", { project_id: projectId, serialized_flow })),
      {
        code: "INPUT_INVALID",
        message: "TypeError: Unable to decompress serialized flow",
      },
    );
  }
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20)).toString("base64");
  const refused = cloud.call("create_flow_from_compressed_string", { project_id: projectId, serialized_flow: bomb });
  t.match(await refusalOf(refused), {
    code: "BODY_TOO_LARGE",
    message: /larger than 33554432 bytes when it is unpacked/,
  });
  t.same(await decompressFlow(packed({ a: 1 }), 7), { a: 1 });
  await t.rejects(decompressFlow(packed({ a: 1 }), 6), { code: "BODY_TOO_LARGE" });
});

t.test("a flow of a Prefect that is too old is refused; without a version nothing is asked", async (t) => {
  const register = (version: string | undefined) =>
    cloud.call("create_flow", {
      project_id: projectId,
      serialized_flow: { ...serializedFlow({ name: `version ${version}` }), __version__: version },
    });
  for (const old of ["0.6.0", "0.6.0+12.g1f", "0.5.9", "0.5"]) {
    t.match(await refusalOf(register(old)), {
      code: "INPUT_INVALID",
      message: `Prefect ${old}, and 0.6.1 is the least`,
    });
  }
  for (const version of ["0.6.1", "0.7", "0.10.0", "1.4.1", "1", "0+untagged", undefined]) {
    t.match(await register(version), { version: 1 }, String(version));
  }
});

t.test("a flow of 5,000 tasks is registered in batches of 500 in seconds", async (t) => {
  const tasks = Array.from({ length: 5_000 }, (_, index) => `task-${index}`);
  const flow = serializedFlow({ name: "large", tasks }) as unknown as Shape & Record<string, unknown>;
  const begin = performance.now();
  const flowId = await create(flow);
  for (const part of batches(flow.tasks, 500)) await addTasks(flowId, part);
  for (const part of batches(flow.edges, 500)) await addEdges(flowId, part);
  const ms = performance.now() - begin;
  t.comment(`5,000 tasks and 4,999 edges: ${Math.round(ms)} ms`);
  t.ok(ms < 20_000, `${Math.round(ms)} ms`);
  const stored = await flowAsStored(cloud, flowId);
  t.equal(stored.listed.length, 5_000);
  t.equal(stored.edges.length, 4_999);
});
