import t from "tap";
import { newId } from "../../src/core/ids.js";
import { PrefectClient } from "../helpers/prefect-client.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { HandClock, refusalOf, serializedFlow, startTestCloud, type TestCloud } from "../helpers/server.js";

const HOUR_MS = 60 * 60 * 1_000;

/** As Prefect writes it. */
function everyHour(parameter_defaults: Record<string, unknown> = {}): Record<string, unknown> {
  const clock = {
    type: "IntervalClock",
    interval: HOUR_MS * 1_000,
    start_date: null,
    end_date: null,
    parameter_defaults,
  };
  return {
    clocks: [{ ...clock, labels: null, __version__: "1.4.1" }],
    filters: [],
    or_filters: [],
    not_filters: [],
    adjustments: [],
  };
}

interface Registered {
  id: string;
  flow_group_id: string;
}

async function register(
  cloud: TestCloud,
  more: Record<string, unknown> = {},
  input: Record<string, unknown> = {},
): Promise<Registered> {
  const [known] = await cloud.rows<{ id: string }>("SELECT id FROM project LIMIT 1");
  const project_id = known?.id ?? (await cloud.call("create_project", { name: "Sales" })).id;
  const shape = {
    name: `flow ${newId()}`,
    ours: false,
    ...(more.parameters ? { parameters: more.parameters as [] } : {}),
  };
  const { parameters: _, ...rest } = more;
  return cloud.call("create_flow", { project_id, serialized_flow: { ...serializedFlow(shape), ...rest }, ...input });
}

const autoRuns = (cloud: TestCloud, flowId: string) =>
  cloud.rows<{ id: string; scheduled_start_time: string; labels: string; parameters: string }>(
    `SELECT id, scheduled_start_time, labels, parameters FROM flow_run WHERE flow_id = ?1 AND auto_scheduled = 1
     ORDER BY scheduled_start_time`,
    flowId,
  );
const timesOf = async (cloud: TestCloud, flowId: string) =>
  (await autoRuns(cloud, flowId)).map((run) => run.scheduled_start_time.slice(0, 16));
const isActive = async (cloud: TestCloud, flowId: string) =>
  (await cloud.rows<{ is_schedule_active: number }>("SELECT is_schedule_active FROM flow WHERE id = ?1", flowId))[0]!
    .is_schedule_active === 1;

t.test(
  "a scheduled flow has its upcoming runs as soon as it is registered, unless it is not to be active",
  async (t) => {
    const cloud = await startTestCloud(t, { clock: new HandClock() });
    const active = await register(cloud, { schedule: everyHour() });
    const times = await timesOf(cloud, active.id);
    t.equal(times.length, 10);
    t.equal(times[0], "2026-11-23T11:00");
    t.ok(await isActive(cloud, active.id));
    const waiting = await register(cloud, { schedule: everyHour() }, { set_schedule_active: false });
    t.strictSame(await timesOf(cloud, waiting.id), []);
    t.notOk(await isActive(cloud, waiting.id));
    const plain = await register(cloud);
    t.notOk(await isActive(cloud, plain.id), "without a schedule there is nothing to be active");
  },
);

t.test(
  "as Prefect's client ends a registration: the schedule is made active last, also of a flow that has none",
  async (t) => {
    const cloud = await startTestCloud(t, { clock: new HandClock() });
    const python = new PrefectClient(cloud, { twice: true });
    const flow = await register(cloud, { schedule: everyHour() }, { set_schedule_active: false });
    t.strictSame(await python.mutate("set_schedule_active", { flow_id: flow.id }, "{ success }"), { success: true });
    t.equal((await timesOf(cloud, flow.id)).length, 10);
    const plain = await register(cloud);
    t.strictSame(await python.mutate("set_schedule_active", { flow_id: plain.id }, "{ success }"), { success: false });
    t.match(await cloud.call("set_schedule_active", { flow_id: plain.id }), {
      error: /Neither flow .* has a schedule/,
    });
  },
);

t.test("an inactive schedule's runs are deleted but for those that have begun, and come back with it", async (t) => {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const flow = await register(cloud, { schedule: everyHour() });
  const asked = await cloud.call("create_flow_run", { flow_id: flow.id });
  clock.forward(1.5 * HOUR_MS);
  await cloud.server.tick();
  await cloud.server.database.write((transaction) =>
    transaction.run(
      "UPDATE flow_run SET start_time = '2026-11-23T11:00:00.000Z' WHERE scheduled_start_time LIKE '2026-11-23T11:00%'",
    ),
  );
  t.strictSame(await cloud.call("set_schedule_inactive", { flow_id: flow.id }), { success: true, error: null });
  t.strictSame(await timesOf(cloud, flow.id), ["2026-11-23T11:00"], "one that had begun and was given back");
  t.equal(
    (await cloud.rows("SELECT id FROM flow_run WHERE id = ?1", asked.id)).length,
    1,
    "and who was asked for stays",
  );
  await cloud.server.tick();
  t.equal((await timesOf(cloud, flow.id)).length, 1, "the scheduler makes none meanwhile");
  clock.forward(3 * HOUR_MS);
  await cloud.call("set_schedule_inactive", { flow_id: flow.id });
  await cloud.call("set_schedule_active", { flow_id: flow.id });
  const times = await timesOf(cloud, flow.id);
  t.strictSame(
    times.slice(0, 3),
    ["2026-11-23T11:00", "2026-11-23T15:00", "2026-11-23T16:00"],
    "nothing is made up for",
  );
  t.equal(times.length, 11);
});

t.test(
  "required parameters need a value from the group or from every clock before anything is scheduled",
  async (t) => {
    const cloud = await startTestCloud(t, { clock: new HandClock() });
    const parameters = [
      { name: "city", required: true },
      { name: "n", default: 3 },
    ];
    const flow = await register(cloud, { schedule: everyHour(), parameters });
    t.notOk(await isActive(cloud, flow.id), "registered, as by Prefect's server, and not active");
    t.match(cloud.log, [{ level: "error", message: /was not made active: not every clock has a value for city/ }]);
    t.match(await refusalOf(cloud.call("set_schedule_active", { flow_id: flow.id })), {
      code: "PARAMETER_MISSING",
      message: "Can not schedule a flow that has required parameters.",
    });
    const flow_group_id = flow.flow_group_id;
    await cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: { city: "Ulm" } });
    t.match(await cloud.call("set_schedule_active", { flow_id: flow.id }), { success: true });
    t.match(JSON.parse((await autoRuns(cloud, flow.id))[0]!.parameters), { city: "Ulm", n: 3 });
    const taken = cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: {} });
    t.equal((await refusalOf(taken)).code, "PARAMETER_MISSING", "not while runs are made of it");
    t.match(await cloud.rows("SELECT default_parameters FROM flow_group WHERE id = ?1", flow_group_id), [
      { default_parameters: '{"city":"Ulm"}' },
    ]);
    const covered = await register(cloud, { schedule: everyHour({ city: "Bern" }), parameters });
    t.ok(await isActive(cloud, covered.id));
    const bare = { flow_group_id: covered.flow_group_id, cron_clocks: [{ cron: "0 * * * *" }] };
    t.equal((await refusalOf(cloud.call("set_flow_group_schedule", bare))).code, "PARAMETER_MISSING");
    t.equal((await timesOf(cloud, covered.id)).length, 10, "and nothing has changed");
  },
);

t.test("a schedule that cannot be understood is refused, and the flow is not registered", async (t) => {
  const cloud = await startTestCloud(t);
  const clock = (facts: Record<string, unknown>) => ({ clocks: [{ parameter_defaults: {}, labels: null, ...facts }] });
  const bad: [unknown, RegExp][] = [
    [clock({ type: "SunClock" }), /its `type` is "SunClock"/],
    [clock({ type: "CronClock", cron: "61 * * * *" }), /61/],
    [clock({ type: "IntervalClock", interval: 30_000_000 }), /less than 60 s apart/],
    [clock({ type: "IntervalClock", interval: "1h" }), /its `interval` is "1h"/],
    [
      clock({
        type: "IntervalClock",
        interval: HOUR_MS * 1_000,
        start_date: { dt: "2026-01-01T00:00:00", tz: "Mars/Base" },
      }),
      /Mars/,
    ],
    [{ ...everyHour(), filters: [{ fn: "my.own.filter", kwargs: {} }] }, /my\.own\.filter/],
    [{ clocks: {} }, /`clocks`/],
  ];
  for (const [schedule, message] of bad) {
    t.match(await refusalOf(register(cloud, { schedule })), { code: "SCHEDULE_INVALID", message });
  }
  t.strictSame(await cloud.rows("SELECT id FROM flow"), []);
  const none = await register(cloud, { schedule: { clocks: [] } });
  t.strictSame(await timesOf(cloud, none.id), [], "one without clocks makes no runs");
});

t.test("an archived flow begins no run any more: its scheduled ones are deleted, the others cancelled", async (t) => {
  const cloud = await startTestCloud(t, { clock: new HandClock() });
  const flow = await register(cloud, { schedule: everyHour() });
  const { id } = await cloud.call("create_flow_run", { flow_id: flow.id });
  t.strictSame(await cloud.call("archive_flow", { flow_id: flow.id }), { success: true, error: null });
  t.strictSame(await timesOf(cloud, flow.id), []);
  t.match(await cloud.rows("SELECT state, state_message FROM flow_run WHERE id = ?1", id), [
    { state: "Cancelled", state_message: `Flow ${flow.id} was archived.` },
  ]);
  t.match(await cloud.call("archive_flow", { flow_id: flow.id }), { success: true }, "twice is no harm");
  t.equal((await refusalOf(cloud.call("set_schedule_active", { flow_id: flow.id }))).code, "FLOW_ARCHIVED");
  t.equal((await refusalOf(cloud.call("create_flow_run", { flow_id: flow.id }))).code, "FLOW_ARCHIVED");
});

t.test("a new version takes over: the runs of the one before it are deleted, and its own are made", async (t) => {
  const cloud = await startTestCloud(t, { clock: new HandClock() });
  const first = await register(cloud, { schedule: everyHour() }, { version_group_id: "g" });
  const second = await register(cloud, { schedule: everyHour() }, { version_group_id: "g" });
  t.strictSame(await timesOf(cloud, first.id), []);
  t.equal((await timesOf(cloud, second.id)).length, 10);
});

t.test("a flow that is not there, or another tenant's, is refused everywhere", async (t) => {
  const cloud = await startTestCloud(t, { clock: new HandClock() });
  const flow = await register(cloud, { schedule: everyHour() });
  const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
  const names = ["set_schedule_active", "set_schedule_inactive", "archive_flow"] as const;
  for (const [flow_id, headers] of [
    [newId(), undefined],
    [flow.id, theirs],
  ] as const) {
    for (const name of names) {
      t.match(await refusalOf(cloud.call(name, { flow_id }, headers)), {
        code: "FLOW_NOT_FOUND",
        message: `Flow ${flow_id} not found.`,
      });
    }
    t.match(await cloud.call("delete_flow", { flow_id }, headers), { success: false });
  }
  for (const name of names) t.equal((await refusalOf(cloud.call(name, { flow_id: "one" }))).code, "INPUT_INVALID");
  t.equal((await timesOf(cloud, flow.id)).length, 10);
});
