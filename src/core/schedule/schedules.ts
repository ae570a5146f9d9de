import { MillraceError } from "../errors.js";
import { isJson } from "../json.js";
import { isTimeZone, parseDateTime, parseSpan } from "./date-time.js";
import { type MissedRuns, refuseMissed, type Schedule, type ScheduleClock, type ScheduleRule } from "./schedule.js";

/** What a Cloud does about start times that passed while it was not running. */
interface MissedOptions {
  /**
   * `"skip"`: they are not run. `"latest"`: one run is made up for, the newest. `"all"`: each is, up to `maxMissed`.
   * A start time is missed when the Cloud did not run then, nor in the five minutes after it. Default `"skip"`.
   */
  onMissed?: MissedRuns;
  /** Of `onMissed: "all"`: the most runs that are made up for, the newest ones; 1 to 1,000. Default 100. */
  maxMissed?: number;
}

/** What the runs of a clock get, and the zone its dates are in. */
interface RunFacts extends MissedOptions {
  /** An IANA name such as `Europe/Berlin`. Default UTC. */
  timeZone?: string;
  /** Values for parameters of the runs that this clock makes; plain JSON. */
  parameterDefaults?: Readonly<Record<string, unknown>>;
  /** Labels of those runs, in place of the flow's. */
  labels?: readonly string[];
}

/** Options of `schedules.cron` and `schedules.rrule`; all of them optional. */
export interface ClockOptions extends RunFacts {
  /** No run before. Text without an offset is clock time in `timeZone`. */
  startAt?: Date | string;
  /** No run after. */
  endAt?: Date | string;
}

/** Options of `schedules.interval`: one of `every` and `everyMs`. */
export interface IntervalOptions extends ClockOptions {
  /** For instance `"15m"`, `"1d"`, `"1d 12h"`; units are ms, s, m, h, d and w. */
  every?: string;
  everyMs?: number;
}

export interface CronOptions extends ClockOptions {
  /** Is the day of the month or the day of the week enough when both are given, as in crontab(5)? False: both must fit. Default true. */
  dayOr?: boolean;
}

/** What {@link schedules.combine} puts together. */
export interface CombineOptions extends MissedOptions {
  clocks: readonly Schedule[];
  /** All of them must hold. */
  filters?: readonly ScheduleRule[];
  /** At least one must hold, if there are any. */
  orFilters?: readonly ScheduleRule[];
  /** None may hold. */
  notFilters?: readonly ScheduleRule[];
  adjustments?: readonly ScheduleRule[];
}

/**
 * When a flow's runs start by themselves: the flow option `schedule`. Schedules are plain JSON. What needs the libraries
 * (is the cron text right? does the rule ever come true?) is looked at when the flow is saved, deployed or served.
 * @throws SCHEDULE_INVALID for what can be seen to be wrong at once
 * @example
 * flow("report", { schedule: schedules.cron("0 9 * * 1-5", { timeZone: "Europe/Berlin" }) }, () => { … });
 */
export const schedules = {
  /**
   * Every so often from `startAt` on (default: the start of 2019). Intervals of a day or more follow the local clock, so
   * that every day at 9 stays at 9 when daylight saving begins; what is left beside whole days, and shorter intervals,
   * are elapsed time. Deployed: 60 s or more.
   */
  interval: (options: IntervalOptions): Schedule => {
    const { every, everyMs } = options;
    const intervalMs = every === undefined ? everyMs : parseSpan(every);
    if (intervalMs === undefined || !Number.isSafeInteger(intervalMs) || intervalMs < 1 || (every && everyMs)) {
      const given = JSON.stringify({ every, everyMs });
      throw invalid(`\`schedules.interval\` takes \`every\` or \`everyMs\`, a span of time, and was given ${given}.`, {
        hint: 'Write every: "15m", or everyMs: 900_000.',
      });
    }
    return one("schedules.interval", options, { kind: "interval", intervalMs });
  },

  /** When the local clock shows one of the times of a crontab: five fields, six with seconds first, or `@daily` and the like. */
  cron: (cron: string, options: CronOptions = {}): Schedule => {
    const fields = typeof cron === "string" ? cron.trim().split(/\s+/) : [];
    if (fields.length !== 5 && fields.length !== 6 && !/^@[a-z]+$/i.test(fields.join(" "))) {
      throw invalid(`\`schedules.cron\` takes five or six fields, and was given ${JSON.stringify(cron)}.`, {
        hint: 'For instance "0 9 * * 1-5": at 9:00 on weekdays.',
      });
    }
    const dayOr = options.dayOr === undefined ? {} : { dayOr: options.dayOr };
    return one("schedules.cron", options, { kind: "cron", cron: fields.join(" "), ...dayOr });
  },

  /** At these dates. */
  dates: (dates: readonly (Date | string)[], options: RunFacts = {}): Schedule => {
    if (!Array.isArray(dates) || dates.length === 0) throw invalid("`schedules.dates` takes a list of dates.");
    const texts = dates.map((date) => dateText("schedules.dates", "dates", date));
    return one("schedules.dates", options, { kind: "dates", dates: texts });
  },

  /**
   * By a recurrence rule of iCalendar (RFC 5545): `"FREQ=WEEKLY;BYDAY=MO"`, or lines of DTSTART, RRULE, RDATE and EXDATE.
   * Without DTSTART it is counted from `startAt` (default: the start of 2019).
   */
  rrule: (rrule: string, options: ClockOptions = {}): Schedule => {
    if (typeof rrule !== "string" || !/(^|[\s;:])FREQ=/i.test(rrule))
      throw invalid(`\`schedules.rrule\` takes a rule with FREQ, and was given ${JSON.stringify(rrule)}.`);
    return one("schedules.rrule", options, { kind: "rrule", rrule });
  },

  /** The start times of several schedules in one order, those that pass the filters, moved by the adjustments. */
  combine: (options: CombineOptions): Schedule => {
    const { clocks, onMissed, maxMissed, ...rules } = options;
    if (!Array.isArray(clocks) || clocks.length === 0)
      throw invalid("`schedules.combine` takes a list of schedules as `clocks`.");
    const missed = clocks.find((each: Schedule) => each.onMissed !== undefined);
    if (missed) {
      throw invalid("`schedules.combine` was given a schedule that has `onMissed` of its own.", {
        hint: "Give it to the outermost combine(); it holds for all its clocks.",
      });
    }
    const ruled = clocks.find(({ filters, orFilters, notFilters, adjustments }: Schedule) =>
      [filters, orFilters, notFilters, adjustments].some((rules) => rules?.length),
    );
    if (ruled) {
      throw invalid("`schedules.combine` was given a schedule that has filters or adjustments of its own.", {
        hint: "Give the filters to the outermost combine(); they hold for all its clocks.",
      });
    }
    const given = Object.entries(rules).filter(([, list]) => list !== undefined && list.length > 0);
    return Object.freeze({
      clocks: clocks.flatMap((each: Schedule) => each.clocks),
      ...Object.fromEntries(given),
      ...missedFacts("schedules.combine", options),
    });
  },
} as const;

function one(whose: string, options: ClockOptions, kind: Record<string, unknown>): Schedule {
  const clock = { ...kind, ...clockFacts(whose, options) } as unknown as ScheduleClock;
  return Object.freeze({ clocks: Object.freeze([Object.freeze(clock)]), ...missedFacts(whose, options) });
}

function missedFacts(whose: string, { onMissed, maxMissed }: MissedOptions): MissedOptions {
  const refused = refuseMissed({ onMissed, maxMissed } as MissedOptions);
  if (refused) throw invalid(`\`${whose}\`: ${refused}.`);
  return { ...(onMissed === undefined ? {} : { onMissed }), ...(maxMissed === undefined ? {} : { maxMissed }) };
}

function clockFacts(whose: string, options: ClockOptions): Record<string, unknown> {
  const { startAt, endAt, timeZone, parameterDefaults, labels } = options;
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    throw invalid(`\`${whose}\`: \`timeZone\` is ${JSON.stringify(timeZone)}, which no time zone is called.`, {
      hint: "Give an IANA name, for instance Europe/Berlin.",
    });
  }
  if (parameterDefaults !== undefined && !(isRecord(parameterDefaults) && isJson(parameterDefaults)))
    throw invalid(`\`${whose}\`: \`parameterDefaults\` must be an object of plain JSON.`);
  if (labels !== undefined && !(Array.isArray(labels) && labels.every((label) => typeof label === "string" && label)))
    throw invalid(`\`${whose}\`: \`labels\` must be a list of words.`);
  return {
    ...(startAt === undefined ? {} : { startAt: dateText(whose, "startAt", startAt) }),
    ...(endAt === undefined ? {} : { endAt: dateText(whose, "endAt", endAt) }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(parameterDefaults === undefined ? {} : { parameterDefaults }),
    ...(labels === undefined ? {} : { labels: [...labels] }),
  };
}

const isRecord = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function dateText(whose: string, option: string, date: unknown): string {
  if (date instanceof Date && !Number.isNaN(date.getTime())) return date.toISOString();
  if (typeof date === "string" && parseDateTime(date)) return date;
  throw invalid(`\`${whose}\`: \`${option}\` has ${JSON.stringify(date) ?? String(date)}, which is no date.`, {
    hint: 'Give a Date, or ISO 8601 text such as "2026-03-01T09:00" or "2026-03-01T09:00:00Z".',
  });
}

function invalid(message: string, facts: { hint?: string } = {}): MillraceError {
  return new MillraceError("SCHEDULE_INVALID", message, facts);
}
