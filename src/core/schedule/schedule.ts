/** A moment of a schedule, with what its clock adds to the run. */
export interface ScheduleEvent {
  /** ISO 8601, UTC. */
  readonly startAt: string;
  readonly parameterDefaults: Readonly<Record<string, unknown>>;
  /** Undefined: those of the flow. */
  readonly labels: readonly string[] | undefined;
}

/** What every clock may add to the runs it makes. */
interface ClockFacts {
  readonly parameterDefaults?: Readonly<Record<string, unknown>>;
  readonly labels?: readonly string[];
}

/**
 * A source of start times. Plain JSON: it goes into the saved flow and to the Cloud. Dates are ISO 8601; those without an
 * offset are read as clock time in `timeZone`. `startAt` and `endAt` are themselves start times that may be taken.
 */
export type ScheduleClock =
  | (ClockFacts & {
      readonly kind: "interval";
      readonly intervalMs: number;
      /** Default 2019-01-01T00:00:00, in the clock's time zone. */
      readonly startAt?: string;
      readonly endAt?: string;
      /** An IANA zone; whole days follow its local clock across daylight saving. Default UTC. */
      readonly timeZone?: string;
    })
  | (ClockFacts & {
      readonly kind: "cron";
      /** Five fields, six with seconds first, or a word such as `@daily`. */
      readonly cron: string;
      readonly startAt?: string;
      readonly endAt?: string;
      /** Default UTC. */
      readonly timeZone?: string;
      /** Day of month or day of week is enough when both are given, as in crontab(5); false: both must fit. Default true. */
      readonly dayOr?: boolean;
    })
  | (ClockFacts & {
      readonly kind: "dates";
      readonly dates: readonly string[];
      /** Default UTC. */
      readonly timeZone?: string;
    })
  | (ClockFacts & {
      readonly kind: "rrule";
      /** iCalendar text, `RRULE:` with `DTSTART`, `EXDATE` and the like (RFC 5545). */
      readonly rrule: string;
      readonly startAt?: string;
      readonly endAt?: string;
      /** For dates in the rule that name no zone of their own. Default UTC. */
      readonly timeZone?: string;
    });

/** A question to a date, or a move of it, by name and arguments, as Prefect's schedules have them (section 3.14 of the protocol notes). */
export interface ScheduleRule {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** When a flow's runs start: the clocks' times in order, those that pass the filters, moved by the adjustments. Plain JSON. */
export interface Schedule {
  readonly clocks: readonly ScheduleClock[];
  /** All of them must hold. */
  readonly filters?: readonly ScheduleRule[];
  /** At least one must hold, if there are any. */
  readonly orFilters?: readonly ScheduleRule[];
  /** None may hold. */
  readonly notFilters?: readonly ScheduleRule[];
  /** Applied in order. */
  readonly adjustments?: readonly ScheduleRule[];
  /** What a Cloud does about start times that passed while it was not running. Default `"skip"`. */
  readonly onMissed?: MissedRuns;
  /** Of `onMissed: "all"`: the most runs that are made up for, the newest ones. Default {@link DEFAULT_MAX_MISSED}. */
  readonly maxMissed?: number;
}

/**
 * `skip`: they are not run. `latest`: there is one run, for the newest of them. `all`: each is run, up to `maxMissed`.
 */
export type MissedRuns = (typeof missedRuns)[number];
export const missedRuns = ["skip", "latest", "all"] as const;

/** More than a day of hourly runs, three days of half-hourly ones: enough to catch up, and no flood. */
export const DEFAULT_MAX_MISSED = 100;
export const MOST_MAX_MISSED = 1_000;

/** Why `onMissed` and `maxMissed` cannot be used; null: they can. */
export function refuseMissed({ onMissed, maxMissed }: Pick<Schedule, "onMissed" | "maxMissed">): string | null {
  if (onMissed !== undefined && !missedRuns.includes(onMissed)) {
    return `\`onMissed\` must be ${missedRuns.map((each) => `"${each}"`).join(", ")}, and is ${JSON.stringify(onMissed)}`;
  }
  if (maxMissed === undefined) return null;
  if (onMissed !== "all") return '`maxMissed` is for `onMissed: "all"`';
  if (Number.isInteger(maxMissed) && maxMissed >= 1 && maxMissed <= MOST_MAX_MISSED) return null;
  return `\`maxMissed\` must be a whole number from 1 to ${MOST_MAX_MISSED}, and is ${JSON.stringify(maxMissed)}`;
}

/** A schedule in a few words, for tables. */
export function describeSchedule(schedule: Schedule | null): string {
  if (schedule === null) return "no schedule";
  const { clocks, filters = [], orFilters = [], notFilters = [], adjustments = [] } = schedule;
  const rules = [...filters, ...orFilters, ...notFilters, ...adjustments].length;
  return [...clocks.map(describeClock), ...(rules > 0 ? [`${rules} rule${rules === 1 ? "" : "s"}`] : [])].join(", ");
}

function describeClock(clock: ScheduleClock): string {
  const zone = clock.timeZone === undefined ? "" : ` (${clock.timeZone})`;
  switch (clock.kind) {
    case "interval":
      return `every ${clock.intervalMs / 1_000} s${zone}`;
    case "cron":
      return `cron ${clock.cron}${zone}`;
    case "dates":
      return `${clock.dates.length} dates${zone}`;
    case "rrule":
      return `rrule ${clock.rrule.replace(/\s+/g, " ")}${zone}`;
  }
}
