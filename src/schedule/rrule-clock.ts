import { RRuleTemporal } from "rrule-temporal";
import type { ScheduleClock } from "../core/schedule/schedule.js";
import { type IcalDate, type IcalRule, invalid, toLocalText } from "./ical.js";
import { mergeTimes } from "./merge-times.js";
import { readRecurrence } from "./read-recurrence.js";
import { fromLocal, LAST_MS, momentOf } from "./zone.js";

type RRuleClock = ScheduleClock & { kind: "rrule" };

/**
 * So many periods may be looked at for one date, by what a period costs. Measured: a rule by days, or by the second, that
 * never comes true stops after 0.3 s, one by years after 0.4 s. Counted rules are gone through from their start: 50,000
 * days are 19 times that the year's last day is a Sunday. Between dates the library jumps over hours, minutes and seconds.
 */
const MAX_PERIODS: Record<string, number> = { SECONDLY: 2_000, MINUTELY: 2_000, HOURLY: 2_000, DAILY: 50_000 };
const MAX_LONG_PERIODS = 10_000;
/** So long may all dates of one search take: the net under rules that are allowed by the period and endless in sum. */
const MAX_SEARCH_MS = 4_000;

/**
 * The times of a recurrence after a moment: those of its RRULEs and RDATEs, without those of EXRULEs and EXDATEs. A time
 * that the zone's clock skips is left out, as RFC 5545 has it; of one that it shows twice the first counts.
 * @throws SCHEDULE_INVALID
 */
export function* rruleTimes(clock: RRuleClock, afterMs: number): Generator<number> {
  const { timeZone = "UTC" } = clock;
  const { rules, exRules, dates, exDates } = readRecurrence(clock);
  const moment = ({ local, zone }: IcalDate) => fromLocal(zone, local);
  const excluded = new Set(exDates.map(moment));
  const start = clock.startAt === undefined ? Number.NEGATIVE_INFINITY : momentOf(clock.startAt, timeZone);
  const end = clock.endAt === undefined ? LAST_MS : momentOf(clock.endAt, timeZone);
  // The start itself may be taken.
  const from = Math.max(afterMs, start - 1);
  const budget = { leftMs: MAX_SEARCH_MS };
  const exclusions = exRules.map((rule) => openRule(rule, clock.rrule));
  const single = dates.map(moment).sort((a, b) => a - b);
  const streams = rules.map((rule) => ruleTimes(openRule(rule, clock.rrule), from, clock.rrule, budget));
  let last = from;
  for (const at of mergeTimes([...streams, single.filter((date) => date > from).values()])) {
    if (at > end) return;
    if (at <= last || excluded.has(at)) continue;
    if (exclusions.some(({ rule }) => spend(budget, clock.rrule, () => rule.matches(new Date(at))))) continue;
    last = at;
    yield at;
  }
}

interface OpenRule {
  readonly rule: RRuleTemporal;
  readonly windowMs: number;
}

function openRule({ start, parts }: IcalRule, text: string): OpenRule {
  try {
    const rule = new RRuleTemporal({
      rruleString: `DTSTART:${toLocalText(start.local)}\nRRULE:${parts}`,
      tzid: start.zone,
      maxIterations: MAX_PERIODS[/FREQ=(\w+)/.exec(parts)?.[1] ?? ""] ?? MAX_LONG_PERIODS,
    });
    return { rule, windowMs: windowOf(parts) };
  } catch (cause) {
    throw invalid(text, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function* ruleTimes(
  { rule, windowMs }: OpenRule,
  afterMs: number,
  text: string,
  budget: { leftMs: number },
): Generator<number> {
  for (let at = afterMs; ; ) {
    const next = spend(budget, text, () => rule.next(new Date(at)));
    if (!next) return;
    at = next.epochMilliseconds;
    yield at;
    while (windowMs > 0) {
      // Both ends are left out by `between`: the later one is to be in.
      const to = at + windowMs;
      const dates = spend(budget, text, () => rule.between(new Date(at), new Date(to + 1)));
      for (const date of dates) yield date.epochMilliseconds;
      at = to;
      if (dates.length === 0) break;
    }
  }
}

/** About so many dates are fetched at once. */
const WINDOW_DATES = 64;
const periodMs: Record<string, number> = { SECONDLY: 1_000, MINUTELY: 60_000, HOURLY: 3_600_000 };

/**
 * Dates less than a day apart cost a twentieth when they are asked for together (measured for rules by hours: 20 µs each,
 * 480 one by one): so long a span holds some dozens of them. 0: ask one by one.
 */
function windowOf(parts: string): number {
  const part = (name: string) => new RegExp(`(?:^|;)${name}=([^;]*)`).exec(parts)?.[1];
  const freq = part("FREQ") ?? "";
  const expanded = { HOURLY: ["BYMINUTE", "BYSECOND"], MINUTELY: ["BYSECOND"] }[freq] ?? [];
  const perPeriod = expanded.reduce((product, name) => product * (part(name)?.split(",").length ?? 1), 1);
  const periods = Math.max(1, Math.floor(WINDOW_DATES / perPeriod));
  return (periodMs[freq] ?? 0) * Number(part("INTERVAL") ?? 1) * periods;
}

function spend<Answer>(budget: { leftMs: number }, text: string, ask: () => Answer): Answer {
  if (budget.leftMs < 0) throw invalid(text, "its dates take too long to find");
  const from = performance.now();
  try {
    return ask();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(
      text,
      /exceeded/.test(why) ? "it names no date, or too many steps lie between its dates" : why.replace(/\.$/, ""),
      cause,
    );
  } finally {
    budget.leftMs -= performance.now() - from;
  }
}
