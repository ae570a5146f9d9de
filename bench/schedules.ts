import type { Schedule } from "../src/core/schedule/schedule.js";
import { filters } from "../src/core/schedule/schedule-rules.js";
import { schedules } from "../src/core/schedule/schedules.js";
import { scheduleEvents } from "../src/schedule/schedule-events.js";
import { type BenchTable, median, perSecond } from "./table.js";

const EVENTS = 2_000;
const ROUNDS = 7;
const AFTER = "2026-01-01T00:00:00Z";
const zone = { timeZone: "Europe/Berlin" };

const cases: Record<string, Schedule> = {
  "interval, by days": schedules.interval({ every: "1d", ...zone }),
  "interval, by minutes": schedules.interval({ every: "1m", ...zone }),
  cron: schedules.cron("30 9 * * 1-5", zone),
  dates: schedules.dates(
    Array.from({ length: EVENTS }, (_, day) => new Date(Date.parse(AFTER) + (day + 1) * 86_400_000)),
    zone,
  ),
  "rrule, by days": schedules.rrule("FREQ=DAILY;BYHOUR=9", zone),
  "rrule, by hours": schedules.rrule("FREQ=HOURLY", zone),
  "three clocks and a filter": schedules.combine({
    clocks: [
      schedules.interval({ every: "1h", ...zone }),
      schedules.cron("15 * * * *", zone),
      schedules.rrule("FREQ=DAILY", zone),
    ],
    filters: [filters.isWeekday],
  }),
};

/** Events a second by kind of clock, beside the same question asked of Intl alone: what does a zone's clock show? */
export function benchSchedules(): BenchTable {
  const format = new Intl.DateTimeFormat("en-US", { ...zone, dateStyle: "short", timeStyle: "medium" });
  const bareMs = time(() => {
    for (let index = 0; index < EVENTS; index += 1) format.format(Date.parse(AFTER) + index * 86_400_000);
  });
  return {
    title: "Events of schedules",
    rows: Object.entries(cases).map(([what, schedule]) => {
      const ms = time(() => {
        const found = scheduleEvents(schedule, { after: AFTER, limit: EVENTS }).length;
        if (found !== EVENTS) throw new Error(`${what}: ${found} events`);
      });
      return {
        what,
        figure: perSecond((EVENTS / ms) * 1_000),
        bare: `${perSecond((EVENTS / bareMs) * 1_000)} Intl`,
        ratio: (ms / bareMs).toFixed(1),
        goal: "",
      };
    }),
    note: "Every event in a zone with daylight saving asks Intl two or three times; cron and rules by hours ask more.",
  };
}

function time(round: () => void): number {
  const spans: number[] = [];
  for (let index = 0; index < ROUNDS; index += 1) {
    const from = performance.now();
    round();
    if (index > 1) spans.push(performance.now() - from);
  }
  return median(spans);
}
