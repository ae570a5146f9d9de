import t from "tap";
import { schedules } from "../../../src/core/schedule/schedules.js";
import { toSerializedSchedule } from "../../../src/schedule/serialized-schedule.js";
import { brokenInvariants } from "../../helpers/invariants.js";
import { startTestCloud, TestAgent } from "../../helpers/server.js";
import { autoRuns, bed, deployScheduled, everyMinutes, HOUR, MINUTE, SECOND } from "./bed.js";

t.test("ten runs are made ahead as soon as a flow is registered, and one more as each is due", async (t) => {
  const { cloud, letPass } = await bed(t);
  const { flowId } = await deployScheduled(cloud, everyMinutes(5));
  const minutes = (count: number) =>
    Array.from({ length: count }, (_, index) => {
      const at = 10 * 60 + (index + 1) * 5;
      return `${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")} Scheduled`;
    });
  t.strictSame(await autoRuns(cloud), minutes(10));
  t.match(
    await cloud.rows(
      "SELECT idempotency_key, version, state_start_time, labels FROM flow_run ORDER BY created, state_start_time LIMIT 1",
    ),
    [
      {
        idempotency_key: "auto-scheduled:2026-11-23T10:05:00+00:00",
        version: 1,
        state_start_time: "2026-11-23T10:05:00.000Z",
        labels: '["host"]',
      },
    ],
  );
  t.match(await cloud.rows("SELECT DISTINCT state FROM task_run"), [{ state: "Pending" }]);
  await cloud.server.tick();
  await letPass(4 * MINUTE);
  t.equal((await autoRuns(cloud, flowId)).length, 10, "none is due");
  await letPass(2 * MINUTE);
  t.strictSame(await autoRuns(cloud), minutes(11));
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a clock's parameters and labels are its runs', over the group's; two clocks may meet", async (t) => {
  const { cloud } = await bed(t);
  const schedule = schedules.combine({
    clocks: [
      schedules.dates(["2026-11-23T11:00:00Z"], { parameterDefaults: { day: "mon" }, labels: ["night", "big"] }),
      schedules.dates(["2026-11-23T11:00:00Z"], { labels: [] }),
      schedules.dates(["2026-11-23T11:00:00Z"]),
    ],
  });
  await deployScheduled(cloud, schedule, {
    parameters: [
      { name: "day", default: "any" },
      { name: "of", default: null },
    ],
  });
  const rows = await cloud.rows<{ idempotency_key: string }>(
    "SELECT idempotency_key, labels, parameters FROM flow_run ORDER BY labels",
  );
  t.match(rows, [
    { labels: '["big","night"]', parameters: '{"day":"mon"}' },
    { labels: '["host"]', parameters: '{"day":"any"}' },
    { labels: "[]", parameters: '{"day":"any"}' },
  ]);
  t.match(rows[0]?.idempotency_key, /^auto-scheduled:2026-11-23T11:00:00\+00:00:[0-9a-f]{32}$/);
  t.match(rows[1]?.idempotency_key, /^auto-scheduled:2026-11-23T11:00:00\+00:00$/);
  t.match(rows[2]?.idempotency_key, /^auto-scheduled:2026-11-23T11:00:00\+00:00:[0-9a-f]{32}$/);
  t.equal(new Set(rows.map((row) => row.idempotency_key)).size, 3);
});

t.test("a schedule in the past makes no runs, and one that ends makes those that it has", async (t) => {
  const { cloud } = await bed(t);
  await deployScheduled(cloud, schedules.dates(["2020-01-01T00:00:00Z"]), { name: "over" });
  await deployScheduled(cloud, schedules.dates(["2020-01-01T00:00:00Z", "2026-11-23T12:00:00.250Z"]), { name: "once" });
  t.strictSame(await autoRuns(cloud), ["12:00 Scheduled"]);
  t.match(await cloud.rows("SELECT idempotency_key FROM flow_run"), [
    { idempotency_key: "auto-scheduled:2026-11-23T12:00:00.250+00:00" },
  ]);
});

t.test("runs follow the local clock over the change to winter time and back", async (t) => {
  const { cloud, clock } = await bed(t);
  clock.step(Date.parse("2026-10-24T00:00:00Z") - clock.now());
  await deployScheduled(cloud, schedules.cron("30 2 * * *", { timeZone: "Europe/Berlin" }));
  const rows = await cloud.rows<{ at: string }>("SELECT scheduled_start_time AS at FROM flow_run ORDER BY 1 LIMIT 3");
  t.strictSame(
    rows.map((row) => row.at),
    ["2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"],
  );
});

t.test(
  "a bad schedule is logged once, by its flow's name, shown beside the flow, and no other flow's trouble",
  async (t) => {
    const { cloud, letPass } = await bed(t);
    const { flowId } = await deployScheduled(cloud, everyMinutes(60), { name: "good" });
    const bad = await deployScheduled(cloud, everyMinutes(60), { name: "bad" });
    const broken = JSON.stringify({ ...toSerializedSchedule(everyMinutes(60)), clocks: [{ type: "SunClock" }] });
    await cloud.server.database.write((transaction) =>
      transaction.run("UPDATE flow SET schedule = ?1, updated = 'now' WHERE id = ?2", broken, bad.flowId),
    );
    await letPass(2 * HOUR + MINUTE);
    const said = cloud.log.filter((line) => line.message.includes("SunClock"));
    t.equal(said.length, 1);
    t.match(
      said[0]?.message,
      new RegExp(`^Flow "bad" \\(${bad.flowId}\\) is scheduled, and runs cannot be made: SCHEDULE_INVALID: `),
    );
    t.match(await cloud.rows("SELECT name, schedule_error FROM flow ORDER BY name"), [
      { name: "bad", schedule_error: /^SCHEDULE_INVALID: .*SunClock/ },
      { name: "good", schedule_error: null },
    ]);
    t.equal((await autoRuns(cloud, flowId)).length, 12);
    const mended = JSON.stringify(toSerializedSchedule(everyMinutes(60)));
    await cloud.server.database.write((transaction) =>
      transaction.run("UPDATE flow SET schedule = ?1, updated = 'then' WHERE id = ?2", mended, bad.flowId),
    );
    await letPass(30 * SECOND);
    t.strictSame(await cloud.rows("SELECT schedule_error FROM flow WHERE name = 'bad'"), [{ schedule_error: null }]);
    t.equal((await autoRuns(cloud, bad.flowId)).length, 12);
  },
);

t.test("a clock that gives a required parameter no value is said; the other clock's runs are made", async (t) => {
  const { cloud } = await bed(t);
  const both = schedules.combine({
    clocks: [
      schedules.dates(["2026-11-23T11:00:00Z"]),
      schedules.dates(["2026-11-23T12:00:00Z"], { parameterDefaults: { day: 1 } }),
    ],
  });
  const { flowId } = await deployScheduled(cloud, both, { parameters: [{ name: "day", required: true }] });
  await cloud.server.database.write((transaction) =>
    transaction.run("UPDATE flow SET is_schedule_active = 1, updated = 'now' WHERE id = ?1", flowId),
  );
  await cloud.server.tick();
  t.strictSame(await autoRuns(cloud), ["12:00 Scheduled"]);
  t.match(await cloud.rows("SELECT schedule_error FROM flow"), [{ schedule_error: /^PARAMETER_MISSING: .*day/ }]);
});

t.test("a new version takes the schedule over, and no start time is run by both", async (t) => {
  const { cloud, letPass } = await bed(t);
  const first = await deployScheduled(cloud, everyMinutes(30));
  await letPass(MINUTE);
  const second = await deployScheduled(cloud, everyMinutes(30), { tasks: ["z-1"] });
  t.not(second.flowId, first.flowId);
  t.strictSame(await autoRuns(cloud, first.flowId), []);
  t.equal((await autoRuns(cloud, second.flowId)).length, 10);
  const agent = await TestAgent.register(cloud);
  await letPass(HOUR);
  t.equal((await agent.claim()).runs.length, 2);
});

t.test("two servers over one file, in step and out of step, make each run once", async (t) => {
  const { cloud, clock } = await bed(t);
  const other = await startTestCloud(t, { clock, database: cloud.file });
  await deployScheduled(cloud, everyMinutes(1));
  for (let half = 0; half < 60; half++) {
    clock.forward(30 * SECOND);
    // One after the other: within one process SQLite's writers would wait for each other for ever.
    if (half % 3 === 0) await cloud.server.tick();
    if (half % 2 === 0) await other.server.tick();
  }
  const runs = await autoRuns(cloud);
  t.equal(new Set(runs).size, runs.length);
  t.ok(runs.length === 39 || runs.length === 40, "the newest may wait for the next round");
  t.strictSame(
    [...cloud.log, ...other.log].filter((line) => line.level === "error"),
    [],
  );
});

t.test("a round over many flows lets others have their turns in between", async (t) => {
  const { cloud, clock } = await bed(t);
  for (let count = 0; count < 60; count++) await deployScheduled(cloud, everyMinutes(30), { name: `flow ${count}` });
  await cloud.server.tick();
  clock.forward(HOUR);
  let [turns, isOver] = [0, false];
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await cloud.server.tick();
  isOver = true;
  t.ok(turns > 2, `${turns} turns`);
  t.equal((await autoRuns(cloud)).length, 60 * 12);
});

t.test("a start time that comes while its group is being changed keeps its run, whenever it comes", async (t) => {
  let nowMs = Date.parse("2026-11-23T10:00:00.000Z");
  let stepMs = 0;
  // Time goes on with each look at the clock.
  const clock = {
    now: () => {
      nowMs += stepMs;
      return nowMs;
    },
    elapsed: () => 0,
  };
  const cloud = await startTestCloud(t, { clock });
  const { flowGroupId: flow_group_id } = await deployScheduled(cloud, everyMinutes(5));
  for (let hour = 10; hour < 14; hour += 1) {
    for (let early = 1; early <= 5; early += 1) {
      const dueMs = Date.parse(`2026-11-23T${hour}:00:00.000Z`) + early * 10 * MINUTE;
      nowMs = dueMs - early * 100;
      stepMs = 100;
      await cloud.call("set_flow_group_labels", { flow_group_id, labels: [`l-${hour}-${early}`] });
      stepMs = 0;
      const at = new Date(dueMs).toISOString();
      const runs = await cloud.rows("SELECT id FROM flow_run WHERE scheduled_start_time = ?1", at);
      t.equal(runs.length, 1, `${at}, ${early * 100} ms before it`);
    }
  }
});
