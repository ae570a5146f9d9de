/**
 * A model of clock times that shares nothing with what is tested: it goes through the minutes of UTC one by one and asks
 * Intl what each zone's clock shows then.
 */
export interface Shown {
  readonly at: number;
  /** `2026-03-29T02:30` */
  readonly text: string;
  readonly hour: number;
  readonly minute: number;
  readonly day: number;
  readonly month: number;
  /** Sunday is 0. */
  readonly weekday: number;
}

export const MINUTE_MS = 60_000;

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** What the zone's clock shows at every minute from one moment up to another. */
export function minutesOf(zone: string, from: string, to: string): Shown[] {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    hourCycle: "h23",
    weekday: "short",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  const shown: Shown[] = [];
  for (let at = Date.parse(from); at < Date.parse(to); at += MINUTE_MS) {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    shown.push({
      at,
      text: `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`,
      hour: Number(parts.hour),
      minute: Number(parts.minute),
      day: Number(parts.day),
      month: Number(parts.month),
      weekday: weekdays.indexOf(parts.weekday!),
    });
  }
  return shown;
}

export const iso = (at: number): string => new Date(at).toISOString();

/** The first minute at which the clock shows each wanted text; one that it skips has none. */
export function firstShown(minutes: readonly Shown[], wanted: (shown: Shown) => boolean): string[] {
  const seen = new Set<string>();
  return minutes.filter((shown) => wanted(shown) && seen.size < seen.add(shown.text).size).map(({ at }) => iso(at));
}

/** Days about which clocks change, north and south, by an hour and by half of one. */
export const transitions: readonly { zone: string; kind: "gap" | "repeat"; from: string; to: string; time: string }[] =
  [
    { zone: "Europe/Berlin", kind: "gap", from: "2026-03-27T00:00Z", to: "2026-04-01T00:00Z", time: "02:30" },
    { zone: "Europe/Berlin", kind: "repeat", from: "2026-10-23T00:00Z", to: "2026-10-28T00:00Z", time: "02:30" },
    { zone: "Europe/London", kind: "gap", from: "2026-03-27T00:00Z", to: "2026-04-01T00:00Z", time: "01:30" },
    { zone: "Europe/London", kind: "repeat", from: "2026-10-23T00:00Z", to: "2026-10-28T00:00Z", time: "01:30" },
    { zone: "America/New_York", kind: "gap", from: "2026-03-06T00:00Z", to: "2026-03-11T00:00Z", time: "02:30" },
    { zone: "America/New_York", kind: "repeat", from: "2026-10-30T00:00Z", to: "2026-11-04T00:00Z", time: "01:30" },
    { zone: "America/Santiago", kind: "gap", from: "2026-09-04T00:00Z", to: "2026-09-09T00:00Z", time: "00:30" },
    { zone: "America/Santiago", kind: "repeat", from: "2026-04-03T00:00Z", to: "2026-04-08T00:00Z", time: "23:30" },
    { zone: "America/St_Johns", kind: "gap", from: "2026-03-06T00:00Z", to: "2026-03-11T00:00Z", time: "02:30" },
    { zone: "America/St_Johns", kind: "repeat", from: "2026-10-30T00:00Z", to: "2026-11-04T00:00Z", time: "01:30" },
    { zone: "Australia/Lord_Howe", kind: "gap", from: "2026-10-02T00:00Z", to: "2026-10-07T00:00Z", time: "02:15" },
    { zone: "Australia/Lord_Howe", kind: "repeat", from: "2026-04-03T00:00Z", to: "2026-04-08T00:00Z", time: "01:45" },
  ];
