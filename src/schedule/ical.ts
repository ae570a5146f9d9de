import { MillraceError } from "../core/errors.js";
import { fromLocal } from "./zone.js";

/** A date of iCalendar: what a zone's clock shows, as if it were UTC. */
export interface IcalDate {
  readonly local: number;
  readonly zone: string;
}

/** One RRULE with the start that it counts from. */
export interface IcalRule {
  readonly start: IcalDate;
  /** `FREQ=DAILY;BYHOUR=9`, checked, with UNTIL in UTC. */
  readonly parts: string;
}

/** The lines of a recurrence (RFC 5545), taken apart. */
export interface Recurrence {
  readonly rules: readonly IcalRule[];
  readonly exRules: readonly IcalRule[];
  readonly dates: readonly IcalDate[];
  readonly exDates: readonly IcalDate[];
}

/** Longer texts are no rule of a person's: 10,000 dates with room to spare. */
const MAX_CHARS = 250_000;
const MAX_RULES = 20;

/**
 * @param defaults The start where the text has no DTSTART, and the zone of dates that name none.
 * @throws SCHEDULE_INVALID
 */
export function parseRecurrence(text: string, defaults: IcalDate): Recurrence {
  if (text.length > MAX_CHARS) throw invalid(text, `it has ${text.length} characters, and may have ${MAX_CHARS}`);
  const found = {
    rules: [] as IcalRule[],
    exRules: [] as IcalRule[],
    dates: [] as IcalDate[],
    exDates: [] as IcalDate[],
  };
  let start = defaults;
  for (const line of unfold(text)) {
    const { name, zone, value } = readLine(line, text, start.zone);
    if (name === "DTSTART") start = readDate(value, zone, text);
    else if (name === "RRULE") found.rules.push({ start, parts: readParts(value, start, text) });
    else if (name === "EXRULE") found.exRules.push({ start, parts: readParts(value, start, text) });
    else if (name === "RDATE") found.dates.push(...value.split(",").map((each) => readDate(each, zone, text)));
    else if (name === "EXDATE") found.exDates.push(...value.split(",").map((each) => readDate(each, zone, text)));
    else throw invalid(text, `it has a line "${name}"`);
  }
  if (found.rules.length + found.dates.length === 0) throw invalid(text, "it has no RRULE");
  if (found.rules.length + found.exRules.length > MAX_RULES) throw invalid(text, `it has more than ${MAX_RULES} rules`);
  return found;
}

/** Lines may be folded: one that begins with a space goes on with the one before. */
const unfold = (text: string): string[] =>
  text
    .replace(/\r?\n[ \t]/g, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

function readLine(line: string, text: string, zone: string): { name: string; zone: string; value: string } {
  if (/^FREQ=/i.test(line)) return { name: "RRULE", zone, value: line };
  const colon = line.search(/:(?=[^:]*$)/);
  if (colon < 0) throw invalid(text, `"${line.slice(0, 40)}" is no line of it`);
  const [name, ...parameters] = line.slice(0, colon).split(";");
  for (const parameter of parameters) {
    const [key, given = ""] = parameter.split("=");
    if (key!.toUpperCase() === "TZID") zone = given.replace(/^"|"$/g, "");
    else if (!/^VALUE=DATE(-TIME)?$/i.test(parameter)) throw invalid(text, `"${parameter}" is not understood`);
  }
  return { name: name!.toUpperCase(), zone, value: line.slice(colon + 1) };
}

function readDate(value: string, zone: string, text: string): IcalDate {
  const found = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?$/i.exec(value.trim());
  if (!found) throw invalid(text, `"${value.slice(0, 40)}" is no date such as 20260301T090000`);
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0));
  const local = Date.UTC(year!, month! - 1, day, hour, minute, second);
  const date = new Date(local);
  if (date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day || hour! > 23 || minute! > 59)
    throw invalid(text, `"${value}" is no date of the calendar`);
  return { local, zone: found[7] ? "UTC" : zone };
}

const list = (least: number, most: number, signed = false) => ({ least, most, signed });
const numbers: Record<string, { least: number; most: number; signed: boolean }> = {
  INTERVAL: list(1, 1_000_000),
  COUNT: list(1, 1_000_000_000),
  BYSECOND: list(0, 59),
  BYMINUTE: list(0, 59),
  BYHOUR: list(0, 23),
  BYMONTHDAY: list(1, 31, true),
  BYYEARDAY: list(1, 366, true),
  BYWEEKNO: list(1, 53, true),
  BYMONTH: list(1, 12),
  BYSETPOS: list(1, 366, true),
};
const words: Record<string, RegExp> = {
  FREQ: /^(SECONDLY|MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)$/,
  WKST: /^(MO|TU|WE|TH|FR|SA|SU)$/,
  BYDAY: /^([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU))*$/,
};

/** The library passes over what it does not know, and over numbers out of range; a schedule must not run by half a rule. */
function readParts(value: string, start: IcalDate, text: string): string {
  const parts = value
    .toUpperCase()
    .split(";")
    .filter((part) => part !== "");
  const names = parts.map((part) => part.split("=")[0]!);
  if (!names.includes("FREQ")) throw invalid(text, "it has no FREQ");
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw invalid(text, `it has ${twice} twice`);
  return parts.map((part) => readPart(part, start, text)).join(";");
}

function readPart(part: string, start: IcalDate, text: string): string {
  const [name = "", value = ""] = part.split("=");
  if (name === "UNTIL") return `UNTIL=${toUtcText(readDate(value, start.zone, text))}`;
  const word = Object.hasOwn(words, name) ? words[name] : undefined;
  const range = Object.hasOwn(numbers, name) ? numbers[name] : undefined;
  if (!word && !range) throw invalid(text, `"${part.slice(0, 40)}" is not a part that is understood`);
  if (word && !word.test(value)) throw invalid(text, `${name} cannot be "${value.slice(0, 40)}"`);
  if (range) {
    const single = name === "INTERVAL" || name === "COUNT";
    for (const item of single ? [value] : value.split(",")) {
      const size = range.signed ? Math.abs(Number(item)) : Number(item);
      const fits = /^[+-]?\d+$/.test(item) && size >= range.least && size <= range.most;
      if (!fits) throw invalid(text, `${name} cannot be "${item.slice(0, 40)}"`);
    }
  }
  return part;
}

/** `20260301T080000Z` */
export function toUtcText({ local, zone }: IcalDate): string {
  return `${toLocalText(fromLocal(zone, local))}Z`;
}

/** `20260301T090000` */
export function toLocalText(local: number): string {
  return new Date(local).toISOString().slice(0, 19).replace(/[-:]/g, "");
}

/** Longer rules are cut in messages. */
const MAX_SHOWN = 120;

export function invalid(text: string, why: string, cause?: unknown): MillraceError {
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return new MillraceError("SCHEDULE_INVALID", `The rule "${shown.replace(/\r?\n/g, " ")}" cannot be used: ${why}.`, {
    hint: 'Write it as iCalendar does (RFC 5545), for instance "DTSTART;TZID=Europe/Berlin:20260301T090000\\nRRULE:FREQ=WEEKLY;BYDAY=MO".',
    ...(cause === undefined ? {} : { cause }),
  });
}
