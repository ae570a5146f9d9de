import { MillraceError } from "../core/errors.js";
import { parseTimeOfDay } from "../core/schedule/date-time.js";
import type { ScheduleRule } from "../core/schedule/schedule.js";
import { addSpan, DAY_MS, momentOf, toLocal } from "./zone.js";

/** A filter, ready to be asked: does it hold of that moment, by that zone's clock? */
export type Filter = (at: number, zone: string) => boolean;
/** An adjustment: where to does it move that moment, by that zone's clock? */
export type Adjustment = (at: number, zone: string) => number;

/** @throws SCHEDULE_INVALID for a name that is none of the filters' */
export function openFilter({ name, args }: ScheduleRule): Filter {
  const make = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (!make) throw new MillraceError("SCHEDULE_INVALID", `A schedule has no filter "${name}".`);
  return make(args);
}

/** @throws SCHEDULE_INVALID for a name that is none of the adjustments' */
export function openAdjustment({ name, args }: ScheduleRule): Adjustment {
  if (name === "add") return (at, zone) => addSpan(zone, at, Number(args.ms));
  if (name === "nextWeekday") return (at, zone) => addSpan(zone, at, (daysToMonday[weekday(at, zone)] ?? 0) * DAY_MS);
  throw new MillraceError("SCHEDULE_INVALID", `A schedule has no adjustment "${name}".`);
}

/** Sunday and Saturday. */
const daysToMonday: Record<number, number> = { 0: 1, 6: 2 };

type Arguments = ScheduleRule["args"];
const local = (at: number, zone: string): Date => new Date(toLocal(zone, at));
const weekday = (at: number, zone: string): number => local(at, zone).getUTCDay();
const isWeekend = (day: number): boolean => day === 0 || day === 6;
/** Months and days in one number that grows through the year. */
const inYear = (month: number, day: number): number => month * 100 + day;
const dateInYear = (date: Date): number => inYear(date.getUTCMonth() + 1, date.getUTCDate());
const timeOfDay = (text: unknown): number => parseTimeOfDay(String(text)) ?? Number.NaN;
const timeOf = (at: number, zone: string): number => {
  const ms = toLocal(zone, at) % DAY_MS;
  return ms < 0 ? ms + DAY_MS : ms;
};

/** Both ends count; from an end that lies before the start it goes round. */
const isBetween = (value: number, start: number, end: number): boolean =>
  start <= end ? value >= start && value <= end : value >= start || value <= end;

const filters: Record<string, (args: Arguments) => Filter> = {
  onDatetime:
    ({ at: wanted }) =>
    (at, zone) =>
      at === momentOf(String(wanted), zone),
  onDate: ({ month, day }) => {
    const wanted = inYear(Number(month), Number(day));
    return (at, zone) => dateInYear(local(at, zone)) === wanted;
  },
  atTime: ({ time }) => {
    const wanted = timeOfDay(time);
    return (at, zone) => timeOf(at, zone) === wanted;
  },
  betweenDatetimes:
    ({ start, end }) =>
    (at, zone) =>
      at >= momentOf(String(start), zone) && at <= momentOf(String(end), zone),
  betweenDates: ({ startMonth, startDay, endMonth, endDay }) => {
    const start = inYear(Number(startMonth), Number(startDay));
    const end = inYear(Number(endMonth), Number(endDay));
    return (at, zone) => isBetween(dateInYear(local(at, zone)), start, end);
  },
  betweenTimes: ({ start, end }) => {
    const [from, to] = [timeOfDay(start), timeOfDay(end)];
    return (at, zone) => isBetween(timeOf(at, zone), from, to);
  },
  isWeekday: () => (at, zone) => !isWeekend(weekday(at, zone)),
  isWeekend: () => (at, zone) => isWeekend(weekday(at, zone)),
  isDayOfWeek:
    ({ dayOfWeek }) =>
    (at, zone) =>
      weekday(at, zone) === dayOfWeek,
  isMonthStart: () => (at, zone) => local(at, zone).getUTCDate() === 1,
  isMonthEnd: () => (at, zone) => new Date(toLocal(zone, at) + DAY_MS).getUTCDate() === 1,
};
