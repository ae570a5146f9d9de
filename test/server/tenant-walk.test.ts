import { gzipSync } from "node:zlib";
import { type GraphQLInputObjectType, type GraphQLInputType, getNamedType, getNullableType, isListType } from "graphql";
import t from "tap";
import type { Mutations } from "../../src/client/wire.js";
import { newId } from "../../src/core/ids.js";
import { tableNames } from "../../src/db/move/table-keys.js";
import { makeSchema } from "../../src/server/api/schema.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import {
  flowState,
  HandClock,
  mutation,
  serializedFlow,
  startTestCloud,
  TestAgent,
  taskState,
} from "../helpers/server.js";

/*
 * Each mutation of the schema is sent by another tenant with the first one's ids in all of its fields: nothing of the first
 * tenant may change, and nothing of it may be told.
 */

const HOUR_MS = 3_600_000;
const clock = new HandClock();
const cloud = await startTestCloud(t, { clock });
const other = await addSecondTenant(cloud, new Date(clock.now()).toISOString());
const { body: me } = await cloud.ask("{ auth_info { tenant_id user_id } }");
const { tenant_id, user_id } = me.data!.auth_info as { tenant_id: string; user_id: string };

const hourly = { type: "IntervalClock", interval: HOUR_MS * 1_000, start_date: null, end_date: null };
const schedule = { clocks: [{ ...hourly, parameter_defaults: {}, labels: null }] };
const { id: project_id } = await cloud.call("create_project", { name: "Own" });
const { id: flow_id, flow_group_id } = await cloud.call("create_flow", {
  project_id,
  serialized_flow: { ...serializedFlow(), schedule },
  version_group_id: "own-group",
});
const { id: agent_config_id } = await cloud.call("create_agent_config", { name: "own", settings: { own: true } });
const agent = await TestAgent.register(cloud);
await cloud.call("create_flow_run", { flow_id, idempotency_key: "own-key" });
await cloud.call("create_flow_run", { flow_id });
const { runs } = await agent.claim(2, { lease_ms: HOUR_MS });
const [run, stopping] = runs as [(typeof runs)[0], (typeof runs)[0]];
await agent.report(run, [
  flowState("Running"),
  taskState(run, "a-1", "Running", 1),
  taskState(run, "b-1", "Paused", 1),
]);
await agent.report(stopping, [flowState("Running")]);
await cloud.call("cancel_flow_run", { flow_run_id: stopping.flow_run_id });
const task_run_id = run.task_runs.find(({ task_slug }) => task_slug === "b-1")!.id;
const [{ task_id }] = (await cloud.rows("SELECT task_id FROM task_run WHERE id = ?1", task_run_id)) as [
  { task_id: string },
];
const { id: limit_id } = await cloud.call("update_task_tag_limit", { tag: "own", limit: 1 });
const { id: label_limit_id } = await cloud.call("update_flow_concurrency_limit", { name: "host", limit: 5 });
const { id: key_value_id } = await cloud.call("set_key_value", { key: "own", value: "kept" });
await cloud.call("set_secret", { name: "own", value: "hidden" });
const { id: cloud_hook_id } = await cloud.call("create_cloud_hook", { type: "PREFECT_MESSAGE", states: ["Success"] });
await cloud.call("test_cloud_hook", { cloud_hook_id });
const [{ id: message_id }] = (await cloud.rows("SELECT id FROM message")) as [{ id: string }];
const artifact = { task_run_id, kind: "link", data: { link: "https://own.example" } };
const { id: task_run_artifact_id } = await cloud.call("create_task_run_artifact", artifact);
const { id: key_id } = await cloud.call("create_api_key", { name: "second" });

/** What each field of an input is called, and what of the first tenant's stands in it. */
const OWN: Readonly<Record<string, unknown>> = {
  ...{
    project_id,
    flow_id,
    flow_group_id,
    agent_config_id,
    task_run_id,
    task_id,
    limit_id,
    key_value_id,
    cloud_hook_id,
  },
  ...{ message_id, task_run_artifact_id, key_id, tenant_id, user_id },
  agent_id: agent.id,
  flow_run_id: run.flow_run_id,
  stream_id: agent.streamId,
  claim_id: newId(),
  id: task_run_artifact_id,
  version_group_id: "own-group",
  idempotency_key: "own-key",
  fence: run.fence,
  batch: agent.batch,
  task_slug: "b-1",
  tag: "own",
  key: "own",
  map_index: -1,
  confirm: true,
  labels: ["host"],
  lease_ms: 60_000,
  limit: 5,
  at: "2026-11-23T10:00:02.000Z",
  before: "2026-11-24T10:00:00.000Z",
  state: { type: "Failed", message: "from outside" },
  states: ["Success"],
  data: { link: "https://elsewhere.example" },
  message: "from outside",
  level: "INFO",
};

function packed(flow: unknown): string {
  return gzipSync(JSON.stringify(flow)).toString("base64");
}

/** What a mutation's fields must be that `OWN` says otherwise. */
const BESIDE: { readonly [Name in keyof Mutations]?: Readonly<Record<string, unknown>> } = {
  create_api_key: { name: "third" },
  create_cloud_hook: { type: "PREFECT_MESSAGE" },
  create_flow: { serialized_flow: serializedFlow() },
  create_flow_from_compressed_string: { serialized_flow: packed(serializedFlow()) },
  create_tenant: { name: "third", slug: "third" },
  delete_flow_concurrency_limit: { limit_id: label_limit_id },
  delete_secret: { name: "own" },
  register_agent: { type: "LocalAgent", name: "agent" },
  register_edges: { serialized_edges: [] },
  register_tasks: { serialized_tasks: [{ slug: "intruder-1" }] },
  set_flow_group_default_parameters: { parameters: { from: "outside" } },
  set_flow_group_run_config: { run_config: { type: "LocalRun" } },
  set_flow_group_schedule: {
    cron_clocks: [],
    interval_clocks: [{ interval: 60 }],
    on_missed: "latest",
    timezone: "UTC",
  },
  set_project_name: { name: "renamed" },
  set_secret: { name: "own" },
  update_flow_concurrency_limit: { name: "host" },
  update_tenant_settings: { settings: { from: "outside" } },
  update_tenant_slug: { slug: "elsewhere" },
};

const fillers: Readonly<Record<string, unknown>> = { String: "elsewhere", JSON: {}, Int: 1, Boolean: true };

/** Fields that have a value among the first tenant's own, and those that must be there. */
function filled(type: GraphQLInputObjectType, beside: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = Object.values(type.getFields()).flatMap((field): [string, unknown][] => {
    const named = getNamedType(field.type);
    if (Object.hasOwn(beside, field.name)) return [[field.name, beside[field.name]]];
    if ("getFields" in named) return [[field.name, listed(field.type, filled(named, {}))]];
    if (Object.hasOwn(OWN, field.name)) return [[field.name, OWN[field.name]]];
    if (named.name === "UUID") throw new Error(`Which of the first tenant's ids stands in ${type.name}.${field.name}?`);
    return getNullableType(field.type) === field.type ? [] : [[field.name, listed(field.type, fillers[named.name])]];
  });
  return Object.fromEntries(given);
}

const listed = (type: GraphQLInputType, value: unknown): unknown =>
  isListType(getNullableType(type)) ? [value] : value;

const fields = makeSchema(cloud.server.database).getMutationType()!.getFields();
const inputs = new Map(
  Object.values(fields).map(({ name, args }) => {
    const type = getNamedType(args[0]!.type) as GraphQLInputObjectType;
    return [name as keyof Mutations, filled(type, BESIDE[name as keyof Mutations] ?? {})];
  }),
);

/** All rows of the first tenant. When a key was used last is its own doing. */
async function ownRows(): Promise<Record<string, unknown[]>> {
  const rows: Record<string, unknown[]> = {};
  for (const table of tableNames) {
    const column = table === "tenant" ? "id" : "tenant_id";
    const found = await cloud.rows(`SELECT * FROM ${table}`);
    rows[table] = found
      .filter((row) => row[column] === tenant_id)
      .map((row) => JSON.stringify({ ...row, last_used: 0 }));
    rows[table].sort();
  }
  return rows;
}

const ask = (name: keyof Mutations, headers?: Record<string, string>) =>
  cloud.ask(mutation(name), { input: inputs.get(name) }, headers);

/** Every text in a value that looks like an id. */
const idsIn = (value: unknown): string[] =>
  JSON.stringify(value ?? null).match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? [];

t.test("no mutation changes, or tells, anything of another tenant's", async (t) => {
  clock.forward(10_000);
  await cloud.server.tick();
  const before = await ownRows();
  const own = new Set(idsIn(before));
  t.strictSame([...inputs.keys()], Object.keys(fields), "they are all there");
  for (const name of inputs.keys()) {
    const { body } = await ask(name, other);
    const sent = new Set(idsIn(inputs.get(name)));
    const told = idsIn(body).filter((id) => own.has(id) && !sent.has(id));
    t.strictSame(told, [], `${name} tells no id that was not sent`);
    t.notMatch(
      JSON.stringify(body),
      /GRAPHQL_|INTERNAL|holds/,
      `${name} is answered, and counts nothing of the other's`,
    );
    t.strictSame(await ownRows(), before, `${name} changes nothing`);
  }
});

/** Of what the tenant sends itself, in this order, these find that another was there first. */
const OVERTAKEN = [
  // The other tenant has made one of that slug.
  "create_tenant",
  // It holds a run that is being cancelled.
  "delete_agent",
  // With its group.
  "delete_flow",
  // The token's own.
  "delete_tenant",
  // It has ended by set_task_run_states.
  "resume_task_run",
  // It is under way.
  "set_flow_run_labels",
  // It was archived.
  "set_schedule_active",
];

t.test("what was sent is what the tenant itself may do, but for what would undo itself", async (t) => {
  const order = (name: string) =>
    Number(/^(set_flow_run_states|report_states|release_runs)$/.test(name)) +
    2 * Number(name.startsWith("delete_")) +
    Number(/^delete_(flow|flow_group|project|tenant|agent)$/.test(name));
  const refused: string[] = [];
  for (const name of [...inputs.keys()].sort((a, b) => order(a) - order(b))) {
    const { body } = await ask(name);
    const payload = body.data?.[name] as { success?: boolean } | null | undefined;
    if (body.errors || payload?.success === false) refused.push(name);
  }
  t.strictSame(refused.sort(), OVERTAKEN);
});
