import { parseDateTime } from "../core/schedule/date-time.js";
import type { MissedRuns, Schedule, ScheduleClock } from "../core/schedule/schedule.js";
import { DEFAULT_START } from "./interval-clock.js";
import { fromRecurrence, type SerializedRecurrence, toRecurrence } from "./serialized-rrule.js";
import { fromSerializedRule, type SerializedRule, toSerializedRule } from "./serialized-rule.js";
import { listOf, recordOf, SERIALIZATION_VERSION, unreadable } from "./serialized-shape.js";
import { momentOf, toLocal } from "./zone.js";

/** A schedule as Prefect 1.4.1 writes it into a flow (section 1.6 of the protocol notes). */
export interface SerializedSchedule {
  clocks: SerializedClock[];
  filters: SerializedRule[];
  or_filters: SerializedRule[];
  not_filters: SerializedRule[];
  adjustments: SerializedRule[];
  __version__: string;
  /** What Prefect has no word for; its clients leave it out as they read. */
  millrace?: { on_missed: MissedRuns; max_missed?: number };
}

/** What the clock of a zone shows, and the zone. */
export interface SerializedDate {
  dt: string;
  tz: string;
}

export interface SerializedClock {
  type: "IntervalClock" | "CronClock" | "DatesClock" | "RRuleClock";
  start_date?: SerializedDate | null;
  end_date?: SerializedDate | null;
  /** Microseconds. */
  interval?: number;
  cron?: string;
  day_or?: boolean | null;
  dates?: SerializedDate[];
  rrule_obj?: SerializedRecurrence;
  parameter_defaults: Record<string, unknown> | null;
  labels: string[] | null;
  __version__: string;
  /** Of an RRuleClock: the rule as its author wrote it, with the zones that Prefect's own form has no place for. */
  millrace?: { rrule: string; time_zone: string | null };
}

export function toSerializedSchedule(schedule: Schedule): SerializedSchedule {
  return {
    clocks: schedule.clocks.map(toClock),
    filters: (schedule.filters ?? []).map(toSerializedRule),
    or_filters: (schedule.orFilters ?? []).map(toSerializedRule),
    not_filters: (schedule.notFilters ?? []).map(toSerializedRule),
    adjustments: (schedule.adjustments ?? []).map(toSerializedRule),
    __version__: SERIALIZATION_VERSION,
    ...toMissed(schedule),
  };
}

function toMissed({ onMissed, maxMissed }: Schedule): Pick<SerializedSchedule, "millrace"> {
  if (onMissed === undefined) return {};
  return { millrace: { on_missed: onMissed, ...(maxMissed === undefined ? {} : { max_missed: maxMissed }) } };
}

function fromMissed(own: unknown): Pick<Schedule, "onMissed" | "maxMissed"> {
  if (own === undefined || own === null) return {};
  const { on_missed: onMissed, max_missed: maxMissed } = recordOf(
    own,
    "millrace",
  ) as SerializedSchedule["millrace"] & {};
  return { ...(onMissed ? { onMissed } : {}), ...(maxMissed ? { maxMissed } : {}) };
}

/**
 * A schedule that Millrace or Prefect wrote. What is read is checked for its shape alone; `checkSchedule` looks at the rest.
 * @throws SCHEDULE_INVALID for what Millrace has no counterpart of
 */
export function fromSerializedSchedule(value: unknown): Schedule {
  const serialized = recordOf(value, "schedule") as Partial<SerializedSchedule>;
  const clocks = listOf(serialized.clocks, "clocks").flatMap(fromClock);
  const rules = {
    filters: listOf(serialized.filters, "filters").map(fromSerializedRule),
    orFilters: listOf(serialized.or_filters, "or_filters").map(fromSerializedRule),
    notFilters: listOf(serialized.not_filters, "not_filters").map(fromSerializedRule),
    adjustments: listOf(serialized.adjustments, "adjustments").map(fromSerializedRule),
  };
  const given = Object.fromEntries(Object.entries(rules).filter(([, list]) => list.length > 0));
  return { clocks, ...given, ...fromMissed(serialized.millrace) };
}

function toClock(clock: ScheduleClock): SerializedClock {
  const common = {
    parameter_defaults: { ...clock.parameterDefaults },
    labels: clock.labels === undefined ? null : [...clock.labels],
    __version__: SERIALIZATION_VERSION,
  };
  const { timeZone = "UTC" } = clock;
  if (clock.kind === "dates")
    return { type: "DatesClock", dates: clock.dates.map((date) => toDate(date, timeZone)), ...common };
  const startAt = clock.startAt ?? (timeZone === "UTC" ? undefined : DEFAULT_START);
  const bounds = {
    // Prefect's clocks have their zone from their start.
    start_date: startAt === undefined ? null : toDate(startAt, timeZone),
    end_date: clock.endAt === undefined ? null : toDate(clock.endAt, timeZone),
  };
  if (clock.kind === "interval")
    return { type: "IntervalClock", interval: clock.intervalMs * 1_000, ...bounds, ...common };
  if (clock.kind === "cron")
    return { type: "CronClock", cron: secondsLast(clock.cron), day_or: clock.dayOr ?? true, ...bounds, ...common };
  return {
    type: "RRuleClock",
    rrule_obj: toRecurrence(clock),
    ...bounds,
    start_date: clock.startAt === undefined ? null : bounds.start_date,
    ...common,
    millrace: { rrule: clock.rrule, time_zone: clock.timeZone ?? null },
  };
}

function fromClock(value: unknown): ScheduleClock[] {
  const clock = recordOf(value, "clock") as Partial<SerializedClock>;
  const { parameter_defaults: defaults, labels } = clock;
  const facts = {
    ...(defaults && Object.keys(recordOf(defaults, "parameter_defaults")).length > 0
      ? { parameterDefaults: defaults }
      : {}),
    ...(labels ? { labels: listOf(labels, "labels").map(String) } : {}),
  };
  if (clock.type === "DatesClock") return [{ kind: "dates", ...fromDates(listOf(clock.dates, "dates")), ...facts }];
  const bounds = { ...fromBounds(clock), ...facts };
  if (clock.type === "IntervalClock") {
    if (typeof clock.interval !== "number") throw unreadable("interval", clock.interval);
    return [{ kind: "interval", intervalMs: Math.max(1, Math.round(clock.interval / 1_000)), ...bounds }];
  }
  if (clock.type === "CronClock") {
    if (typeof clock.cron !== "string") throw unreadable("cron", clock.cron);
    return [
      { kind: "cron", cron: secondsFirst(clock.cron), ...(clock.day_or === false ? { dayOr: false } : {}), ...bounds },
    ];
  }
  if (clock.type !== "RRuleClock") throw unreadable("type", clock.type);
  const own = clock.millrace;
  if (typeof own?.rrule !== "string") return fromRecurrence(clock.rrule_obj, bounds);
  const { timeZone: _, ...rest } = bounds;
  return [{ kind: "rrule", rrule: own.rrule, ...rest, ...(own.time_zone === null ? {} : { timeZone: own.time_zone }) }];
}

interface Bounds {
  startAt?: string;
  endAt?: string;
  timeZone?: string;
}

function fromBounds({ start_date: start, end_date: end }: Partial<SerializedClock>): Bounds {
  const from = start ? readDate(start) : undefined;
  const to = end ? readDate(end) : undefined;
  return {
    ...(from ? { startAt: from.dt } : {}),
    ...(to ? { endAt: to.tz === (from?.tz ?? "UTC") ? to.dt : instant(to) } : {}),
    ...(from && from.tz !== "UTC" ? { timeZone: from.tz } : {}),
  };
}

function fromDates(list: unknown[]): { dates: string[]; timeZone?: string } {
  const dates = list.map(readDate);
  const zones = new Set(dates.map(({ tz }) => tz));
  if (zones.size > 1) return { dates: dates.map(instant) };
  const [zone = "UTC"] = zones;
  return { dates: dates.map(({ dt }) => dt), ...(zone === "UTC" ? {} : { timeZone: zone }) };
}

const instant = ({ dt, tz }: SerializedDate): string => new Date(momentOf(dt, tz)).toISOString();

function readDate(value: unknown): SerializedDate {
  const { dt, tz } = recordOf(value, "date") as Partial<SerializedDate>;
  if (typeof dt !== "string" || !parseDateTime(dt)) throw unreadable("dt", dt);
  // A zone may be missing, or be "Z", where Python's own had no name.
  return { dt, tz: typeof tz !== "string" || tz === "" || tz === "Z" ? "UTC" : tz };
}

function toDate(text: string, zone: string): SerializedDate {
  const local = toLocal(zone, momentOf(text, zone));
  return { dt: new Date(local).toISOString().replace(/(\.000)?Z$/, ""), tz: zone };
}

/** Python's croniter has the seconds of six fields at the end, Millrace at the front. */
const secondsLast = (cron: string): string => moveField(cron, (fields) => [...fields.slice(1), fields[0]!]);
const secondsFirst = (cron: string): string => moveField(cron, (fields) => [fields.at(-1)!, ...fields.slice(0, -1)]);

function moveField(cron: string, move: (fields: string[]) => string[]): string {
  const fields = cron.trim().split(/\s+/);
  return (fields.length === 6 ? move(fields) : fields).join(" ");
}
