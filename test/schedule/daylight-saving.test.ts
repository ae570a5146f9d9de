import t from "tap";
import type { Schedule } from "../../src/core/schedule/schedule.js";
import { schedules } from "../../src/core/schedule/schedules.js";
import { scheduleEvents } from "../../src/schedule/schedule-events.js";
import { firstShown, iso, MINUTE_MS, minutesOf, type Shown, transitions } from "./clock-model.js";

const between = (schedule: Schedule, from: string, to: string): string[] =>
  scheduleEvents(schedule, { after: new Date(Date.parse(from) - 1), before: to, limit: 10_000 }).map(
    ({ startAt }) => startAt,
  );

for (const { zone, kind, from, to, time } of transitions) {
  const minutes = minutesOf(zone, from, to);
  const isAt = ({ text }: Shown) => text.endsWith(`T${time}`);
  const shown = firstShown(minutes, isAt);
  /** The first minute behind the gap, on the day whose clock never shows the time. */
  const jump = minutes.find(({ hour, minute }, index) => {
    const before = minutes[index - 1];
    if (!before) return false;
    const passed = (hour * 60 + minute - before.hour * 60 - before.minute + 24 * 60) % (24 * 60);
    return passed !== 1;
  })!;
  const title = `${zone}, ${time}, about the ${kind}`;
  const [hour, minute] = time.split(":").map(Number);

  t.test(`the model knows ${title}`, async (t) => {
    const all = minutes.filter(isAt);
    t.equal(shown.length, kind === "gap" ? 4 : 5, "days on which the clock shows it");
    t.equal(all.length - shown.length, kind === "gap" ? 0 : 1, "days on which it shows it again");
  });

  t.test(`a cron clock that names its time runs once a day: ${title}`, async (t) => {
    const expected = kind === "gap" ? [...shown, iso(jump.at)].sort() : shown;
    t.same(between(schedules.cron(`${minute} ${hour} * * *`, { timeZone: zone }), from, to), expected);
    t.same(
      between(schedules.cron(`${minute} ${hour},17 * * *`, { timeZone: zone }), from, to),
      [...expected, ...firstShown(minutes, ({ text }) => text.endsWith(`T17:${time.slice(3)}`))].sort(),
      "and so does a list of times",
    );
  });

  t.test(`a cron clock by wildcards runs whenever the clock shows a fitting time: ${title}`, async (t) => {
    const quarter = minutes.filter(({ minute }) => minute % 15 === 0).map(({ at }) => iso(at));
    t.same(between(schedules.cron("*/15 * * * *", { timeZone: zone }), from, to), quarter);
    const hourly = minutes.filter(({ minute }) => minute === 0).map(({ at }) => iso(at));
    t.same(between(schedules.cron("0 * * * *", { timeZone: zone }), from, to), hourly);
  });

  t.test(`an interval of days keeps its time of day: ${title}`, async (t) => {
    const startAt = `2026-01-01T${time}`;
    const daily = schedules.interval({ every: "1d", startAt, timeZone: zone });
    // The clock's time moved on by as much as it skips: what it showed would have been, had it gone on.
    const before = minutes[minutes.indexOf(jump) - 1]!;
    const late = (hour! * 60 + minute! - before.hour * 60 - before.minute + 24 * 60) % (24 * 60);
    const expected = kind === "gap" ? [...shown, iso(before.at + late * MINUTE_MS)].sort() : shown;
    t.same(between(daily, from, to), expected);
  });

  t.test(`an interval of hours is elapsed time: ${title}`, async (t) => {
    const startAt = "2026-01-01T00:00:00";
    const events = between(schedules.interval({ every: "6h", startAt, timeZone: zone }), from, to);
    t.equal(events.length, 20);
    t.ok(
      events.every((at, index) => index === 0 || Date.parse(at) - Date.parse(events[index - 1]!) === 6 * 3_600_000),
      "six hours lie between any two",
    );
  });

  t.test(`a recurrence rule leaves out what the clock skips, and takes a repeated time once: ${title}`, async (t) => {
    const start = `DTSTART;TZID=${zone}:20260101T${time.replace(":", "")}00`;
    t.same(between(schedules.rrule(`${start}\nRRULE:FREQ=DAILY`), from, to), shown);
    t.same(
      between(schedules.rrule(`${start}\nRRULE:FREQ=DAILY;BYHOUR=${hour},17`), from, to),
      [...shown, ...firstShown(minutes, ({ text }) => text.endsWith(`T17:${time.slice(3)}`))].sort(),
    );
  });

  t.test(`a dates clock takes the first of two, and moves on what is skipped: ${title}`, async (t) => {
    const days = [...new Set(minutes.map(({ text }) => text.slice(0, 10)))].slice(1, -1);
    const events = between(
      schedules.dates(
        days.map((day) => `${day}T${time}`),
        { timeZone: zone },
      ),
      from,
      to,
    );
    t.equal(events.length, days.length);
    for (const at of shown.filter((each) => days.some((day) => localDay(minutes, each) === day)))
      t.ok(events.includes(at), at);
  });
}

function localDay(minutes: readonly Shown[], at: string): string {
  return minutes.find((each) => iso(each.at) === at)!.text.slice(0, 10);
}
