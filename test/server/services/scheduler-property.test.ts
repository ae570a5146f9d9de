import fc from "fast-check";
import t from "tap";
import type { Schedule } from "../../../src/core/schedule/schedule.js";
import { schedules } from "../../../src/core/schedule/schedules.js";
import { scheduleEvents } from "../../../src/schedule/schedule-events.js";
import { brokenInvariants } from "../../helpers/invariants.js";
import { HandClock, startTestCloud, type TestCloud } from "../../helpers/server.js";
import { deployScheduled, HOUR, MINUTE, SECOND } from "./bed.js";

/*
 * Whatever happens to servers and clock, no start time of a schedule has two runs; and while a server runs, or where the
 * schedule makes up for everything, each has one.
 */

const RUNS = Number(process.env.PROPERTY_RUNS ?? 15);
/** Around the end of summer time, when an hour is shown twice. */
const STARTS_AT = Date.parse("2026-10-24T22:00:00Z");

const clockOf = fc.oneof(
  fc.integer({ min: 1, max: 120 }).map((minutes) => schedules.interval({ everyMs: minutes * MINUTE })),
  fc
    .tuple(fc.integer({ min: 1, max: 30 }), fc.constantFrom("UTC", "Europe/Berlin", "America/New_York"))
    .map(([minutes, timeZone]) => schedules.cron(`*/${minutes} * * * *`, { timeZone })),
  fc.integer({ min: 0, max: 59 }).map((minute) => schedules.cron(`${minute} 2 * * *`, { timeZone: "Europe/Berlin" })),
);
const scheduleOf = fc
  .tuple(
    fc.uniqueArray(clockOf, { minLength: 1, maxLength: 3, selector: (each) => JSON.stringify(each) }),
    fc.boolean(),
  )
  .map(([clocks, labelled]): Schedule => {
    const [first, ...rest] = clocks.flatMap((each) => each.clocks);
    return { clocks: [labelled ? { ...first!, labels: ["own"] } : first!, ...rest], onMissed: "all", maxMissed: 1_000 };
  });

type Step =
  | { kind: "pass"; ms: number }
  | { kind: "down"; ms: number }
  | { kind: "killed"; ms: number }
  | { kind: "step"; ms: number }
  | { kind: "other server" };
const stepOf: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 2 * HOUR }) }),
  },
  fc.record({ kind: fc.constant("down" as const), ms: fc.integer({ min: 1, max: 6 * HOUR }) }),
  fc.record({ kind: fc.constant("killed" as const), ms: fc.integer({ min: 1, max: 6 * HOUR }) }),
  fc.record({ kind: fc.constant("step" as const), ms: fc.constantFrom(-HOUR, HOUR) }),
  fc.constant({ kind: "other server" as const }),
);

async function world(t: Parameters<typeof startTestCloud>[0], schedule: Schedule, steps: readonly Step[]) {
  const clock = new HandClock();
  clock.step(STARTS_AT - clock.now());
  let cloud = await startTestCloud(t, { clock });
  await deployScheduled(cloud, schedule);
  let latestMs = clock.now();
  const open: TestCloud[] = [cloud];
  const see = async () => {
    await cloud.server.tick();
    latestMs = Math.max(latestMs, clock.now());
  };
  await see();
  for (const step of steps) {
    if (step.kind === "pass") {
      for (let left = step.ms; left > 0; left -= MINUTE) {
        clock.forward(Math.min(left, MINUTE));
        await see();
      }
    } else if (step.kind === "step") {
      clock.step(step.ms);
    } else if (step.kind === "other server") {
      cloud = await startTestCloud(t, { clock, database: cloud.file });
      open.push(cloud);
      await see();
    } else {
      if (step.kind === "killed") await cutOff(cloud);
      await cloud.server.close();
      clock.forward(step.ms);
      cloud = await startTestCloud(t, { clock, database: cloud.file });
      open.push(cloud);
      await see();
    }
  }
  clock.forward(MINUTE);
  await see();
  return { cloud, latestMs, close: async () => void (await Promise.all(open.map((each) => each.server.close()))) };
}

/** As if the last round had ended before its mark, and before the notes beside its flows. */
async function cutOff(cloud: TestCloud): Promise<void> {
  await cloud.server.database.write(async (transaction) => {
    const before = new Date(STARTS_AT).toISOString();
    await transaction.run("UPDATE service_mark SET at = ?1 WHERE name = 'scheduler'", before);
    await transaction.run("UPDATE flow SET scheduled_at = ?1", before);
  });
}

t.test(
  "every start time has exactly one run, through restarts, deaths, steps of the clock and several servers",
  async (t) => {
    const property = fc.asyncProperty(
      scheduleOf,
      fc.array(stepOf, { minLength: 1, maxLength: 6 }),
      async (schedule, steps) => {
        const { cloud, latestMs, close } = await world(t, schedule, steps);
        try {
          const rows = await cloud.rows<{ at: string; labels: string }>(
            "SELECT scheduled_start_time AS at, labels FROM flow_run ORDER BY 1, 2",
          );
          const found = rows.map((row) => `${row.at} ${row.labels === '["own"]' ? "own" : ""}`);
          if (new Set(found).size !== found.length) throw new Error("A start time has two runs.");
          const events = scheduleEvents(schedule, {
            after: new Date(STARTS_AT),
            before: new Date(latestMs + SECOND),
            limit: 10_000,
          });
          const missing = events
            .map((event) => `${event.startAt} ${event.labels ? "own" : ""}`)
            .filter((event) => !found.includes(event));
          if (missing.length > 0)
            throw new Error(`${missing.length} start times have no run: ${missing.slice(0, 3).join(", ")}`);
          const broken = await brokenInvariants(cloud);
          if (broken.length > 0) throw new Error(broken.join("\n"));
        } finally {
          await close();
        }
      },
    );
    await fc.assert(property, { numRuns: RUNS });
    t.pass(`${RUNS} histories`);
  },
);
