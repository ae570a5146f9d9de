import { Cron } from "croner";
import { MillraceError } from "../core/errors.js";
import type { ScheduleClock } from "../core/schedule/schedule.js";
import { LAST_MS, momentOf } from "./zone.js";

type CronClock = ScheduleClock & { kind: "cron" };

/** As many answers that lead no further are put up with, as in Prefect. */
const MAX_TRIES = 1_000;

/**
 * The times of a cron clock after a moment, by the clock of its zone. Where its minutes and hours are given as numbers, a
 * time that the clock shows twice counts once, and one that it skips moves to the end of the gap; where they are
 * wildcards or steps ("every five minutes"), it runs through both hours, and through no gap.
 * @throws SCHEDULE_INVALID
 */
export function* cronTimes(clock: CronClock, afterMs: number): Generator<number> {
  const { timeZone = "UTC" } = clock;
  const cron = readCron(clock);
  const start = clock.startAt === undefined ? Number.NEGATIVE_INFINITY : momentOf(clock.startAt, timeZone);
  const end = clock.endAt === undefined ? LAST_MS : momentOf(clock.endAt, timeZone);
  // The start itself may be taken.
  let last = Math.max(afterMs, start - 1);
  let from = last;
  for (let tries = 0; tries < MAX_TRIES; ) {
    const next = cron.nextRun(new Date(from))?.getTime();
    if (next === undefined || next > end) return;
    if (next <= last) {
      tries += 1;
      from += 60_000;
      continue;
    }
    tries = 0;
    last = next;
    from = next;
    yield next;
  }
}

/** The text as croner reads it; croner's own timers are never started. @throws SCHEDULE_INVALID */
export function readCron({ cron, timeZone = "UTC", dayOr = true }: CronClock): Cron {
  try {
    return new Cron(cron, {
      timezone: timeZone,
      mode: "5-or-6-parts",
      domAndDow: !dayOr,
      // `30 2,14 * * *` names its times as `30 2 * * *` does: neither is to be lost in a gap, nor to run twice.
      fixedTimeRule: "no-wildcard",
      // `5/15`, as Python's croniter takes it.
      sloppyRanges: true,
      paused: true,
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^CronPattern: /, "") : String(cause);
    throw new MillraceError("SCHEDULE_INVALID", `The cron text "${cron}" cannot be read: ${why}`, {
      hint: 'For instance "0 9 * * 1-5": minute, hour, day of the month, month, day of the week.',
      cause,
    });
  }
}
