import t from "tap";
import type { ParameterSpec } from "../../src/core/flow-spec.js";
import type { Schedule } from "../../src/core/schedule/schedule.js";
import { filters } from "../../src/core/schedule/schedule-rules.js";
import { schedules } from "../../src/core/schedule/schedules.js";
import { checkDeployedSchedule, checkSchedule } from "../../src/schedule/check-schedule.js";
import { scheduleEvents } from "../../src/schedule/schedule-events.js";

const rrule = (text: string): Schedule => ({ clocks: [{ kind: "rrule", rrule: text }] });
const exDates = Array.from({ length: 30_000 }, () => "20260101T000000Z").join(",");

const refused: [title: string, schedule: unknown, message: RegExp][] = [
  ["no clocks", { clocks: [] }, /no clocks/],
  [
    "too many clocks",
    { clocks: Array.from({ length: 101 }, () => ({ kind: "interval", intervalMs: 1 })) },
    /101 clocks/,
  ],
  ["a clock that is none", { clocks: [null] }, /no object/],
  ["an unknown policy", { ...schedules.cron("@daily"), onMissed: "some" }, /`onMissed`.*"skip".*"some"/],
  ["a most of nothing", { ...schedules.cron("@daily"), onMissed: "all", maxMissed: 0 }, /`maxMissed`.*1 to 1000.*0/],
  ["a most of one's own", { ...schedules.cron("@daily"), onMissed: "latest", maxMissed: 3 }, /`maxMissed` is for/],
  ["an unknown clock", { clocks: [{ kind: "moon" }] }, /kind "moon"/],
  ["an interval of nothing", { clocks: [{ kind: "interval", intervalMs: 0 }] }, /`intervalMs`.*0/],
  ["a minute 61", schedules.cron("61 * * * *"), /"61 \* \* \* \*".*minute/],
  ["a word for cron", schedules.cron("@sometimes"), /"@sometimes"/],
  ["the 30th of February", schedules.cron("0 0 30 2 *"), /names no date.*0 0 30 2/],
  [
    "an end before its start",
    schedules.cron("0 0 * * *", { startAt: "2026-01-02", endAt: "2026-01-01" }),
    /names no date/,
  ],
  ["no dates", { clocks: [{ kind: "dates", dates: [] }] }, /names no date/],
  ["a date that is none", { clocks: [{ kind: "dates", dates: ["2026-02-30"] }] }, /"2026-02-30"/],
  ["too many dates", { clocks: [{ kind: "dates", dates: Array(10_001).fill("2026-01-01") }] }, /10001 dates/],
  ["an unknown zone", { clocks: [{ kind: "cron", cron: "* * * * *", timeZone: "Europe/Nowhere" }] }, /Europe\/Nowhere/],
  [
    "defaults that are no JSON",
    { clocks: [{ kind: "cron", cron: "* * * * *", parameterDefaults: [1] }] },
    /`parameterDefaults`/,
  ],
  ["labels that are no words", { clocks: [{ kind: "cron", cron: "* * * * *", labels: [1] }] }, /`labels`/],
  [
    "an unknown filter",
    { ...schedules.cron("* * * * *"), filters: [{ name: "isFullMoon", args: {} }] },
    /"isFullMoon"/,
  ],
  [
    "a filter's bad argument",
    { ...schedules.cron("* * * * *"), filters: [{ name: "onDate", args: { month: 13, day: 1 } }] },
    /`month`.*13/,
  ],
  [
    "a filter among the adjustments",
    { ...schedules.cron("* * * * *"), adjustments: [filters.isWeekday] },
    /`isWeekday`.*adjustments/,
  ],
  ["a rule without FREQ", rrule("RRULE:INTERVAL=2"), /no FREQ/],
  ["a rule without a rule", rrule("DTSTART:20260101T000000Z"), /no RRULE/],
  ["an unknown FREQ", rrule("FREQ=OFTEN"), /FREQ cannot be "OFTEN"/],
  ["an unknown part, such as dateutil's", rrule("FREQ=YEARLY;BYEASTER=0"), /"BYEASTER=0"/],
  ["an hour 24", rrule("FREQ=DAILY;BYHOUR=9,24"), /BYHOUR cannot be "24"/],
  ["an interval of 0", rrule("FREQ=DAILY;INTERVAL=0"), /INTERVAL cannot be "0"/],
  ["a part given twice", rrule("FREQ=DAILY;BYHOUR=1;BYHOUR=2"), /BYHOUR twice/],
  ["a day that is none", rrule("FREQ=WEEKLY;BYDAY=XX"), /BYDAY cannot be "XX"/],
  ["a DTSTART that is none", rrule("DTSTART:20260230T000000Z\nRRULE:FREQ=DAILY"), /"20260230T000000Z" is no date/],
  ["an unknown line", rrule("SUMMARY:Lunch\nRRULE:FREQ=DAILY"), /"SUMMARY"/],
  [
    "an unknown zone in a rule",
    rrule("DTSTART;TZID=Europe/Nowhere:20260101T000000\nRRULE:FREQ=DAILY"),
    /Europe\/Nowhere|EUROPE\/NOWHERE/,
  ],
  ["too many rules", rrule(Array(21).fill("RRULE:FREQ=DAILY").join("\n")), /more than 20 rules/],
  ["too long a text", rrule(`RRULE:FREQ=DAILY\nEXDATE:${exDates}`), /characters/],
  ["a rule that never comes true", rrule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), /names no date/],
  [
    "a rule that never comes true, looked for by seconds",
    rrule("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"),
    /names no date/,
  ],
  [
    "an hour that the steps never meet",
    rrule("DTSTART:20190101T000000Z\nRRULE:FREQ=HOURLY;INTERVAL=24;BYHOUR=5"),
    /names no date/,
  ],
  [
    "a rule whose dates are all taken away",
    rrule("DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;COUNT=1\nEXDATE:20260101T000000Z"),
    /names no date/,
  ],
];
for (const [title, schedule, message] of refused) {
  t.test(`a schedule with ${title} is refused`, async (t) => {
    t.throws(() => checkSchedule(schedule as Schedule), { code: "SCHEDULE_INVALID", message });
  });
}

t.test("schedules that can be read pass, also those whose dates are over", async (t) => {
  for (const schedule of [
    schedules.interval({ everyMs: 1 }),
    schedules.cron("@daily"),
    schedules.cron("5/15 9-17 * * MON-FRI", { timeZone: "America/St_Johns" }),
    schedules.cron("0 0 29 2 *"),
    schedules.cron("@hourly"),
    schedules.cron("0 9 L * *"),
    schedules.cron("0 9 15W * *"),
    schedules.cron("0 9 * * 5#3"),
    schedules.dates(["2001-01-01"]),
    rrule("DTSTART:19970902T090000Z\nRRULE:FREQ=DAILY;COUNT=10"),
    rrule("FREQ=MONTHLY;BYDAY=-1FR"),
    rrule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"),
    rrule("RDATE:20260101T000000Z"),
    rrule('DTSTART;TZID="-05:00":20260101T090000\nRRULE:FREQ=DAILY'),
  ])
    t.doesNotThrow(() => checkSchedule(schedule));
});

const hostile: [title: string, schedule: Schedule][] = [
  ["every second, far from its start", rrule("DTSTART;TZID=Europe/Berlin:19700101T000000\nRRULE:FREQ=SECONDLY")],
  ["a billion seconds, counted", rrule("DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY;COUNT=1000000000")],
  ["steps that meet once in years", rrule("FREQ=HOURLY;INTERVAL=23;BYMONTH=2;BYMONTHDAY=29;BYHOUR=5")],
  [
    "every second of a year, the last of them",
    rrule(
      `FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=${[...Array(24).keys()]};BYMINUTE=${[...Array(60).keys()]};BYSECOND=${[...Array(60).keys()]};BYSETPOS=-1`,
    ),
  ],
  [
    "10,000 taken away",
    rrule(
      `DTSTART:20260101T000000Z\nRRULE:FREQ=MINUTELY\nEXDATE:${Array.from({ length: 10_000 }, (_, index) => new Date(Date.UTC(2026, 0, 1) + index * 60_000).toISOString().replace(/[-:]|\.000/g, "")).join(",")}`,
    ),
  ],
];
for (const [title, schedule] of hostile) {
  t.test(`a rule takes a bounded time, and its dates or a clear error come of it: ${title}`, async (t) => {
    const from = performance.now();
    const before = process.memoryUsage().heapUsed;
    const never = { ...schedule, filters: [filters.onDate(2, 30)] };
    for (const each of [schedule, never]) {
      try {
        t.ok(scheduleEvents(each, { after: "2026-01-01", limit: 10 }).length <= 10);
      } catch (error) {
        t.match(error, { code: "SCHEDULE_INVALID", message: /too many steps|take too long/ });
      }
    }
    t.ok(performance.now() - from < 15_000, "seconds, on the slowest machine");
    t.ok(process.memoryUsage().heapUsed - before < 300 * 1024 * 1024);
  });
}

const parameter = (name: string, required: boolean): ParameterSpec =>
  ({ name, required, default: null, description: null, jsonSchema: null }) as ParameterSpec;
const deployed =
  (schedule: Schedule | null, ...parameters: ParameterSpec[]) =>
  () =>
    checkDeployedSchedule({ name: "orders", parameters, schedule });

t.test("a deployed flow runs once a minute at most", async (t) => {
  const code = "SCHEDULE_INVALID";
  t.throws(deployed(schedules.interval({ every: "59s" })), { code, message: /"orders".*60 s.*59000/ });
  t.throws(deployed(schedules.cron("*/30 * * * * *")), { code, message: /60 s/ });
  t.throws(deployed(schedules.rrule("FREQ=MINUTELY;BYSECOND=0,30")), { code, message: /60 s/ });
  t.throws(deployed(schedules.rrule("FREQ=SECONDLY")), { code, message: /60 s/ });
  for (const schedule of [
    schedules.interval({ every: "60s" }),
    schedules.cron("* * * * *"),
    schedules.cron("30 * * * * *"),
    schedules.rrule("FREQ=SECONDLY;INTERVAL=60"),
    schedules.dates(["2026-01-01T00:00:00", "2026-01-01T00:00:01"]),
    null,
  ])
    t.doesNotThrow(deployed(schedule));
});

t.test(
  "every clock of a deployed flow gives each required parameter, and none that the flow does not have",
  async (t) => {
    const day = parameter("day", true);
    const cron = (parameterDefaults?: Record<string, unknown>) =>
      schedules.cron("0 9 * * *", parameterDefaults ? { parameterDefaults } : {});
    t.throws(deployed(cron(), day), { code: "SCHEDULE_INVALID", message: /"orders".*"day"/ });
    t.throws(deployed(schedules.combine({ clocks: [cron({ day: 1 }), cron()] }), day), { message: /"day"/ });
    t.throws(deployed(cron({ day: 1, week: 2 }), day), { message: /no parameter "week"/, hint: /day/ });
    t.doesNotThrow(deployed(cron({ day: 1 }), day));
    t.doesNotThrow(deployed(cron(), parameter("day", false)));
  },
);
