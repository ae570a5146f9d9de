import t from "tap";
import type { FlowOptions } from "../../src/core/flow-definition.js";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { isJson } from "../../src/core/json.js";
import { parseDateTime, parseSpan, parseTimeOfDay } from "../../src/core/schedule/date-time.js";
import { describeSchedule, type Schedule } from "../../src/core/schedule/schedule.js";
import { adjustments, filters } from "../../src/core/schedule/schedule-rules.js";
import { schedules } from "../../src/core/schedule/schedules.js";
import { diffSchedules, diffSpecs } from "../../src/core/spec-diff.js";
import { task } from "../../src/core/task.js";
import { build } from "../helpers/build.js";

t.test("schedules are plain JSON", async (t) => {
  const startAt = new Date("2026-01-01T09:00:00Z");
  const facts = { timeZone: "Europe/Berlin", parameterDefaults: { day: "today" }, labels: ["eu"] };
  t.same(schedules.interval({ every: "1d 12h", startAt, endAt: "2027-01-01", ...facts }), {
    clocks: [
      { kind: "interval", intervalMs: 129_600_000, startAt: "2026-01-01T09:00:00.000Z", endAt: "2027-01-01", ...facts },
    ],
  });
  t.same(schedules.interval({ everyMs: 1_500 }), { clocks: [{ kind: "interval", intervalMs: 1_500 }] });
  t.same(schedules.cron(" 0 9  * * 1-5 ", { dayOr: false }), {
    clocks: [{ kind: "cron", cron: "0 9 * * 1-5", dayOr: false }],
  });
  t.same(schedules.dates(["2026-01-01", startAt]), {
    clocks: [{ kind: "dates", dates: ["2026-01-01", "2026-01-01T09:00:00.000Z"] }],
  });
  t.same(schedules.rrule("FREQ=DAILY", facts), { clocks: [{ kind: "rrule", rrule: "FREQ=DAILY", ...facts }] });
  const all: Schedule = schedules.combine({
    clocks: [schedules.cron("@daily"), schedules.rrule("FREQ=DAILY")],
    filters: [filters.isWeekday, filters.betweenTimes("22:00", "06:00")],
    orFilters: [],
    adjustments: [adjustments.add("-30m"), adjustments.add(5), adjustments.nextWeekday],
  });
  t.same(all, {
    clocks: [
      { kind: "cron", cron: "@daily" },
      { kind: "rrule", rrule: "FREQ=DAILY" },
    ],
    filters: [
      { name: "isWeekday", args: {} },
      { name: "betweenTimes", args: { start: "22:00", end: "06:00" } },
    ],
    adjustments: [
      { name: "add", args: { ms: -1_800_000 } },
      { name: "add", args: { ms: 5 } },
      { name: "nextWeekday", args: {} },
    ],
  });
  t.ok(isJson(all));
});

const refused: [title: string, make: () => unknown, message: RegExp][] = [
  ["an interval of no length", () => schedules.interval({}), /`every` or `everyMs`/],
  ["an interval of both lengths", () => schedules.interval({ every: "1h", everyMs: 5 }), /`every` or `everyMs`/],
  ["an interval that is no span", () => schedules.interval({ every: "soon" }), /"soon"/],
  ["an interval of less than nothing", () => schedules.interval({ every: "-1h" }), /"-1h"/],
  ["cron of four fields", () => schedules.cron("0 9 * *"), /five or six fields.*"0 9 \* \*"/],
  ["cron that is no text", () => schedules.cron(9 as never), /9/],
  ["dates that are no list", () => schedules.dates("2026-01-01" as never), /a list/],
  ["a date that is none", () => schedules.dates(["tomorrow"]), /"tomorrow"/],
  ["a Date that is none", () => schedules.cron("@daily", { startAt: new Date("x") }), /`startAt`/],
  ["an unknown time zone", () => schedules.cron("@daily", { timeZone: "Berlin" }), /"Berlin"/],
  ["a rule without FREQ", () => schedules.rrule("INTERVAL=2"), /FREQ/],
  [
    "parameters that are no JSON",
    () => schedules.cron("@daily", { parameterDefaults: { now: new Date() } }),
    /`parameterDefaults`/,
  ],
  ["labels that are no words", () => schedules.cron("@daily", { labels: [""] }), /`labels`/],
  ["nothing to combine", () => schedules.combine({ clocks: [] }), /list of schedules/],
  [
    "a combination of what has filters",
    () => schedules.combine({ clocks: [{ clocks: [], filters: [filters.isWeekday] }] }),
    /filters or adjustments of its own/,
  ],
  ["the 32nd", () => filters.onDate(1, 32), /`day`.*32/],
  ["a time that is none", () => filters.atTime("9"), /`time`.*"9"/],
  ["day 7 of the week", () => filters.isDayOfWeek(7), /`dayOfWeek`.*7/],
  ["a moment that is none", () => filters.onDatetime("noon"), /`at`.*"noon"/],
  ["a move by nothing", () => adjustments.add(0), /`ms`.*0/],
  ["a move by no span", () => adjustments.add("a bit"), /"a bit"/],
];
for (const [title, make, message] of refused) {
  t.test(`refused at once: ${title}`, async (t) => {
    t.throws(make, { code: "SCHEDULE_INVALID", message });
  });
}

t.test("a flow's schedule must be one", async (t) => {
  const work = task("work", () => 1);
  for (const schedule of [{}, { clocks: [] }, "0 9 * * *", { clocks: [() => 1] }])
    t.throws(() => build("flow", () => work(), { schedule } as unknown as FlowOptions), {
      code: "TASK_OPTIONS_INVALID",
    });
});

t.test("a schedule is no part of what runs compare, and shows where deploys are compared", async (t) => {
  const work = task("work", () => 1);
  const spec = (schedule?: Schedule) => toFlowSpec(build("flow", () => work(), schedule ? { schedule } : {}));
  const [none, nine, ten] = [spec(), spec(schedules.cron("0 9 * * *")), spec(schedules.cron("0 10 * * *"))];
  t.equal(none.schedule, null);
  t.equal(hashFlowSpec(nine), hashFlowSpec(ten));
  t.same(diffSpecs(nine, ten), []);
  t.same(diffSchedules(nine, spec(schedules.cron("0 9 * * *"))), []);
  t.same(diffSchedules(nine, ten), [
    { kind: "schedule changed", slug: "(flow)", before: "cron 0 9 * * *", after: "cron 0 10 * * *" },
  ]);
  t.match(diffSchedules(none, nine), [{ before: "no schedule" }]);
});

t.test("a schedule is said in a few words", async (t) => {
  const parts = [
    schedules.interval({ every: "90s", timeZone: "Europe/Berlin" }),
    schedules.dates(["2026-01-01", "2026-01-02"]),
    schedules.rrule("DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY"),
  ];
  t.equal(
    describeSchedule(schedules.combine({ clocks: parts, filters: [filters.isWeekday] })),
    "every 90 s (Europe/Berlin), 2 dates, rrule DTSTART:20260101T000000Z RRULE:FREQ=DAILY, 1 rule",
  );
});

t.test("dates, times and spans are read as they are written, or not at all", async (t) => {
  const at = (text: string) => parseDateTime(text);
  t.same(at("2026-03-01"), { localMs: Date.UTC(2026, 2, 1), offsetMs: undefined });
  t.same(at("2026-03-01 09:30:15.25"), { localMs: Date.UTC(2026, 2, 1, 9, 30, 15, 250), offsetMs: undefined });
  t.same(at("2026-03-01T09:30Z"), { localMs: Date.UTC(2026, 2, 1, 9, 30), offsetMs: 0 });
  t.same(at("2026-03-01T09:30:00.123456-03:30"), {
    localMs: Date.UTC(2026, 2, 1, 9, 30, 0, 123),
    offsetMs: -12_600_000,
  });
  t.equal(at("0099-01-01")?.localMs, Date.parse("0099-01-01T00:00:00Z"));
  for (const text of ["", "2026-02-29", "2026-13-01", "2026-1-1", "2026-01-01T24:00", "2026-01-01T09:60", "01/02/2026"])
    t.equal(at(text), undefined, text);
  t.equal(parseTimeOfDay("23:59:59.5"), 86_399_500);
  for (const text of ["24:00", "9:00", "12"]) t.equal(parseTimeOfDay(text), undefined, text);
  t.equal(parseSpan("1w 2d 3h 4m 5s 6ms"), 788_645_006);
  for (const text of ["", "5", "h", "1h30"]) t.equal(parseSpan(text), undefined, text);
});

t.test(
  "what is done about missed start times is the whole schedule's, and is refused where it makes no sense",
  async (t) => {
    const daily = schedules.cron("@daily", { onMissed: "all", maxMissed: 7 });
    t.match(daily, { onMissed: "all", maxMissed: 7 });
    t.notOk("onMissed" in daily.clocks[0]!);
    t.notOk("onMissed" in schedules.cron("@daily"));
    t.match(schedules.combine({ clocks: [schedules.cron("@daily")], onMissed: "latest" }), { onMissed: "latest" });
    const refused: [() => Schedule, RegExp][] = [
      [() => schedules.interval({ every: "1h", onMissed: "some" as "all" }), /schedules\.interval.*`onMissed`.*"some"/],
      [() => schedules.dates([new Date()], { maxMissed: 3 }), /`maxMissed` is for `onMissed: "all"`/],
      [() => schedules.rrule("FREQ=DAILY", { onMissed: "all", maxMissed: 1.5 }), /`maxMissed`.*1\.5/],
      [() => schedules.combine({ clocks: [daily] }), /`onMissed` of its own/],
    ];
    for (const [make, message] of refused) t.throws(make, { code: "SCHEDULE_INVALID", message });
  },
);
