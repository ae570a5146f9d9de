import type { ScheduleClock } from "../core/schedule/schedule.js";
import { momentOf } from "./zone.js";

/** The dates of a dates clock after a moment, in order, each once. */
export function* datesTimes(clock: ScheduleClock & { kind: "dates" }, afterMs: number): Generator<number> {
  const dates = clock.dates.map((date) => momentOf(date, clock.timeZone ?? "UTC"));
  const sorted = [...new Set(dates)].sort((a, b) => a - b);
  for (const date of sorted) if (date > afterMs) yield date;
}
