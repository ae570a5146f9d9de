import { parseDateTime } from "../core/schedule/date-time.js";
import type { ScheduleClock } from "../core/schedule/schedule.js";
import { type IcalDate, type IcalRule, toLocalText, toUtcText } from "./ical.js";
import { readRecurrence } from "./read-recurrence.js";
import { listOf, recordOf, SERIALIZATION_VERSION, unreadable } from "./serialized-shape.js";
import { fromLocal, toLocal } from "./zone.js";

/** One rule of Python's dateutil: its text, and the dates that lose their zone in it. */
interface SerializedRRule {
  type?: "rrule";
  rr: string;
  _dtstart: string | null;
  _until: string | null;
  __version__: string;
}

interface SerializedRRuleSet {
  type: "rruleset";
  _rrule: SerializedRRule[];
  _rdate: string[];
  _exrule: SerializedRRule[];
  _exdate: string[];
  __version__: string;
}

export type SerializedRecurrence = SerializedRRule | SerializedRRuleSet;

/** @throws SCHEDULE_INVALID */
export function toRecurrence(clock: ScheduleClock & { kind: "rrule" }): SerializedRecurrence {
  const { rules, exRules, dates, exDates } = readRecurrence(clock);
  if (rules.length === 1 && exRules.length + dates.length + exDates.length === 0)
    return { type: "rrule", ...toRRule(rules[0]!) };
  return {
    type: "rruleset",
    _rrule: rules.map(toRRule),
    _rdate: dates.map(toIso),
    _exrule: exRules.map(toRRule),
    _exdate: exDates.map(toIso),
    __version__: SERIALIZATION_VERSION,
  };
}

function toRRule({ start, parts }: IcalRule): SerializedRRule {
  const until = /(^|;)UNTIL=(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z/.exec(parts)?.slice(2);
  const untilMs = until && Date.UTC(+until[0]!, +until[1]! - 1, +until[2]!, +until[3]!, +until[4]!, +until[5]!);
  const untilDate = untilMs === undefined ? undefined : { local: toLocal(start.zone, untilMs), zone: start.zone };
  const local = untilDate ? parts.replace(/UNTIL=[^;]*/, `UNTIL=${toLocalText(untilDate.local)}`) : parts;
  return {
    rr: `DTSTART:${toLocalText(start.local)}\nRRULE:${local}`,
    _dtstart: toIso(start),
    _until: untilDate ? toIso(untilDate) : null,
    __version__: SERIALIZATION_VERSION,
  };
}

/** `2026-03-01T09:00:00+01:00` */
function toIso({ local, zone }: IcalDate): string {
  const minutes = Math.round((local - fromLocal(zone, local)) / 60_000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const offset = `${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
  return `${new Date(local).toISOString().slice(0, 19)}${offset}`;
}

/**
 * A rule that Python registered. Its zone went in the writing: an offset is left, or nothing (UTC). Where the clock's own
 * start names a zone that is at that offset then, the rule gets it back.
 * @throws SCHEDULE_INVALID
 */
export function fromRecurrence(
  value: unknown,
  facts: Omit<ScheduleClock & { kind: "rrule" }, "kind" | "rrule">,
): ScheduleClock[] {
  const recurrence = recordOf(value, "rrule_obj") as Partial<Omit<SerializedRRuleSet, "type">> & { type?: string };
  const { timeZone } = facts;
  if (recurrence.type !== "rruleset")
    return [{ kind: "rrule", rrule: readRRule(recurrence, "RRULE", timeZone), ...facts }];
  const lines = [
    ...listOf(recurrence._rrule, "_rrule").map((rule) => readRRule(rule, "RRULE", timeZone)),
    ...listOf(recurrence._exrule, "_exrule").map((rule) => readRRule(rule, "EXRULE", timeZone)),
    ...listOf(recurrence._rdate, "_rdate").map((date) => `RDATE:${toUtcText(readIso(date, timeZone))}`),
    ...listOf(recurrence._exdate, "_exdate").map((date) => `EXDATE:${toUtcText(readIso(date, timeZone))}`),
  ];
  return [{ kind: "rrule", rrule: lines.join("\n"), ...facts }];
}

function readRRule(value: unknown, name: "RRULE" | "EXRULE", timeZone: string | undefined): string {
  const { rr, _dtstart, _until } = recordOf(value, "rrule") as Partial<SerializedRRule>;
  if (typeof rr !== "string") throw unreadable("rr", rr);
  let parts = /(?:^|\n)\s*(?:RRULE:)?(FREQ=[^\n]*)/i.exec(rr)?.[1]?.trim();
  const written = /(?:^|\n)\s*DTSTART[^:\n]*:(\d{8}T\d{6})/i.exec(rr)?.[1];
  if (parts === undefined) throw unreadable("rr", rr);
  const start = _dtstart ? readIso(_dtstart, timeZone) : undefined;
  if (_until) parts = parts.replace(/UNTIL=[^;]*/i, `UNTIL=${toUtcText(readIso(_until, timeZone))}`);
  const zone = start?.zone ?? timeZone ?? "UTC";
  const local = start ? toLocalText(start.local) : written;
  return `${local === undefined ? "" : `DTSTART;TZID="${zone}":${local}\n`}${name}:${parts}`;
}

function readIso(value: unknown, timeZone: string | undefined): IcalDate {
  const date = typeof value === "string" ? parseDateTime(value) : undefined;
  if (!date) throw unreadable("date", value);
  const { localMs: local, offsetMs } = date;
  if (offsetMs === undefined) return { local, zone: timeZone ?? "UTC" };
  if (timeZone !== undefined && fromLocal(timeZone, local) === local - offsetMs) return { local, zone: timeZone };
  if (offsetMs === 0) return { local, zone: "UTC" };
  return {
    local,
    zone: String(value)
      .slice(-6)
      .replace(/^([+-]\d{2})(\d{2})$/, "$1:$2"),
  };
}
