import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import { autoRuns, bed, DAY, deployScheduled, downFor, everyMinutes, HOUR, MINUTE, SECOND } from "./bed.js";

const states = (runs: string[]) => runs.map((run) => run.split(" ")[1]);
const count = (runs: string[], state: string) => states(runs).filter((each) => each === state).length;

t.test("skip: what passed while the Cloud was down is not run, and says so; its row stays", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  await deployScheduled(cloud, everyMinutes(15));
  await letPass(MINUTE);
  const again = await downFor(t, { cloud, clock, ms: HOUR + MINUTE });
  const runs = await autoRuns(again);
  t.strictSame(runs.slice(0, 5), [
    "10:15 Cancelled",
    "10:30 Cancelled",
    "10:45 Cancelled",
    "11:00 Scheduled",
    "11:15 Scheduled",
  ]);
  t.equal(runs.length, 14);
  const message =
    "Skipped: due at 2026-11-23T10:15:00.000Z, and the Cloud was not running from 2026-11-23T10:00:35.000Z to 2026-11-23T11:02:00.000Z. The schedule's `onMissed` says what is made up for.";
  t.match(await again.rows("SELECT state_message FROM flow_run WHERE scheduled_start_time < '2026-11-23T10:30'"), [
    { state_message: message },
  ]);
  t.match(await again.rows("SELECT name, level, message FROM log ORDER BY id LIMIT 1"), [
    { name: "millrace.scheduler", level: "WARNING", message },
  ]);
  t.strictSame(await brokenInvariants(again), []);
});

t.test("a start time is late, and run, until five minutes after it; then it is missed", async (t) => {
  for (const [extra, state] of [
    [0, "Scheduled"],
    [1, "Cancelled"],
  ] as const) {
    const { cloud, clock, letPass } = await bed(t);
    await deployScheduled(cloud, everyMinutes(15));
    await letPass(MINUTE);
    const again = await downFor(t, { cloud, clock, ms: 14 * MINUTE + 5 * MINUTE - 1 + extra });
    t.equal((await autoRuns(again))[0], `10:15 ${state}`, `${extra} ms`);
  }
});

t.test("how long a start time may be late is an option", async (t) => {
  const services = { scheduler: { missedAfterMs: 2 * HOUR } };
  const { cloud, clock, letPass } = await bed(t, services);
  await deployScheduled(cloud, everyMinutes(15));
  await letPass(MINUTE);
  const again = await downFor(t, { cloud, clock, ms: HOUR, services });
  t.equal(count(await autoRuns(again), "Cancelled"), 0);
});

t.test("latest: one run is made up for, the newest, however long the Cloud was down", async (t) => {
  for (const [ms, newest] of [
    [30 * MINUTE, 25],
    [DAY, 24 * 60 - 5],
    [400 * DAY, 400 * 24 * 60 - 5],
  ] as const) {
    const { cloud, clock, letPass } = await bed(t);
    await deployScheduled(cloud, everyMinutes(5, { onMissed: "latest" }));
    await letPass(MINUTE);
    const downAt = clock.now();
    const again = await downFor(t, { cloud, clock, ms });
    const due = await again.rows<{ at: string }>(
      "SELECT scheduled_start_time AS at FROM flow_run WHERE state = 'Scheduled' AND scheduled_start_time <= ?1 ORDER BY 1",
      new Date(clock.now()).toISOString(),
    );
    // The one of five minutes ago is late, not missed.
    const at = (minutes: number) => new Date(downAt - MINUTE + minutes * MINUTE).toISOString();
    t.strictSame(due[0], { at: at(newest) }, `down for ${ms / HOUR} h`);
    t.ok(due.length <= 2);
    t.ok(count(await autoRuns(again), "Cancelled") <= 10, "those that were made ahead");
  }
});

t.test("all: each is run, up to a most, the newest of them", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  const everything = await deployScheduled(cloud, everyMinutes(10, { onMissed: "all" }), { name: "everything" });
  const some = await deployScheduled(cloud, everyMinutes(10, { onMissed: "all", maxMissed: 3 }), { name: "some" });
  await letPass(MINUTE);
  const again = await downFor(t, { cloud, clock, ms: 5 * HOUR });
  const runs = await autoRuns(again, everything.flowId);
  t.strictSame([runs[0], runs.at(-1), runs.length], ["10:10 Scheduled", "16:40 Scheduled", 40]);
  t.equal(count(runs, "Cancelled"), 0);
  const capped = await autoRuns(again, some.flowId);
  t.strictSame(
    capped.filter((run) => run.endsWith("Scheduled")).slice(0, 4),
    ["14:30 Scheduled", "14:40 Scheduled", "14:50 Scheduled", "15:00 Scheduled"],
    "15:00 is late, not missed",
  );
  t.equal(count(capped, "Cancelled"), 10);
});

t.test("what was made up for is not made up for again after the next outage", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  await deployScheduled(cloud, everyMinutes(10, { onMissed: "latest" }));
  await letPass(MINUTE);
  const second = await downFor(t, { cloud, clock, ms: 2 * HOUR });
  const before = await autoRuns(second);
  t.equal(count(before.slice(0, -10), "Scheduled"), 2, "the newest one missed, and one that is late");
  const third = await downFor(t, { cloud: second, clock, ms: 2 * MINUTE });
  t.strictSame(await autoRuns(third), before);
});

t.test("runs that wait for an agent while the Cloud runs are not missed, however late they are", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  await deployScheduled(cloud, everyMinutes(30));
  await letPass(2 * HOUR + MINUTE);
  const again = await downFor(t, { cloud, clock, ms: HOUR });
  const runs = await autoRuns(again);
  t.strictSame(runs.slice(0, 7), [
    "10:30 Scheduled",
    "11:00 Scheduled",
    "11:30 Scheduled",
    "12:00 Scheduled",
    "12:30 Cancelled",
    "13:00 Scheduled",
    "13:30 Scheduled",
  ]);
});

t.test("nobody makes up for what passed while a schedule was not active", async (t) => {
  const { cloud, letPass } = await bed(t);
  const { flowId } = await deployScheduled(cloud, everyMinutes(10, { onMissed: "all" }));
  await letPass(MINUTE);
  await cloud.call("set_schedule_inactive", { flow_id: flowId });
  t.strictSame(await autoRuns(cloud), []);
  await letPass(2 * HOUR);
  await cloud.call("set_schedule_active", { flow_id: flowId });
  const runs = await autoRuns(cloud);
  t.strictSame([runs[0], runs.length], ["12:10 Scheduled", 10]);
  await letPass(MINUTE);
  t.equal((await autoRuns(cloud)).length, 10);
});

t.test("a server that dies between a flow's runs and the round's mark makes nothing twice", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  await deployScheduled(cloud, everyMinutes(10, { onMissed: "latest" }));
  await letPass(MINUTE);
  const [mark] = await cloud.rows<{ at: string }>("SELECT at FROM service_mark WHERE name = 'scheduler'");
  const second = await downFor(t, { cloud, clock, ms: 2 * HOUR });
  const before = await autoRuns(second);
  // As if the round had been cut off before its last write.
  await second.server.database.write((transaction) =>
    transaction.run("UPDATE service_mark SET at = ?1 WHERE name = 'scheduler'", mark!.at),
  );
  const third = await downFor(t, { cloud: second, clock, ms: 10 * SECOND });
  t.strictSame(await autoRuns(third), before);
});
