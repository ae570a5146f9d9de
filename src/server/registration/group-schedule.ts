import type { SetFlowGroupScheduleInput } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isTimeZone } from "../../core/schedule/date-time.js";
import { type MissedRuns, refuseMissed, type Schedule } from "../../core/schedule/schedule.js";
import { SERIALIZATION_VERSION } from "../../schedule/serialized-shape.js";
import { toLocal } from "../../schedule/zone.js";

/**
 * The schedule of a flow group as Prefect writes schedules, from the short form in which it is asked for. With a time zone
 * its clocks start now, since it is their start that tells Prefect's clocks their zone.
 * @throws SCHEDULE_INVALID
 */
export function groupSchedule(
  { cron_clocks: cron, interval_clocks: interval, timezone, on_missed, max_missed }: SetFlowGroupScheduleInput,
  now: number,
): Record<string, unknown> {
  const missed = missedOf(on_missed ?? null, max_missed ?? null);
  const start = startOf(timezone ?? null, now);
  const common = (defaults: unknown) => ({
    start_date: start,
    end_date: null,
    parameter_defaults: defaults ?? {},
    labels: null,
    __version__: SERIALIZATION_VERSION,
  });
  const clocks = [
    ...(cron ?? []).map((clock) => ({
      type: "CronClock",
      cron: clock.cron,
      day_or: true,
      ...common(clock.parameter_defaults),
    })),
    ...(interval ?? []).map((clock) => ({
      type: "IntervalClock",
      // Microseconds.
      interval: clock.interval * 1_000_000,
      ...common(clock.parameter_defaults),
    })),
  ];
  if (clocks.length === 0) {
    throw new MillraceError("SCHEDULE_INVALID", "set_flow_group_schedule names no clocks.", {
      hint: "Give `cron_clocks` or `interval_clocks`; delete_flow_group_schedule takes a schedule back.",
    });
  }
  return { type: "Schedule", clocks, filters: [], or_filters: [], not_filters: [], adjustments: [], ...missed };
}

function missedOf(onMissed: string | null, maxMissed: number | null): { millrace?: Record<string, unknown> } {
  if (onMissed === null && maxMissed === null) return {};
  const asked: Pick<Schedule, "onMissed" | "maxMissed"> = {
    ...(onMissed === null ? {} : { onMissed: onMissed as MissedRuns }),
    ...(maxMissed === null ? {} : { maxMissed }),
  };
  const refused = refuseMissed(asked);
  if (refused) throw new MillraceError("SCHEDULE_INVALID", `set_flow_group_schedule: ${refused}.`);
  return { millrace: { on_missed: onMissed, ...(maxMissed === null ? {} : { max_missed: maxMissed }) } };
}

/** What the clock of the zone shows; Prefect's dates have their zone beside them. */
function startOf(zone: string | null, now: number): { dt: string; tz: string } | null {
  if (zone === null || zone === "") return null;
  const shown = JSON.stringify(zone.slice(0, 80));
  if (!isTimeZone(zone)) {
    const message = `set_flow_group_schedule: \`timezone\` is ${shown}, which no time zone is called.`;
    throw new MillraceError("SCHEDULE_INVALID", message, { hint: "Give an IANA name, such as Europe/Berlin." });
  }
  return { dt: new Date(toLocal(zone, now)).toISOString().replace(/(\.000)?Z$/, ""), tz: zone };
}
