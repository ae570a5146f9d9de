import { parseDateTime } from "../core/schedule/date-time.js";
import type { ScheduleClock } from "../core/schedule/schedule.js";
import { parseRecurrence, type Recurrence } from "./ical.js";
import { DEFAULT_START } from "./interval-clock.js";
import { momentOf, toLocal } from "./zone.js";

type RRuleClock = ScheduleClock & { kind: "rrule" };

/** The lines of the clock's rule; a rule without DTSTART counts from the clock's own start. @throws SCHEDULE_INVALID */
export function readRecurrence({ rrule, startAt, timeZone = "UTC" }: RRuleClock): Recurrence {
  const text = startAt ?? DEFAULT_START;
  const date = parseDateTime(text);
  // Clock time as it is written, even where the zone skips it; a moment as the zone shows it.
  const local = date && date.offsetMs === undefined ? date.localMs : toLocal(timeZone, momentOf(text, timeZone));
  return parseRecurrence(rrule, { local: Math.floor(local / 1_000) * 1_000, zone: timeZone });
}

/** The zone whose clock the filters look at. */
export function zoneOfRecurrence(clock: RRuleClock): string {
  const { rules, dates } = readRecurrence(clock);
  return (rules[0]?.start ?? dates[0])?.zone ?? "UTC";
}
