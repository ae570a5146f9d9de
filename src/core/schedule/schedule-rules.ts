import { MillraceError } from "../errors.js";
import { parseDateTime, parseSpan, parseTimeOfDay } from "./date-time.js";
import type { ScheduleRule } from "./schedule.js";

/** What an argument of a rule must be, in words and as a question. */
type ArgumentCheck = readonly [wanted: string, holds: (value: unknown) => boolean];

const dateTime: ArgumentCheck = [
  "an ISO 8601 date",
  (value) => typeof value === "string" && parseDateTime(value) !== undefined,
];
const timeOfDay: ArgumentCheck = [
  'a time of day such as "09:30"',
  (value) => typeof value === "string" && parseTimeOfDay(value) !== undefined,
];
const wholeNumber = (least: number, most: number): ArgumentCheck => [
  `a whole number from ${least} to ${most}`,
  (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
];
const month = wholeNumber(1, 12);
const day = wholeNumber(1, 31);

/** Every rule that a schedule may name, with its arguments. */
export const ruleArguments: Readonly<Record<string, Readonly<Record<string, ArgumentCheck>>>> = {
  onDatetime: { at: dateTime },
  onDate: { month, day },
  atTime: { time: timeOfDay },
  betweenDatetimes: { start: dateTime, end: dateTime },
  betweenDates: { startMonth: month, startDay: day, endMonth: month, endDay: day },
  betweenTimes: { start: timeOfDay, end: timeOfDay },
  isWeekday: {},
  isWeekend: {},
  isDayOfWeek: { dayOfWeek: wholeNumber(0, 6) },
  isMonthStart: {},
  isMonthEnd: {},
  add: { ms: ["a number of milliseconds other than 0", (value) => Number.isFinite(value) && value !== 0] },
  nextWeekday: {},
};
/** The rules that move a date; the others ask of it. */
export const adjustmentNames: readonly string[] = ["add", "nextWeekday"];

/** @throws SCHEDULE_INVALID */
export function checkRule(rule: ScheduleRule): void {
  const checks = Object.hasOwn(ruleArguments, rule.name) ? ruleArguments[rule.name] : undefined;
  if (!checks) {
    throw new MillraceError("SCHEDULE_INVALID", `A schedule has no rule "${rule.name}".`, {
      hint: `There are: ${Object.keys(ruleArguments).join(", ")}.`,
    });
  }
  for (const [name, [wanted, holds]] of Object.entries(checks)) {
    const value = rule.args?.[name];
    if (holds(value)) continue;
    throw new MillraceError(
      "SCHEDULE_INVALID",
      `The rule \`${rule.name}\` takes as \`${name}\` ${wanted}, and was given ${JSON.stringify(value) ?? String(value)}.`,
    );
  }
}

function rule(name: string, args: Record<string, unknown> = {}): ScheduleRule {
  const made = Object.freeze({ name, args: Object.freeze(args) });
  checkRule(made);
  return made;
}

const text = (date: Date | string): string =>
  date instanceof Date && !Number.isNaN(date.getTime()) ? date.toISOString() : (date as string);

/**
 * Questions to a start time, for `schedules.combine`. They look at the clock of the time zone that the start time's own
 * clock has. Where a start lies behind its end, the span goes round: `betweenTimes("22:00", "06:00")` is the night. Both
 * ends count.
 * @throws SCHEDULE_INVALID for arguments that are no date or time
 * @example
 * schedules.combine({ clocks: [schedules.interval({ every: "1h" })], filters: [filters.isWeekday, filters.betweenTimes("09:00", "17:00")] });
 */
export const filters = {
  onDatetime: (at: Date | string): ScheduleRule => rule("onDatetime", { at: text(at) }),
  /** In every year; January is 1. */
  onDate: (month: number, day: number): ScheduleRule => rule("onDate", { month, day }),
  atTime: (time: string): ScheduleRule => rule("atTime", { time }),
  betweenDatetimes: (start: Date | string, end: Date | string): ScheduleRule =>
    rule("betweenDatetimes", { start: text(start), end: text(end) }),
  /** In every year; `betweenDates(10, 15, 3, 31)` is the winter. */
  betweenDates: (startMonth: number, startDay: number, endMonth: number, endDay: number): ScheduleRule =>
    rule("betweenDates", { startMonth, startDay, endMonth, endDay }),
  betweenTimes: (start: string, end: string): ScheduleRule => rule("betweenTimes", { start, end }),
  /** Monday to Friday. */
  isWeekday: rule("isWeekday"),
  isWeekend: rule("isWeekend"),
  /** Sunday is 0, Saturday 6, as `Date.getDay()` counts. */
  isDayOfWeek: (dayOfWeek: number): ScheduleRule => rule("isDayOfWeek", { dayOfWeek }),
  isMonthStart: rule("isMonthStart"),
  isMonthEnd: rule("isMonthEnd"),
} as const;

/** Moves of a start time that has passed the filters, for `schedules.combine`; made in order. */
export const adjustments = {
  /** By milliseconds, or a text such as `"1d 12h"` or `"-30m"`; whole days follow the local clock. */
  add: (span: number | string): ScheduleRule =>
    rule("add", { ms: typeof span === "string" ? (parseSpan(span) ?? span) : span }),
  /** From a Saturday or Sunday to the Monday, at the same time of day. */
  nextWeekday: rule("nextWeekday"),
} as const;
