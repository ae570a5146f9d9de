import type { ScheduleClock } from "../core/schedule/schedule.js";
import { addSpan, DAY_MS, LAST_MS, momentOf } from "./zone.js";

/** What Prefect counts from where nothing else is said; here it is read in the clock's own zone. */
export const DEFAULT_START = "2019-01-01T00:00:00";

/**
 * The times of an interval clock after a moment. An interval of a day or more follows the local clock in whole days, and
 * elapsed time in the rest; a shorter one is elapsed time alone, so that every hour stays an hour when the clocks change.
 */
export function* intervalTimes(clock: ScheduleClock & { kind: "interval" }, afterMs: number): Generator<number> {
  const { intervalMs, timeZone = "UTC" } = clock;
  const start = momentOf(clock.startAt ?? DEFAULT_START, timeZone);
  const end = clock.endAt === undefined ? LAST_MS : momentOf(clock.endAt, timeZone);
  const at = (count: number): number =>
    intervalMs < DAY_MS ? start + count * intervalMs : addSpan(timeZone, start, count * intervalMs);
  // Local days may lie apart from elapsed ones by as much as a zone has ever moved: a day, and some hours to be sure.
  let count = Math.max(0, Math.floor((afterMs - start - 1.5 * DAY_MS) / intervalMs));
  if (intervalMs < DAY_MS) count = Math.max(0, Math.floor((afterMs - start) / intervalMs));
  for (let last = afterMs; ; count += 1) {
    const next = at(count);
    if (next > end) return;
    // A day that a zone left out altogether falls on the one after it.
    if (next <= last) continue;
    last = next;
    yield next;
  }
}
