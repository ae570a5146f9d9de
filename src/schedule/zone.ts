import { MillraceError } from "../core/errors.js";
import { parseDateTime } from "../core/schedule/date-time.js";

/*
 * Time zones by what Node itself knows of them (Intl), and by no more: no table of rules, no library. "Local" milliseconds
 * are a clock's reading taken as if it were UTC, so that Date's UTC fields can take it apart.
 */

export const DAY_MS = 86_400_000;
/** What every clock stops at: the end of the year 9999. */
export const LAST_MS = Date.UTC(10_000, 0, 1) - 1;

/** More zones than there are; a flow of names in other letters does not grow it further. */
const MAX_FORMATS = 1_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** @throws SCHEDULE_INVALID for a zone that this machine does not know */
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  if (formats.size >= MAX_FORMATS) formats.clear();
  const format = makeFormat(zone);
  formats.set(zone, format);
  return format;
}

function makeFormat(zone: string): Intl.DateTimeFormat {
  const two = "2-digit";
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: two,
      day: two,
      hour: two,
      minute: two,
      second: two,
    });
  } catch (cause) {
    throw new MillraceError("SCHEDULE_INVALID", `A schedule names the time zone "${zone}", which is not known here.`, {
      hint: "Give an IANA name, for instance Europe/Berlin.",
      cause,
    });
  }
}

/** How far the zone's clock is ahead of UTC at that moment, in milliseconds. */
export function offsetAt(zone: string, at: number): number {
  if (zone === "UTC") return 0;
  // "03/29/2026, 02:30:00": taking the text apart costs a third of formatToParts.
  const text = formatOf(zone).format(at);
  const field = (from: number, to?: number) => Number(text.slice(from, to));
  const comma = text.indexOf(",");
  const time = comma + 2;
  const localSeconds =
    Date.UTC(
      field(6, comma),
      field(0, 2) - 1,
      field(3, 5),
      field(time, time + 2),
      field(time + 3, time + 5),
      field(time + 6),
    ) / 1_000;
  return (localSeconds - Math.floor(at / 1_000)) * 1_000;
}

/** What the zone's clock shows at that moment. */
export const toLocal = (zone: string, at: number): number => at + offsetAt(zone, at);

/**
 * The moment at which the zone's clock shows that. A time that the clock skips is moved on by as much as it skips; of a
 * time that it shows twice the first is taken. (Temporal calls this "compatible".)
 */
export function fromLocal(zone: string, local: number): number {
  if (zone === "UTC") return local;
  const before = local - offsetAt(zone, local - DAY_MS);
  const after = local - offsetAt(zone, local + DAY_MS);
  if (before === after && toLocal(zone, before) === local) return before;
  const shown = [before, after].filter((at) => toLocal(zone, at) === local);
  return shown.length > 0 ? Math.min(...shown) : before;
}

/** Whole days by the zone's clock, the rest as elapsed time. */
export function addSpan(zone: string, at: number, ms: number): number {
  const days = Math.trunc(ms / DAY_MS);
  if (days === 0) return at + ms;
  return fromLocal(zone, toLocal(zone, at) + days * DAY_MS) + (ms - days * DAY_MS);
}

/** An ISO 8601 date as a moment; without an offset it is clock time in the zone. @throws SCHEDULE_INVALID */
export function momentOf(text: string, zone: string): number {
  const date = parseDateTime(text);
  if (!date)
    throw new MillraceError("SCHEDULE_INVALID", `A schedule has the date "${text}", which is no ISO 8601 date.`);
  return date.offsetMs === undefined ? fromLocal(zone, date.localMs) : date.localMs - date.offsetMs;
}
