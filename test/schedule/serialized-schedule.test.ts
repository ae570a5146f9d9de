import t from "tap";
import { isJson } from "../../src/core/json.js";
import type { Schedule } from "../../src/core/schedule/schedule.js";
import { adjustments, filters } from "../../src/core/schedule/schedule-rules.js";
import { schedules } from "../../src/core/schedule/schedules.js";
import { scheduleEvents } from "../../src/schedule/schedule-events.js";
import { fromSerializedSchedule, toSerializedSchedule } from "../../src/schedule/serialized-schedule.js";

const berlin = { timeZone: "Europe/Berlin" };
const facts = { parameterDefaults: { day: "today" }, labels: ["eu"] };
const events = (schedule: Schedule) => scheduleEvents(schedule, { after: "2026-03-27", limit: 12 });
/** As the Cloud gives it back. */
const throughJson = (schedule: Schedule): Record<string, never> =>
  JSON.parse(JSON.stringify(toSerializedSchedule(schedule)));
const common = { parameter_defaults: {}, labels: null, __version__: "1.4.1" };

t.test("schedules are written as Prefect 1.4.1 writes them", async (t) => {
  const { clocks, ...rules } = toSerializedSchedule(
    schedules.combine({
      clocks: [
        schedules.interval({
          every: "90m",
          startAt: "2026-01-01T09:00",
          endAt: "2026-06-01T09:00",
          ...berlin,
          ...facts,
        }),
        schedules.interval({ every: "1h" }),
        schedules.cron("30 0 9 * * 1-5", { ...berlin, dayOr: false }),
        schedules.dates(["2026-01-01T09:00", "2026-07-01T07:00:00.250Z"], berlin),
        schedules.rrule("FREQ=DAILY;UNTIL=20270101T000000Z", berlin),
      ],
      filters: [filters.isWeekday, filters.isDayOfWeek(0), filters.onDate(2, 1)],
      orFilters: [filters.betweenTimes("09:00", "17:30"), filters.atTime("12:00:00")],
      notFilters: [filters.betweenDates(12, 24, 1, 1), filters.onDatetime("2026-01-01T09:00:00+00:00")],
      adjustments: [adjustments.add("1h"), adjustments.add(1_500), adjustments.nextWeekday],
    }),
  );
  t.same(clocks, [
    {
      type: "IntervalClock",
      interval: 5_400_000_000,
      start_date: { dt: "2026-01-01T09:00:00", tz: "Europe/Berlin" },
      end_date: { dt: "2026-06-01T09:00:00", tz: "Europe/Berlin" },
      parameter_defaults: { day: "today" },
      labels: ["eu"],
      __version__: "1.4.1",
    },
    { type: "IntervalClock", interval: 3_600_000_000, start_date: null, end_date: null, ...common },
    {
      type: "CronClock",
      // croniter has the seconds last; the zone lies in the start.
      cron: "0 9 * * 1-5 30",
      day_or: false,
      start_date: { dt: "2019-01-01T00:00:00", tz: "Europe/Berlin" },
      end_date: null,
      ...common,
    },
    {
      type: "DatesClock",
      dates: [
        { dt: "2026-01-01T09:00:00", tz: "Europe/Berlin" },
        { dt: "2026-07-01T09:00:00.250", tz: "Europe/Berlin" },
      ],
      ...common,
    },
    {
      type: "RRuleClock",
      rrule_obj: {
        type: "rrule",
        rr: "DTSTART:20190101T000000\nRRULE:FREQ=DAILY;UNTIL=20270101T010000",
        _dtstart: "2019-01-01T00:00:00+01:00",
        _until: "2027-01-01T01:00:00+01:00",
        __version__: "1.4.1",
      },
      start_date: null,
      end_date: null,
      ...common,
      millrace: { rrule: "FREQ=DAILY;UNTIL=20270101T000000Z", time_zone: "Europe/Berlin" },
    },
  ]);
  const fn = (name: string, kwargs = {}) => ({ fn: `prefect.schedules.${name}`, kwargs });
  t.same(rules, {
    filters: [
      fn("filters.is_weekday"),
      fn("filters.is_day_of_week", { day_of_week: 0 }),
      fn("filters.on_date", { month: 2, day: 1 }),
    ],
    or_filters: [
      fn("filters.between_times", { start: "//time:09:00:00", end: "//time:17:30:00" }),
      fn("filters.at_time", { t: "//time:12:00:00" }),
    ],
    not_filters: [
      fn("filters.between_dates", { start_month: 12, start_day: 24, end_month: 1, end_day: 1 }),
      fn("filters.on_datetime", { dt: "//datetime:2026-01-01T09:00:00+00:00" }),
    ],
    adjustments: [
      fn("adjustments.add", { interval: "//timedelta:3600.0" }),
      fn("adjustments.add", { interval: "//timedelta:1.5" }),
      fn("adjustments.next_weekday"),
    ],
    __version__: "1.4.1",
  });
});

const roundTrips: [title: string, schedule: Schedule][] = [
  ["an interval", schedules.interval({ every: "1d 2h", ...berlin, ...facts })],
  ["an interval from a moment", schedules.interval({ every: "1d", startAt: new Date("2026-03-01T08:00Z"), ...berlin })],
  ["cron", schedules.cron("0 9 * * 1-5", { endAt: "2026-04-02T09:00" })],
  ["cron with seconds, in a zone", schedules.cron("30 0 9 13 * 5", { dayOr: false, ...berlin })],
  ["dates", schedules.dates(["2026-04-01", "2026-05-01T09:00:00.5"], { timeZone: "America/St_Johns" })],
  ["a rule in a zone", schedules.rrule("FREQ=WEEKLY;BYDAY=MO,SU;BYHOUR=2;BYMINUTE=30", berlin)],
  [
    "a rule with exceptions",
    schedules.rrule(
      "DTSTART;TZID=Europe/Berlin:20260301T090000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SA\nRDATE:20260404T120000\nEXDATE:20260330T090000",
      { startAt: "2026-03-28", ...facts },
    ),
  ],
  [
    "filters and adjustments",
    schedules.combine({
      clocks: [schedules.interval({ every: "1h", ...berlin })],
      filters: [filters.isWeekend, filters.betweenDatetimes("2026-03-01", "2026-06-01T00:00:00+02:00")],
      orFilters: [filters.atTime("09:00"), filters.betweenTimes("22:00", "02:00")],
      notFilters: [filters.isMonthEnd, filters.isMonthStart, filters.betweenDates(4, 1, 4, 7)],
      adjustments: [adjustments.nextWeekday, adjustments.add("-90m")],
    }),
  ],
];
for (const [title, schedule] of roundTrips) {
  t.test(`what the Cloud gives back makes the same events: ${title}`, async (t) => {
    const back = fromSerializedSchedule(throughJson(schedule));
    t.ok(isJson(back));
    t.ok(events(schedule).length > 1);
    t.same(events(back), events(schedule));
    t.same(fromSerializedSchedule(throughJson(back)), back, "and is written and read again as it is");
  });
}

t.test("a rule is also read without the part that is ours, as Python sees it", async (t) => {
  const python = (schedule: Schedule) => {
    const serialized = throughJson(schedule) as unknown as ReturnType<typeof toSerializedSchedule>;
    for (const clock of serialized.clocks) delete clock.millrace;
    return fromSerializedSchedule(serialized);
  };
  const until = schedules.rrule("DTSTART:20260301T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260330T090000Z");
  t.same(events(python(until)), events(until));
  const set = schedules.rrule(
    "DTSTART:20260301T090000Z\nRRULE:FREQ=DAILY\nRDATE:20260401T120000Z\nEXDATE:20260328T090000Z",
  );
  t.same(events(python(set)), events(set));
  const zoned = schedules.rrule("DTSTART;TZID=Europe/Berlin:20260301T090000\nRRULE:FREQ=DAILY", {
    startAt: "2026-03-01",
    ...berlin,
  });
  t.same(events(python(zoned)), events(zoned), "a clock whose start names the zone gives it back to the rule");
});

const flowOf = (...clocks: unknown[]) => ({ clocks, filters: [], or_filters: [], not_filters: [], adjustments: [] });

t.test("schedules of Python flows are read", async (t) => {
  t.same(
    fromSerializedSchedule(
      flowOf(
        {
          type: "IntervalClock",
          interval: 60_000_000,
          start_date: { dt: "2026-01-01T00:00:00.123456", tz: "UTC" },
          ...common,
        },
        { type: "CronClock", cron: "*/5 * * * *", day_or: null, start_date: null, end_date: null, ...common },
        {
          type: "DatesClock",
          dates: [
            { dt: "2026-01-01T09:00:00", tz: "Europe/Berlin" },
            { dt: "2026-01-01T09:00:00", tz: "+02:00" },
          ],
          ...common,
        },
        {
          type: "CronClock",
          cron: "0 9 * * *",
          start_date: { dt: "2026-01-01T00:00:00", tz: "America/New_York" },
          end_date: { dt: "2026-02-01T00:00:00", tz: "UTC" },
          ...common,
          parameter_defaults: { x: 1 },
          labels: ["gpu"],
        },
      ),
    ).clocks,
    [
      { kind: "interval", intervalMs: 60_000, startAt: "2026-01-01T00:00:00.123456" },
      { kind: "cron", cron: "*/5 * * * *" },
      { kind: "dates", dates: ["2026-01-01T08:00:00.000Z", "2026-01-01T07:00:00.000Z"] },
      {
        kind: "cron",
        cron: "0 9 * * *",
        startAt: "2026-01-01T00:00:00",
        endAt: "2026-02-01T00:00:00.000Z",
        timeZone: "America/New_York",
        parameterDefaults: { x: 1 },
        labels: ["gpu"],
      },
    ],
  );
  // As dateutil writes `rrule(DAILY, dtstart=…, until=…)`: no zone in the text, offsets beside it.
  const rrule_obj = {
    type: "rrule",
    rr: "DTSTART:20260301T090000\nRRULE:FREQ=DAILY;UNTIL=20260329T090000",
    _dtstart: "2026-03-01T09:00:00-05:00",
    _until: "2026-03-29T09:00:00-05:00",
  };
  const read = fromSerializedSchedule(
    flowOf({ type: "RRuleClock", rrule_obj, start_date: null, end_date: null, ...common }),
  );
  t.same(
    events(read).map(({ startAt }) => startAt),
    ["2026-03-27T14:00:00.000Z", "2026-03-28T14:00:00.000Z", "2026-03-29T14:00:00.000Z"],
  );
});

t.test("what is done about missed start times travels under a key of our own, which Prefect leaves out", async (t) => {
  for (const missed of [{ onMissed: "latest" }, { onMissed: "all", maxMissed: 5 }] as const) {
    const schedule = schedules.cron("0 9 * * *", missed);
    t.same(fromSerializedSchedule(throughJson(schedule)), schedule);
  }
  t.notOk("millrace" in throughJson(schedules.cron("0 9 * * *")));
  t.same(throughJson(schedules.cron("0 9 * * *", { onMissed: "skip" })).millrace, { on_missed: "skip" });
});

const refused: [title: string, serialized: unknown][] = [
  ["nothing", null],
  ["clocks that are no list", { clocks: {} }],
  ["an unknown clock", flowOf({ type: "MoonClock" })],
  ["an interval without one", flowOf({ type: "IntervalClock", interval: "PT1H" })],
  ["cron without text", flowOf({ type: "CronClock", cron: null })],
  ["a date without a day", flowOf({ type: "DatesClock", dates: [{ dt: "soon", tz: "UTC" }] })],
  ["a rule without text", flowOf({ type: "RRuleClock", rrule_obj: { type: "rrule" } })],
  ["a rule that is no rule", flowOf({ type: "RRuleClock", rrule_obj: { type: "rrule", rr: "every day" } })],
  ["a set with a date that is none", flowOf({ type: "RRuleClock", rrule_obj: { type: "rruleset", _rdate: ["soon"] } })],
  ["a function of one's own as filter", { ...flowOf(), filters: [{ fn: "my.module.full_moon", kwargs: {} }] }],
  [
    "a filter that Prefect does not have",
    { ...flowOf(), filters: [{ fn: "prefect.schedules.filters.to_string", kwargs: {} }] },
  ],
  [
    "a filter's argument without its mark",
    { ...flowOf(), filters: [{ fn: "prefect.schedules.filters.at_time", kwargs: { t: "09:00" } }] },
  ],
];
for (const [title, serialized] of refused) {
  t.test(`a serialized schedule with ${title} is refused`, async (t) => {
    t.throws(() => fromSerializedSchedule(serialized), { code: "SCHEDULE_INVALID" });
  });
}
