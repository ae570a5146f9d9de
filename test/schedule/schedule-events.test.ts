import fc from "fast-check";
import t from "tap";
import type { Schedule, ScheduleRule } from "../../src/core/schedule/schedule.js";
import { adjustments, filters } from "../../src/core/schedule/schedule-rules.js";
import { schedules } from "../../src/core/schedule/schedules.js";
import { MAX_CANDIDATES, scheduleEvents, searchEvents } from "../../src/schedule/schedule-events.js";

const next = (schedule: Schedule, after: string, limit = 5): string[] =>
  scheduleEvents(schedule, { after, limit }).map(({ startAt }) => startAt.slice(0, 16));
const hourly = schedules.interval({ every: "1h" });
const combine = (rules: Omit<Parameters<typeof schedules.combine>[0], "clocks">, ...clocks: Schedule[]): Schedule =>
  schedules.combine({ clocks: clocks.length > 0 ? clocks : [hourly], ...rules });

t.test("an interval counts from its start, the start included, to its end, the end included", async (t) => {
  const clock = schedules.interval({ every: "1h", startAt: "2026-01-01T00:30", endAt: "2026-01-01T02:30" });
  t.same(next(clock, "2025-01-01"), ["2026-01-01T00:30", "2026-01-01T01:30", "2026-01-01T02:30"]);
  t.same(next(clock, "2026-01-01T00:30"), ["2026-01-01T01:30", "2026-01-01T02:30"], "strictly after");
  t.same(next(hourly, "2026-01-01T00:00:00.001Z", 1), ["2026-01-01T01:00"], "from the start of 2019 by default");
  const odd = schedules.interval({ every: "1d 12h", startAt: "2026-03-27T12:00", timeZone: "Europe/Berlin" });
  t.same(
    next(odd, "2026-03-27", 3),
    ["2026-03-27T11:00", "2026-03-28T23:00", "2026-03-30T10:00"],
    "whole days by the local clock, the rest elapsed",
  );
});

t.test("a cron clock takes its start and its end", async (t) => {
  const clock = schedules.cron("0 9 * * *", { startAt: "2026-01-02T09:00", endAt: "2026-01-03T09:00" });
  t.same(next(clock, "2025-01-01"), ["2026-01-02T09:00", "2026-01-03T09:00"]);
  t.same(next(schedules.cron("0 9 * * *", { startAt: "2026-01-02T09:00:00.5" }), "2025-01-01", 1), [
    "2026-01-03T09:00",
  ]);
});

t.test("days of the month and of the week: one is enough, unless both are asked for", async (t) => {
  t.same(next(schedules.cron("0 0 13 * 5"), "2026-02-01", 4), [
    "2026-02-06T00:00",
    "2026-02-13T00:00",
    "2026-02-20T00:00",
    "2026-02-27T00:00",
  ]);
  t.same(next(schedules.cron("0 0 13 * 5", { dayOr: false }), "2026-02-01", 2), [
    "2026-02-13T00:00",
    "2026-03-13T00:00",
  ]);
});

t.test("dates come in order, each once", async (t) => {
  const clock = schedules.dates(["2026-03-01", new Date("2026-01-01T09:00Z"), "2026-01-01T10:00+01:00", "2025-01-01"]);
  t.same(next(clock, "2025-06-01"), ["2026-01-01T09:00", "2026-03-01T00:00"]);
});

t.test("a recurrence rule counts from its DTSTART, or from the clock's start", async (t) => {
  const facts = { startAt: "2026-03-27T09:30", timeZone: "Europe/Berlin" };
  t.same(next(schedules.rrule("FREQ=DAILY;INTERVAL=2", facts), "2026-01-01", 3), [
    "2026-03-27T08:30",
    "2026-03-29T07:30",
    "2026-03-31T07:30",
  ]);
  t.same(
    next(
      schedules.rrule("DTSTART:20260301T080000Z\nRRULE:FREQ=DAILY", { ...facts, endAt: "2026-03-29" }),
      "2026-01-01",
    ),
    ["2026-03-28T08:00"],
    "both bounds cut",
  );
  const set =
    "DTSTART;TZID=Europe/Berlin:20260301T090000\r\nRRULE:FREQ=DAILY;UNTIL=20260401T090000\r\nEXRULE:FREQ=WEEKLY;BYDAY=SA,\r\n SU\r\nEXDATE:20260330T090000\r\nRDATE:20260331T120000";
  t.same(next(schedules.rrule(set), "2026-03-27T03:00Z"), [
    "2026-03-27T08:00",
    "2026-03-31T07:00",
    "2026-03-31T10:00",
    "2026-04-01T07:00",
  ]);
});

t.test("clocks are merged; what they have in common comes once, unless its parameters or labels differ", async (t) => {
  const [nine, ten] = ["0 9 * * *", "0 10 * * *"].map((cron) => schedules.cron(cron));
  t.same(next(combine({}, ten!, nine!, nine!), "2026-01-01", 3), [
    "2026-01-01T09:00",
    "2026-01-01T10:00",
    "2026-01-02T09:00",
  ]);
  const eu = schedules.cron("0 9 * * *", { parameterDefaults: { region: "EU" }, labels: ["eu"] });
  t.same(scheduleEvents(combine({}, nine!, eu, eu), { after: "2026-01-01", limit: 2 }), [
    { startAt: "2026-01-01T09:00:00.000Z", parameterDefaults: {}, labels: undefined },
    { startAt: "2026-01-01T09:00:00.000Z", parameterDefaults: { region: "EU" }, labels: ["eu"] },
  ]);
});

const ruleCases: [title: string, rules: Parameters<typeof combine>[0], after: string, expected: string[]][] = [
  ["on a moment", { filters: [filters.onDatetime("2026-02-01T05:00Z")] }, "2026-01-31T20:00", ["2026-02-01T05:00"]],
  ["on a date", { filters: [filters.onDate(2, 1)] }, "2026-01-31T22:00", ["2026-02-01T00:00", "2026-02-01T01:00"]],
  ["at a time", { filters: [filters.atTime("05:00")] }, "2026-01-31T20:00", ["2026-02-01T05:00", "2026-02-02T05:00"]],
  [
    "between moments",
    { filters: [filters.betweenDatetimes("2026-02-01T05:00", "2026-02-01T06:00")] },
    "2026-01-31T20:00",
    ["2026-02-01T05:00", "2026-02-01T06:00"],
  ],
  [
    "between dates across the year",
    { filters: [filters.betweenDates(12, 31, 1, 1), filters.atTime("00:00")] },
    "2026-06-01",
    ["2026-12-31T00:00", "2027-01-01T00:00"],
  ],
  [
    "between times across midnight",
    { filters: [filters.betweenTimes("23:00", "01:00")] },
    "2026-06-01T12:00",
    ["2026-06-01T23:00", "2026-06-02T00:00", "2026-06-02T01:00", "2026-06-02T23:00"],
  ],
  [
    "on weekdays",
    { filters: [filters.isWeekday, filters.atTime("00:00")] },
    "2026-11-20T12:00",
    ["2026-11-23T00:00", "2026-11-24T00:00"],
  ],
  [
    "on weekends",
    { filters: [filters.isWeekend, filters.atTime("00:00")] },
    "2026-11-20T12:00",
    ["2026-11-21T00:00", "2026-11-22T00:00", "2026-11-28T00:00"],
  ],
  [
    "on Sundays",
    { filters: [filters.isDayOfWeek(0), filters.atTime("00:00")] },
    "2026-11-20T12:00",
    ["2026-11-22T00:00", "2026-11-29T00:00"],
  ],
  [
    "at a month's start or end",
    { orFilters: [filters.isMonthStart, filters.isMonthEnd], filters: [filters.atTime("00:00")] },
    "2028-02-10",
    ["2028-02-29T00:00", "2028-03-01T00:00", "2028-03-31T00:00"],
  ],
  [
    "at none of the times left out",
    { notFilters: [filters.betweenTimes("01:00", "22:00"), filters.isWeekend] },
    "2026-11-20T12:00",
    ["2026-11-20T23:00", "2026-11-23T00:00", "2026-11-23T23:00"],
  ],
];
for (const [title, rules, after, expected] of ruleCases) {
  t.test(`filters: ${title}`, async (t) => {
    t.same(next(combine(rules), after, expected.length), expected);
  });
}

t.test("filters look at the clock of the event's own zone", async (t) => {
  const berlin = schedules.interval({ every: "1h", timeZone: "Europe/Berlin" });
  const rules = { filters: [filters.atTime("09:00")] };
  t.same(next(combine(rules, berlin), "2026-03-28", 2), ["2026-03-28T08:00", "2026-03-29T07:00"]);
  const zoned = schedules.rrule("DTSTART;TZID=Asia/Tokyo:20260101T000000\nRRULE:FREQ=HOURLY");
  t.same(next(combine(rules, zoned), "2026-03-28", 2), ["2026-03-29T00:00", "2026-03-30T00:00"]);
});

t.test("adjustments move in order, and what falls on one moment is one event", async (t) => {
  const daily = schedules.cron("0 9 * * *", { timeZone: "Europe/Berlin" });
  const toMonday = combine({ adjustments: [adjustments.nextWeekday] }, daily);
  t.same(next(toMonday, "2026-03-27T12:00", 3), ["2026-03-30T07:00", "2026-03-31T07:00", "2026-04-01T07:00"]);
  t.same(
    next(combine({ adjustments: [adjustments.add("-1d"), adjustments.nextWeekday] }, daily), "2026-11-20T12:00", 2),
    ["2026-11-23T08:00", "2026-11-24T08:00"],
  );
});

t.test("an event that is moved behind `after` counts, wherever it came from", async (t) => {
  const saturdays = schedules.cron("0 9 * * 6");
  const toMonday = combine({ adjustments: [adjustments.nextWeekday] }, saturdays);
  t.same(next(toMonday, "2026-11-22T12:00", 2), ["2026-11-23T09:00", "2026-11-30T09:00"], "asked on Sunday");
  const later = combine({ adjustments: [adjustments.add("2d")] }, schedules.cron("0 9 * * *"));
  t.same(next(later, "2026-11-22T12:00", 2), ["2026-11-23T09:00", "2026-11-24T09:00"]);
  const bySecond = combine({ adjustments: [adjustments.add("2d")] }, schedules.interval({ everyMs: 1_000 }));
  t.equal(
    scheduleEvents(bySecond, { after: "2026-11-22T12:00:00", limit: 1 })[0]?.startAt,
    "2026-11-24T12:00:01.000Z",
    "where there are too many to look back on, those are passed over",
  );
});

t.test("a search ends: at its limit, at `before`, after 10,000 candidates", async (t) => {
  t.same(scheduleEvents(hourly, { after: "2026-01-01", limit: 0 }), []);
  t.equal(
    scheduleEvents(hourly, { after: "2026-01-01", before: "2026-01-02", limit: 100 }).length,
    23,
    "`before` is out",
  );
  const never = combine({ filters: [filters.onDate(2, 30)] });
  t.same(scheduleEvents(never, { after: "2026-01-01", limit: 1 }), []);
  const minute = schedules.interval({ every: "1m" });
  t.equal(scheduleEvents(minute, { after: "2026-01-01", limit: 20_000 }).length, MAX_CANDIDATES);
});

t.test("a search says how far it has come, so that the next can go on from there", async (t) => {
  const until = (schedule: Schedule, search: Partial<Parameters<typeof searchEvents>[1]>) =>
    searchEvents(schedule, { after: "2026-01-01", limit: 1, ...search }).searchedUntil;
  t.equal(until(hourly, {}), "2026-01-01T01:00:00.000Z", "the limit reached");
  t.equal(until(hourly, { limit: 50, before: "2026-01-01T05:30" }), "2026-01-01T05:30:00.000Z");
  t.equal(until(schedules.dates(["2020-01-01"]), {}), null, "no further dates, ever");
  const seldom = combine(
    { filters: [filters.onDate(12, 24), filters.atTime("00:00")] },
    schedules.interval({ every: "10m" }),
  );
  const found: string[] = [];
  let searches = 0;
  for (let after: string | null = "2026-01-01"; after !== null && found.length < 2; searches += 1) {
    const { events, searchedUntil } = searchEvents(seldom, { after, limit: 1 });
    found.push(...events.map(({ startAt }) => startAt));
    after = searchedUntil;
  }
  t.same(found, ["2026-12-24T00:00:00.000Z", "2027-12-24T00:00:00.000Z"]);
  t.ok(searches > 8, "of 10,000 candidates each");
});

const zones = ["UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia"];
const zone = fc.constantFrom(...zones);
const moment = fc
  .integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2030, 0, 1) })
  .map((ms) => new Date(ms).toISOString());
const clock = fc.oneof(
  fc
    .record({ everyMs: fc.integer({ min: 60_000, max: 40 * 86_400_000 }), startAt: moment, timeZone: zone })
    .map((options) => schedules.interval(options)),
  fc
    .tuple(
      fc.integer({ min: 0, max: 59 }),
      fc.integer({ min: 0, max: 23 }),
      fc.constantFrom("*", "1-5", "0", "*/2"),
      zone,
    )
    .map(([minute, hour, weekday, timeZone]) => schedules.cron(`${minute} ${hour} * * ${weekday}`, { timeZone })),
  fc
    .tuple(fc.array(moment, { minLength: 1, maxLength: 20 }), zone)
    .map(([dates, timeZone]) => schedules.dates(dates, { timeZone })),
  fc
    .tuple(fc.constantFrom("HOURLY", "DAILY", "WEEKLY", "MONTHLY"), fc.integer({ min: 1, max: 5 }), zone)
    .map(([freq, interval, timeZone]) => schedules.rrule(`FREQ=${freq};INTERVAL=${interval}`, { timeZone })),
);
const filter: fc.Arbitrary<ScheduleRule> = fc.oneof(
  fc.constantFrom(filters.isWeekday, filters.isWeekend, filters.isMonthStart, filters.isMonthEnd),
  fc.integer({ min: 0, max: 6 }).map((day) => filters.isDayOfWeek(day)),
  fc
    .tuple(fc.integer({ min: 10, max: 23 }), fc.integer({ min: 10, max: 23 }))
    .map(([from, to]) => filters.betweenTimes(`${from}:00`, `${to}:59`)),
);
const adjustment = fc.oneof(
  fc.constant(adjustments.nextWeekday),
  fc.integer({ min: 1, max: 4 * 86_400_000 }).map((ms) => adjustments.add(ms % 2 === 0 ? ms : -ms)),
);

t.test("whatever the clocks, filters and moves: events strictly increase, and none is before `after`", async () => {
  const schedule = fc.record({
    clocks: fc.array(clock, { minLength: 1, maxLength: 4 }),
    filters: fc.array(filter, { maxLength: 2 }),
    notFilters: fc.array(filter, { maxLength: 1 }),
    adjustments: fc.array(adjustment, { maxLength: 2 }),
  });
  fc.assert(
    fc.property(schedule, moment, (parts, after) => {
      const events = scheduleEvents(schedules.combine(parts), { after, limit: 10 }).map(({ startAt }) => startAt);
      return events.every((at, index) => at > (index === 0 ? after : events[index - 1]!));
    }),
    { numRuns: 100 },
  );
});

t.test("the search goes on where it stopped: events after the n-th are the rest", async () => {
  const moves = fc.array(adjustment, { maxLength: 1 });
  fc.assert(
    fc.property(
      fc.array(clock, { minLength: 1, maxLength: 3 }),
      moves,
      moment,
      fc.integer({ min: 1, max: 9 }),
      (clocks, adjusted, after, n) => {
        const schedule = schedules.combine({ clocks, adjustments: adjusted });
        const all = scheduleEvents(schedule, { after, limit: 10 });
        if (all.length <= n) return true;
        const rest = scheduleEvents(schedule, { after: all[n - 1]!.startAt, limit: 10 - n });
        return JSON.stringify(rest) === JSON.stringify(all.slice(n));
      },
    ),
    { numRuns: 100 },
  );
});

t.test(
  "rules by hours and less give the same dates together as one by one, over days on which clocks change",
  async (t) => {
    const rules = [
      "FREQ=HOURLY",
      "FREQ=HOURLY;INTERVAL=5;BYMINUTE=0,30",
      "FREQ=MINUTELY;INTERVAL=45",
      "FREQ=HOURLY;BYHOUR=1,2,3",
    ];
    for (const timeZone of zones)
      for (const rule of rules) {
        const schedule = schedules.rrule(rule, { timeZone });
        for (const from of ["2026-03-07T20:00", "2026-04-04T08:00", "2026-10-24T20:00"]) {
          const together = scheduleEvents(schedule, { after: from, limit: 40 }).map(({ startAt }) => startAt);
          const single: string[] = [];
          for (let after = from; single.length < 40; after = single.at(-1)!)
            single.push(scheduleEvents(schedule, { after, limit: 1 })[0]!.startAt);
          t.same(together, single, `${rule} in ${timeZone}`);
        }
      }
  },
);

t.test("merging is sorting the parts and dropping what is twice", async () => {
  fc.assert(
    fc.property(fc.array(clock, { minLength: 1, maxLength: 4 }), moment, (clocks, after) => {
      const apart = clocks.flatMap((each) => scheduleEvents(each, { after, limit: 20 }).map(({ startAt }) => startAt));
      const expected = [...new Set(apart)].sort().slice(0, 20);
      const merged = scheduleEvents(schedules.combine({ clocks }), { after, limit: 20 }).map(({ startAt }) => startAt);
      return JSON.stringify(merged) === JSON.stringify(expected);
    }),
    { numRuns: 100 },
  );
});

t.test("a filter given twice is a filter given once, and one is the opposite of its negation", async () => {
  fc.assert(
    fc.property(clock, filter, moment, (each, rule, after) => {
      const search = { after, before: new Date(Date.parse(after) + 40 * 86_400_000), limit: 500 };
      const times = (rules: Parameters<typeof combine>[0]) =>
        scheduleEvents(combine(rules, each), search).map(({ startAt }) => startAt);
      const once = times({ filters: [rule] });
      const rest = times({ notFilters: [rule] });
      const all = times({});
      return (
        JSON.stringify(times({ filters: [rule, rule], orFilters: [rule] })) === JSON.stringify(once) &&
        (all.length >= 500 || JSON.stringify([...once, ...rest].sort()) === JSON.stringify(all))
      );
    }),
    { numRuns: 100 },
  );
});
