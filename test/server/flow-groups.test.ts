import t from "tap";
import { newId } from "../../src/core/ids.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { deployFlow, flowRunRow, HandClock, refusalOf, startTestCloud, TestAgent } from "../helpers/server.js";

const HOUR_MS = 60 * 60 * 1_000;
const clock = new HandClock();
const cloud = await startTestCloud(t, { clock });
const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
const DONE = { success: true, error: null };

async function newRun(flowId: string, given: Record<string, unknown> = {}) {
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId, ...given });
  const row = await flowRunRow(cloud, id);
  const read = (column: string) => JSON.parse(String(row[column])) as unknown;
  return { labels: read("labels"), run_config: read("run_config"), parameters: read("parameters") };
}
async function groupRow(id: string): Promise<Record<string, unknown>> {
  const [row] = await cloud.rows("SELECT * FROM flow_group WHERE id = ?1", id);
  return row!;
}
const autoRuns = (flowId: string) =>
  cloud.rows<{ scheduled_start_time: string; labels: string; parameters: string; state: string }>(
    `SELECT scheduled_start_time, labels, parameters, state FROM flow_run WHERE flow_id = ?1 AND auto_scheduled = 1
     ORDER BY scheduled_start_time`,
    flowId,
  );
const timesOf = async (flowId: string) => (await autoRuns(flowId)).map((run) => run.scheduled_start_time.slice(0, 16));

t.test(
  "a group's labels, run config and parameters stand over the version's, for new runs, until they are taken back",
  async (t) => {
    const flow = await deployFlow(cloud, { name: "overridden", parameters: [{ name: "n", default: 1 }] });
    const flow_group_id = flow.flowGroupId;
    const before = await newRun(flow.flowId);
    const run_config = { type: "LocalRun", env: { A: "1" }, labels: ["gpu"] };
    t.strictSame(await cloud.call("set_flow_group_run_config", { flow_group_id, run_config }), DONE);
    t.strictSame(await newRun(flow.flowId), { ...before, labels: ["gpu"], run_config });
    t.strictSame(await cloud.call("set_flow_group_labels", { flow_group_id, labels: ["b", "a", " b "] }), DONE);
    t.match(await newRun(flow.flowId), { labels: ["a", "b"] });
    await cloud.call("set_flow_group_labels", { flow_group_id, labels: [] });
    t.match(await newRun(flow.flowId), { labels: [] }, "an empty list says: none");
    t.match(
      await newRun(flow.flowId, { labels: ["mine"] }),
      { labels: ["mine"] },
      "who asks for a run has the last word",
    );
    t.strictSame(await cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: { n: 7 } }), DONE);
    t.match(await newRun(flow.flowId), { parameters: { n: 7 } });
    t.match(await newRun(flow.flowId, { parameters: { n: 8 } }), { parameters: { n: 8 } });
    await deployFlow(cloud, { name: "overridden", parameters: [{ name: "n", default: 2 }] });
    const [newest] = await cloud.rows<{ id: string }>("SELECT id FROM flow WHERE name = 'overridden' AND version = 2");
    t.match(await newRun(newest!.id), { parameters: { n: 7 }, labels: [] }, "they outlive the version");
    await cloud.call("set_flow_group_labels", { flow_group_id });
    await cloud.call("set_flow_group_run_config", { flow_group_id });
    await cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: {} });
    t.match(await newRun(newest!.id), { ...before, parameters: { n: 2 } });
  },
);

t.test("a group's description and switches are its own, and the flow's settings show them", async (t) => {
  const flow = await deployFlow(cloud, { name: "switched" });
  const { flowId: flow_id, flowGroupId: flow_group_id } = flow;
  t.strictSame(await cloud.call("set_flow_group_description", { flow_group_id, description: "Runs **daily**" }), DONE);
  t.match(await groupRow(flow_group_id), { description: "Runs **daily**" });
  await cloud.call("set_flow_group_description", { flow_group_id });
  t.match(await groupRow(flow_group_id), { description: null });
  const settings = async () => {
    const { body } = await cloud.ask(`{ flow_by_pk(id: "${flow_id}") { settings } }`);
    return (body.data!.flow_by_pk as { settings: Record<string, unknown> }).settings;
  };
  t.match(await settings(), { heartbeat_enabled: true, lazarus_enabled: true, version_locking_enabled: false });
  for (const [name, shown] of [
    ["disable_flow_heartbeat", { heartbeat_enabled: false, disable_heartbeat: true }],
    ["disable_flow_lazarus_process", { heartbeat_enabled: false, lazarus_enabled: false }],
    ["enable_flow_version_lock", { lazarus_enabled: false, version_locking_enabled: true }],
    ["enable_flow_heartbeat", { heartbeat_enabled: true, disable_heartbeat: false, version_locking_enabled: true }],
    ["enable_flow_lazarus_process", { lazarus_enabled: true }],
    ["disable_flow_version_lock", { version_locking_enabled: false, heartbeat_enabled: true }],
  ] as const) {
    t.strictSame(await cloud.call(name, { flow_id }), DONE);
    t.strictSame(await cloud.call(name, { flow_id }), DONE, "twice is once");
    t.match(await settings(), shown, name);
    t.equal((await refusalOf(cloud.call(name, { flow_id: newId() }))).code, "FLOW_NOT_FOUND");
    t.equal((await refusalOf(cloud.call(name, { flow_id }, theirs))).code, "FLOW_NOT_FOUND");
  }
});

t.test("a group's schedule stands in place of its versions', in its time zone, and is taken back", async (t) => {
  const flow = await deployFlow(cloud, { name: "clocked", parameters: [{ name: "n", default: 1 }] });
  const { flowId, flowGroupId: flow_group_id } = flow;
  const cron = { cron: "30 9 * * *", parameter_defaults: { n: 5 } };
  t.strictSame(
    await cloud.call("set_flow_group_schedule", { flow_group_id, cron_clocks: [cron], timezone: "Europe/Berlin" }),
    DONE,
  );
  t.strictSame(await timesOf(flowId), [], "the flow's schedule is not active yet");
  t.match(JSON.parse(String((await groupRow(flow_group_id)).schedule)), {
    type: "Schedule",
    clocks: [
      {
        type: "CronClock",
        cron: "30 9 * * *",
        start_date: { dt: "2026-11-23T11:00:00", tz: "Europe/Berlin" },
        parameter_defaults: { n: 5 },
        labels: null,
      },
    ],
  });
  t.match(await cloud.call("set_schedule_active", { flow_id: flowId }), { success: true });
  t.strictSame((await timesOf(flowId)).slice(0, 2), ["2026-11-24T08:30", "2026-11-25T08:30"]);
  t.match(JSON.parse((await autoRuns(flowId))[0]!.parameters), { n: 5 });
  const interval_clocks = [{ interval: 2 * 60 * 60 }];
  await cloud.call("set_flow_group_schedule", { flow_group_id, interval_clocks });
  t.strictSame(
    (await timesOf(flowId)).slice(0, 2),
    ["2026-11-23T12:00", "2026-11-23T14:00"],
    "and nothing of the old one",
  );
  t.match(JSON.parse(String((await groupRow(flow_group_id)).schedule)), { clocks: [{ interval: 7_200_000_000 }] });
  t.strictSame(await cloud.call("delete_flow_group_schedule", { flow_group_id }), DONE);
  t.strictSame(await timesOf(flowId), []);
  t.match(await groupRow(flow_group_id), { schedule: null });
  t.strictSame(await cloud.call("delete_flow_group_schedule", { flow_group_id }), DONE, "twice is once");
});

t.test(
  "runs that a schedule has made for later are made anew with the group's settings; those that are due stay",
  async (t) => {
    const flow = await deployFlow(cloud, { name: "remade", parameters: [{ name: "n", default: 1 }] });
    const { flowId, flowGroupId: flow_group_id } = flow;
    await cloud.call("set_flow_group_schedule", { flow_group_id, interval_clocks: [{ interval: 60 * 60 }] });
    await cloud.call("set_schedule_active", { flow_id: flowId });
    clock.forward(HOUR_MS + 1_000);
    await cloud.call("set_flow_group_labels", { flow_group_id, labels: ["eu"] });
    await cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: { n: 2 } });
    const [due, ...later] = await autoRuns(flowId);
    t.match(due, { scheduled_start_time: "2026-11-23T11:00:00.000Z", labels: '["host"]', parameters: '{"n":1}' });
    t.equal(later.length, 10);
    for (const run of later) t.match(run, { labels: '["eu"]', parameters: '{"n":2}', state: "Scheduled" });
    t.equal(new Set(later.map((run) => run.scheduled_start_time)).size, 10);
    const agent = await TestAgent.register(cloud);
    t.match(await agent.claim(1, { flow_group_id }), { runs: [{ flow_id: flowId }] }, "what was due is run");
  },
);

t.test("what a group cannot be given is refused by name", async (t) => {
  const { flowGroupId: flow_group_id } = await deployFlow(cloud, { name: "refusing" });
  const cases: [() => Promise<unknown>, string, RegExp][] = [
    [
      () => cloud.call("set_flow_group_run_config", { flow_group_id, run_config: "local" }),
      "INPUT_INVALID",
      /`run_config` must be an object/,
    ],
    [
      () => cloud.call("set_flow_group_run_config", { flow_group_id, run_config: {} }),
      "INPUT_INVALID",
      /`run_config.type`/,
    ],
    [
      () => cloud.call("set_flow_group_run_config", { flow_group_id, run_config: { type: "LocalRun", labels: "a" } }),
      "INPUT_INVALID",
      /labels/,
    ],
    [
      () => cloud.call("set_flow_group_run_config", { flow_group_id, run_config: { type: "LocalRun", env: [] } }),
      "INPUT_INVALID",
      /env/,
    ],
    [
      () => cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: [1] }),
      "INPUT_INVALID",
      /`parameters` must be an object/,
    ],
    [() => cloud.call("set_flow_group_schedule", { flow_group_id }), "SCHEDULE_INVALID", /no clocks/],
    [
      () => cloud.call("set_flow_group_schedule", { flow_group_id, cron_clocks: [{ cron: "often" }] }),
      "SCHEDULE_INVALID",
      /often/,
    ],
    [
      () => cloud.call("set_flow_group_schedule", { flow_group_id, interval_clocks: [{ interval: 59 }] }),
      "SCHEDULE_INVALID",
      /60 s/,
    ],
    [
      () => cloud.call("set_flow_group_schedule", { flow_group_id, interval_clocks: [{ interval: -1 }] }),
      "SCHEDULE_INVALID",
      /interval/,
    ],
    [
      () =>
        cloud.call("set_flow_group_schedule", {
          flow_group_id,
          cron_clocks: [{ cron: "0 9 * * *" }],
          timezone: "Mars/Base",
        }),
      "SCHEDULE_INVALID",
      /`timezone` is "Mars\/Base"/,
    ],
    [
      () =>
        cloud.call("set_flow_group_schedule", {
          flow_group_id,
          cron_clocks: [{ cron: "0 9 * * *", parameter_defaults: 3 }],
        }),
      "SCHEDULE_INVALID",
      /parameter_defaults/,
    ],
  ];
  for (const [call, code, message] of cases) t.match(await refusalOf(call()), { code, message });
  const { labels, run_config, schedule, default_parameters } = await groupRow(flow_group_id);
  t.strictSame([labels, run_config, schedule, default_parameters], [null, null, null, "{}"]);
});

t.test(
  "a group that is not there, or another tenant's, is refused everywhere; deleting one takes all its versions",
  async (t) => {
    const flow = await deployFlow(cloud, { name: "doomed" });
    await deployFlow(cloud, { name: "doomed" });
    await cloud.call("create_flow_run", { version_group_id: String((await groupRow(flow.flowGroupId)).name) });
    const cron_clocks = [{ cron: "0 9 * * *" }];
    for (const [flow_group_id, headers] of [
      [newId(), undefined],
      [flow.flowGroupId, theirs],
    ] as const) {
      for (const call of [
        () => cloud.call("set_flow_group_description", { flow_group_id }, headers),
        () => cloud.call("set_flow_group_labels", { flow_group_id }, headers),
        () => cloud.call("set_flow_group_run_config", { flow_group_id }, headers),
        () => cloud.call("set_flow_group_default_parameters", { flow_group_id, parameters: {} }, headers),
        () => cloud.call("set_flow_group_schedule", { flow_group_id, cron_clocks }, headers),
        () => cloud.call("delete_flow_group_schedule", { flow_group_id }, headers),
      ]) {
        t.match(await refusalOf(call()), {
          code: "FLOW_GROUP_NOT_FOUND",
          message: `There is no flow group "${flow_group_id}".`,
        });
      }
      t.match(await cloud.call("delete_flow_group", { flow_group_id }, headers), { success: false });
    }
    const flow_group_id = flow.flowGroupId;
    t.equal((await cloud.rows("SELECT id FROM flow WHERE flow_group_id = ?1", flow_group_id)).length, 2);
    t.strictSame(await cloud.call("delete_flow_group", { flow_group_id }), DONE);
    t.strictSame(await cloud.rows("SELECT id FROM flow WHERE flow_group_id = ?1", flow_group_id), []);
    t.match(await cloud.call("delete_flow_group", { flow_group_id }), { success: false }, "once");
    t.match(await deployFlow(cloud, { name: "doomed" }), { flowGroupId: /.+/ }, "and the flow is registered anew");
  },
);
