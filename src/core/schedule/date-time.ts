/** An ISO 8601 date taken apart: its clock time as if it were UTC, and its offset where it names one. */
export interface DateTime {
  readonly localMs: number;
  /** What the clock is ahead of UTC; undefined where the text names no offset. */
  readonly offsetMs: number | undefined;
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

const dateTimePattern =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** A date alone is its midnight. Undefined for any other text, and for a day or time that no calendar has. */
export function parseDateTime(text: string): DateTime | undefined {
  const found = dateTimePattern.exec(text);
  if (!found) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0));
  const date = new Date(0);
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year!, month! - 1, day!);
  if (date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day) return undefined;
  if (hour! > 23 || minute! > 59 || second! > 59) return undefined;
  const ms = Number((found[7] ?? "").slice(0, 3).padEnd(3, "0"));
  const localMs = date.getTime() + hour! * HOUR_MS + minute! * MINUTE_MS + second! * 1_000 + ms;
  return { localMs, offsetMs: parseOffset(found[8]) };
}

function parseOffset(text: string | undefined): number | undefined {
  if (text === undefined || text === "Z") return text === undefined ? undefined : 0;
  const sign = text.startsWith("-") ? -1 : 1;
  return sign * (Number(text.slice(1, 3)) * HOUR_MS + Number(text.slice(-2)) * MINUTE_MS);
}

/** `"09:30"`, `"09:30:15.250"` as milliseconds since midnight; undefined for any other text. */
export function parseTimeOfDay(text: string): number | undefined {
  const found = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?$/.exec(text);
  if (!found) return undefined;
  const [hour, minute, second] = found.slice(1, 4).map((part) => Number(part ?? 0));
  if (hour! > 23 || minute! > 59 || second! > 59) return undefined;
  const ms = Number((found[4] ?? "").slice(0, 3).padEnd(3, "0"));
  return hour! * HOUR_MS + minute! * MINUTE_MS + second! * 1_000 + ms;
}

const units: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: 24 * HOUR_MS,
  w: 7 * 24 * HOUR_MS,
};

/** `"15m"`, `"1d 12h"` in milliseconds; undefined for any other text. */
export function parseSpan(text: string): number | undefined {
  if (!/^-?(\d+(ms|[smhdw])\s*)+$/.test(text)) return undefined;
  const sum = [...text.matchAll(/(\d+)(ms|[smhdw])/g)].reduce((ms, part) => ms + Number(part[1]) * units[part[2]!]!, 0);
  return text.startsWith("-") ? -sum : sum;
}

/** Does this machine know the time zone? */
export function isTimeZone(name: unknown): name is string {
  if (typeof name !== "string") return false;
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
