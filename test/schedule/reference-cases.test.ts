import t from "tap";
import type { Schedule } from "../../src/core/schedule/schedule.js";
import { schedules } from "../../src/core/schedule/schedules.js";
import { scheduleEvents } from "../../src/schedule/schedule-events.js";

/*
 * Cases that the chosen libraries publish with their own tests, said again through our schedules. Where croner changed its
 * rule with version 10 (a time in a gap runs at the gap's end, no longer an hour late), the case has the rule of its README.
 */

const next = (schedule: Schedule, after: string, limit: number): string[] =>
  scheduleEvents(schedule, { after, limit }).map(({ startAt }) => startAt);

interface Case {
  readonly title: string;
  readonly schedule: Schedule;
  readonly after: string;
  readonly expected: readonly string[];
}

const ny = { timeZone: "America/New_York" };
const london = { timeZone: "Europe/London" };

/** Hexagon/croner, test/timezone.test.ts, "OCPS 1.4 compliance" and issues #284 and #286; test/ocps-1.4.test.ts, section 4.3.1. */
const cronCases: Case[] = [
  {
    title: "New York's gap of 2025 at 2:30",
    schedule: schedules.cron("30 2 * * *", ny),
    after: "2025-03-09T06:00:00Z",
    expected: ["2025-03-09T07:00:00.000Z", "2025-03-10T06:30:00.000Z"],
  },
  {
    title: "New York's gap of 2023 at 2:30, by date",
    schedule: schedules.cron("0 30 2 12 3 *", ny),
    after: "2023-03-12T00:00:00Z",
    expected: ["2023-03-12T07:00:00.000Z"],
  },
  {
    title: "New York's repeated hour of 2025 at 1:30",
    schedule: schedules.cron("30 1 * * *", ny),
    after: "2025-11-02T04:00:00Z",
    expected: ["2025-11-02T05:30:00.000Z", "2025-11-03T06:30:00.000Z"],
  },
  {
    title: "just behind the first 1:30",
    schedule: schedules.cron("30 1 * * *", ny),
    after: "2025-11-02T05:31:00Z",
    expected: ["2025-11-03T06:30:00.000Z"],
  },
  {
    title: "within the second pass of the hour",
    schedule: schedules.cron("30 1 * * *", ny),
    after: "2025-11-02T06:00:00Z",
    expected: ["2025-11-03T06:30:00.000Z"],
  },
  {
    title: "London's gap at 1:30",
    schedule: schedules.cron("30 1 * * *", london),
    after: "2025-03-30T00:00:00Z",
    expected: ["2025-03-30T01:00:00.000Z"],
  },
  {
    title: "London's repeated hour at 1:30",
    schedule: schedules.cron("30 1 * * *", london),
    after: "2025-10-26T00:00:00Z",
    expected: ["2025-10-26T00:30:00.000Z", "2025-10-27T01:30:00.000Z"],
  },
  {
    title: "UTC loses no hour when Sydney's clock changes",
    schedule: schedules.cron("0 0 * * * *"),
    after: "2025-10-05T00:00:00Z",
    expected: ["01", "02", "03", "04", "05"].map((hour) => `2025-10-05T${hour}:00:00.000Z`),
  },
  {
    title: "every minute goes on through Los Angeles' repeated hour",
    schedule: schedules.cron("* * * * *", { timeZone: "America/Los_Angeles" }),
    after: "2025-11-02T08:58:00Z",
    expected: ["2025-11-02T08:59:00.000Z", "2025-11-02T09:00:00.000Z", "2025-11-02T09:01:00.000Z"],
  },
  {
    title: "the 30th of October at noon in Stockholm",
    schedule: schedules.cron("0 12 30 10 *", { timeZone: "Europe/Stockholm" }),
    after: "2021-09-01T00:00:00Z",
    expected: ["2021-10-30T10:00:00.000Z"],
  },
  {
    title: "Tuesday the 8th of February, 23:00 in New York",
    schedule: schedules.cron("0 0 23 8 2 2", { ...ny, dayOr: false }),
    after: "2022-02-08T12:00:00Z",
    expected: ["2022-02-09T04:00:00.000Z"],
  },
];

const localText = (text: string): string => text.replace(/[-:]/g, "").padEnd(15, "0");
const rule = (zone: string, start: string, parts: string): Schedule =>
  schedules.rrule(`DTSTART;TZID=${zone}:${localText(start)}\nRRULE:${parts}`);

/** ggaabe/rrule-temporal, tests/invalid-generated-candidates.test.ts, "generated gap times are omitted" (issue #141). */
const gapCases: [zone: string, start: string, parts: string, expected: string[]][] = [
  ["America/New_York", "2024-03-09T02:30", "FREQ=DAILY", ["03-09T07:30", "03-11T06:30", "03-12T06:30"]],
  ["America/New_York", "2024-03-03T02:30", "FREQ=WEEKLY", ["03-03T07:30", "03-17T06:30", "03-24T06:30"]],
  ["America/New_York", "2024-02-10T02:30", "FREQ=MONTHLY", ["02-10T07:30", "04-10T06:30", "05-10T06:30"]],
  ["America/New_York", "2024-02-10T02:30", "FREQ=MONTHLY;BYMONTHDAY=10", ["02-10T07:30", "04-10T06:30", "05-10T06:30"]],
  ["Australia/Lord_Howe", "2024-10-05T02:15", "FREQ=DAILY", ["10-04T15:45", "10-06T15:15", "10-07T15:15"]],
];

const rruleCases: Case[] = [
  ...gapCases.map(([zone, start, parts, expected]) => ({
    title: `${zone} ${parts} from ${start}`,
    schedule: rule(zone, start, parts),
    after: "2010-01-01",
    expected: expected.map((each) => `2024-${each}:00.000Z`),
  })),
  {
    title: "the day that Samoa left out",
    schedule: rule("Pacific/Apia", "2011-12-28T12:00", "FREQ=DAILY;INTERVAL=2"),
    after: "2010-01-01",
    expected: ["2011-12-28T22:00:00.000Z", "2011-12-31T22:00:00.000Z", "2012-01-02T22:00:00.000Z"],
  },
  // The same file, "invalid inherited dates are omitted" (issue #140).
  {
    title: "the 31st of months",
    schedule: rule("UTC", "2024-01-31T09:15", "FREQ=MONTHLY"),
    after: "2010-01-01",
    expected: ["2024-01-31T09:15:00.000Z", "2024-03-31T09:15:00.000Z", "2024-05-31T09:15:00.000Z"],
  },
  {
    title: "leap days across a century",
    schedule: rule("UTC", "2096-02-29T09:15", "FREQ=YEARLY"),
    after: "2010-01-01",
    expected: ["2096-02-29T09:15:00.000Z", "2104-02-29T09:15:00.000Z", "2108-02-29T09:15:00.000Z"],
  },
  // tests/subdaily-cadence-regressions.test.ts
  {
    title: "RFC 5545's every 20 minutes from 9 to 16:40, from the first day into the second",
    schedule: rule(
      "America/New_York",
      "1997-09-02T09:00",
      "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16;COUNT=50",
    ),
    after: "1997-09-02T20:20:00Z",
    expected: ["1997-09-02T20:40:00.000Z", "1997-09-03T13:00:00.000Z", "1997-09-03T13:20:00.000Z"],
  },
  {
    title: "both passes of Chicago's repeated hour, by minutes",
    schedule: rule("America/Chicago", "2024-11-03T00:30", "FREQ=MINUTELY;BYMINUTE=0,30;COUNT=6"),
    after: "2024-11-03T05:00:00Z",
    expected: ["05:30", "06:00", "06:30", "07:00", "07:30", "08:00"].map((time) => `2024-11-03T${time}:00.000Z`),
  },
  {
    title: "one pass of it, by hours",
    schedule: rule("America/Chicago", "2024-11-03T00:00", "FREQ=HOURLY;BYMINUTE=0,30;COUNT=6"),
    after: "2024-11-03T04:00:00Z",
    expected: ["05:00", "05:30", "06:00", "06:30", "08:00", "08:30"].map((time) => `2024-11-03T${time}:00.000Z`),
  },
  {
    title: "Lord Howe's half-hour gap, by hours",
    schedule: rule("Australia/Lord_Howe", "2024-10-06T01:00", "FREQ=HOURLY;BYMINUTE=0,30;COUNT=4"),
    after: "2024-10-05T00:00:00Z",
    expected: ["14:30", "15:00", "15:30", "16:00"].map((time) => `2024-10-05T${time}:00.000Z`),
  },
  {
    title: "the first of each hour's times",
    schedule: rule("UTC", "2024-01-01T09:00", "FREQ=HOURLY;BYHOUR=9,17;BYMINUTE=0,30;BYSETPOS=1;COUNT=4"),
    after: "2023-01-01",
    expected: ["01T09", "01T17", "02T09", "02T17"].map((time) => `2024-01-${time}:00:00.000Z`),
  },
  // tests/invalid-generated-candidates.test.ts: EXDATE and RDATE in a gap
  {
    title: "an EXDATE in a gap takes nothing away",
    schedule: schedules.rrule(
      "DTSTART;TZID=America/New_York:20240309T023000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=America/New_York:20240310T023000",
    ),
    after: "2024-01-01",
    expected: ["2024-03-09T07:30:00.000Z", "2024-03-11T06:30:00.000Z", "2024-03-12T06:30:00.000Z"],
  },
  {
    title: "an RDATE in a gap moves on",
    schedule: schedules.rrule(
      "DTSTART;TZID=America/New_York:20240309T023000\nRRULE:FREQ=DAILY;COUNT=3\nRDATE;TZID=America/New_York:20240310T023000",
    ),
    after: "2024-01-01",
    expected: [
      "2024-03-09T07:30:00.000Z",
      "2024-03-10T07:30:00.000Z",
      "2024-03-11T06:30:00.000Z",
      "2024-03-12T06:30:00.000Z",
    ],
  },
];

for (const [library, cases] of Object.entries({ croner: cronCases, "rrule-temporal": rruleCases })) {
  for (const { title, schedule, after, expected } of cases) {
    t.test(`${library}: ${title}`, async (t) => {
      t.same(next(schedule, after, expected.length), expected);
    });
  }
}
