import type { ScheduleRule } from "../core/schedule/schedule.js";
import { adjustmentNames, checkRule, ruleArguments } from "../core/schedule/schedule-rules.js";
import { recordOf, unreadable } from "./serialized-shape.js";

/** A filter or adjustment as Prefect refers to one: its function's name, and the values it was made with. */
export interface SerializedRule {
  fn: string;
  kwargs: Record<string, unknown>;
}

const FILTERS = "prefect.schedules.filters.";
const ADJUSTMENTS = "prefect.schedules.adjustments.";

/** Where an argument has another name there than `snake_case` of ours; and what marks its text. */
const special: Record<string, { key: string; mark?: string }> = {
  "onDatetime.at": { key: "dt", mark: "//datetime:" },
  "betweenDatetimes.start": { key: "start", mark: "//datetime:" },
  "betweenDatetimes.end": { key: "end", mark: "//datetime:" },
  "atTime.time": { key: "t", mark: "//time:" },
  "betweenTimes.start": { key: "start", mark: "//time:" },
  "betweenTimes.end": { key: "end", mark: "//time:" },
  "add.ms": { key: "interval", mark: "//timedelta:" },
};

export function toSerializedRule({ name, args }: ScheduleRule): SerializedRule {
  const kwargs = Object.entries(args).map(([argument, value]) => {
    const { key, mark } = wireOf(name, argument);
    if (mark === undefined) return [key, value];
    return [key, `${mark}${mark === "//timedelta:" ? secondsText(Number(value)) : withSeconds(mark, String(value))}`];
  });
  const place = adjustmentNames.includes(name) ? ADJUSTMENTS : FILTERS;
  return { fn: `${place}${toSnake(name)}`, kwargs: Object.fromEntries(kwargs) };
}

/** @throws SCHEDULE_INVALID for a function that is not Prefect's own, as Prefect refuses it too */
export function fromSerializedRule(value: unknown): ScheduleRule {
  const { fn, kwargs } = recordOf(value, "filter") as Partial<SerializedRule>;
  const place = [FILTERS, ADJUSTMENTS].find((each) => typeof fn === "string" && fn.startsWith(each));
  const name = place === undefined ? "" : toCamel(fn!.slice(place.length));
  if (place === undefined || !Object.hasOwn(ruleArguments, name)) throw unreadable("fn", fn);
  const given = kwargs ?? {};
  const args = Object.keys(ruleArguments[name]!).map((argument) => {
    const { key, mark } = wireOf(name, argument);
    const text = recordOf(given, "kwargs")[key];
    if (mark === undefined) return [argument, text];
    if (typeof text !== "string" || !text.startsWith(mark)) throw unreadable(key, text);
    const bare = text.slice(mark.length);
    return [argument, mark === "//timedelta:" ? Math.round(Number(bare) * 1_000) : bare];
  });
  const rule = { name, args: Object.fromEntries(args) as Record<string, unknown> };
  checkRule(rule);
  return rule;
}

function wireOf(name: string, argument: string): { key: string; mark?: string } {
  return special[`${name}.${argument}`] ?? { key: toSnake(argument) };
}

/** Python writes a whole number of seconds as a float. */
const secondsText = (ms: number): string => (ms % 1_000 === 0 ? `${ms / 1_000}.0` : String(ms / 1_000));
/** Python's `time.fromisoformat` and ours take times without seconds alike; Prefect writes them with. */
const withSeconds = (mark: string, text: string): string =>
  mark === "//time:" && /^\d{2}:\d{2}$/.test(text) ? `${text}:00` : text;

const toSnake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const toCamel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
