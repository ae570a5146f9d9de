import { MillraceError } from "../core/errors.js";
import type { FlowSpec } from "../core/flow-spec.js";
import { isJson } from "../core/json.js";
import { isTimeZone, parseDateTime } from "../core/schedule/date-time.js";
import { refuseMissed, type Schedule, type ScheduleClock } from "../core/schedule/schedule.js";
import { adjustmentNames, checkRule } from "../core/schedule/schedule-rules.js";
import { cronTimes, readCron } from "./cron-clock.js";
import { intervalTimes } from "./interval-clock.js";
import { rruleTimes } from "./rrule-clock.js";

/** What Prefect's Cloud takes: runs of a deployed flow are no closer together than this. */
export const MIN_DEPLOYED_GAP_MS = 60_000;
/** A rule whose first dates keep their distance is taken to keep it. */
const PROBED_DATES = 100;

const MAX_CLOCKS = 100;
const MAX_RULES = 100;
const MAX_DATES = 10_000;
/** Before any date that a schedule can name. */
const EARLIEST_MS = Date.UTC(1_000, 0, 1);

/**
 * Can the schedule be read, and does each of its clocks name a date?
 * @throws SCHEDULE_INVALID
 */
export function checkSchedule(schedule: Schedule): void {
  const { clocks, filters = [], orFilters = [], notFilters = [], adjustments = [] } = schedule;
  const questions = [filters, orFilters, notFilters];
  if (!Array.isArray(clocks) || clocks.length === 0) throw invalid("A schedule has no clocks.");
  if (clocks.length > MAX_CLOCKS) throw invalid(`A schedule has ${clocks.length} clocks, and may have ${MAX_CLOCKS}.`);
  if (![...questions, adjustments].every(Array.isArray)) throw invalid("A schedule's filters are no list.");
  const rules = questions.flat();
  if (rules.length + adjustments.length > MAX_RULES)
    throw invalid(`A schedule has ${rules.length + adjustments.length} rules, and may have ${MAX_RULES}.`);
  for (const rule of [...rules, ...adjustments]) checkRule(rule);
  const wrong =
    rules.find(({ name }) => adjustmentNames.includes(name)) ??
    adjustments.find(({ name }) => !adjustmentNames.includes(name));
  if (wrong)
    throw invalid(
      `The rule \`${wrong.name}\` stands among the ${rules.includes(wrong) ? "filters" : "adjustments"} of a schedule, and is none.`,
    );
  const missed = refuseMissed(schedule);
  if (missed) throw invalid(`A schedule's ${missed}.`);
  for (const clock of clocks) checkClock(clock);
}

/**
 * Can the flow be registered with its schedule? Besides {@link checkSchedule}: no runs less than 60 s apart, and a value
 * for every required parameter from every clock.
 * @throws SCHEDULE_INVALID
 */
export function checkDeployedSchedule({
  name,
  parameters,
  schedule,
}: Pick<FlowSpec, "name" | "parameters" | "schedule">): void {
  if (schedule === null) return;
  checkSchedule(schedule);
  checkParameters(name, parameters, schedule);
  checkGaps(name, schedule);
}

/** @throws SCHEDULE_INVALID where a clock asks for runs less than 60 s apart */
export function checkGaps(name: string, { clocks }: Schedule): void {
  for (const clock of clocks) {
    if (!isTooOften(clock)) continue;
    throw invalid(`Flow "${name}" is scheduled less than ${MIN_DEPLOYED_GAP_MS / 1_000} s apart: ${describe(clock)}.`, {
      hint: "Schedule a deployed flow by minutes or more; flow.serve() runs it more often, in its own process.",
    });
  }
}

/** @throws SCHEDULE_INVALID where a clock gives too few or unknown parameters */
export function checkParameters(
  flowName: string,
  parameters: FlowSpec["parameters"],
  { clocks }: Schedule,
  given: readonly string[] = [],
): void {
  for (const clock of clocks) {
    const supplied = [...Object.keys(clock.parameterDefaults ?? {}), ...given];
    const missing = parameters.find(({ name, required }) => required && !supplied.includes(name));
    if (missing) {
      throw invalid(
        `Flow "${flowName}" is scheduled, but its parameter "${missing.name}" has no default, and this clock gives it no value: ${describe(clock)}.`,
        { hint: "Give the parameter a default, or each clock a value for it in `parameterDefaults`." },
      );
    }
    const known = parameters.map(({ name }) => name);
    const unknown = Object.keys(clock.parameterDefaults ?? {}).find((name) => !known.includes(name));
    if (unknown !== undefined) {
      throw invalid(
        `Flow "${flowName}" has no parameter "${unknown}", for which a clock of its schedule gives a value.`,
        {
          hint: `It has: ${known.join(", ") || "none"}.`,
        },
      );
    }
  }
}

function checkClock(clock: ScheduleClock): void {
  if (typeof clock !== "object" || clock === null) throw invalid("A clock of a schedule is no object.");
  const { parameterDefaults, labels, timeZone } = clock;
  if (timeZone !== undefined && !isTimeZone(timeZone))
    throw invalid(`A clock's \`timeZone\` is ${JSON.stringify(timeZone)}, which no time zone is called.`);
  const isRecord =
    typeof parameterDefaults === "object" && parameterDefaults !== null && !Array.isArray(parameterDefaults);
  if (parameterDefaults !== undefined && !(isRecord && isJson(parameterDefaults)))
    throw invalid("A clock's `parameterDefaults` must be an object of plain JSON.");
  if (labels !== undefined && !(Array.isArray(labels) && labels.every((label) => typeof label === "string")))
    throw invalid("A clock's `labels` must be a list of words.");
  const bounds = clock.kind === "dates" ? clock.dates : [clock.startAt, clock.endAt];
  for (const date of Array.isArray(bounds) ? bounds : [null]) {
    if (date !== undefined && !(typeof date === "string" && parseDateTime(date)))
      throw invalid(`A clock has ${JSON.stringify(date)} for a date, which is none.`);
  }
  checkByKind(clock);
  if (firstOf(clock) === undefined) throw invalid(`A clock of a schedule names no date: ${describe(clock)}.`);
}

function checkByKind(clock: ScheduleClock): void {
  switch (clock.kind) {
    case "interval":
      if (!Number.isFinite(clock.intervalMs) || clock.intervalMs < 1)
        throw invalid(`A clock's \`intervalMs\` must be 1 or more, and is ${JSON.stringify(clock.intervalMs)}.`);
      return;
    case "cron":
      readCron(clock);
      return;
    case "dates":
      if (clock.dates.length > MAX_DATES)
        throw invalid(`A clock has ${clock.dates.length} dates, and may have ${MAX_DATES}.`);
      return;
    case "rrule":
      if (typeof clock.rrule !== "string") throw invalid("A clock's `rrule` must be text.");
      return;
    default:
      throw invalid(`A schedule has no clock of the kind ${JSON.stringify((clock as { kind: unknown }).kind)}.`);
  }
}

function firstOf(clock: ScheduleClock): number | undefined {
  if (clock.kind === "dates") return clock.dates.length > 0 ? 0 : undefined;
  const [first] = firstTimes(clock, 1);
  return first;
}

function firstTimes(clock: Exclude<ScheduleClock, { kind: "dates" }>, count: number): number[] {
  const times: number[] = [];
  for (const at of timesFromBeginning(clock)) if (times.push(at) >= count) break;
  return times;
}

function timesFromBeginning(clock: Exclude<ScheduleClock, { kind: "dates" }>): Generator<number> {
  if (clock.kind === "interval") return intervalTimes(clock, EARLIEST_MS);
  // Cron's search goes through the years one by one; nobody's clock begins before the epoch.
  return clock.kind === "cron" ? cronTimes(clock, 0) : rruleTimes(clock, EARLIEST_MS);
}

function isTooOften(clock: ScheduleClock): boolean {
  if (clock.kind === "interval") return clock.intervalMs < MIN_DEPLOYED_GAP_MS;
  if (clock.kind === "dates") return false;
  // Seconds may be named, one of them.
  if (clock.kind === "cron") {
    const fields = clock.cron.trim().split(/\s+/);
    return fields.length === 6 && !/^\d+$/.test(fields[0]!);
  }
  const times = firstTimes(clock, PROBED_DATES);
  return times.some((at, index) => index > 0 && at - times[index - 1]! < MIN_DEPLOYED_GAP_MS);
}

/** Longer clocks are cut in messages. */
const MAX_SHOWN = 160;

function describe(clock: ScheduleClock): string {
  const { parameterDefaults: _, ...rest } = clock;
  const text = JSON.stringify(rest);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function invalid(message: string, facts: { hint?: string } = {}): MillraceError {
  return new MillraceError("SCHEDULE_INVALID", message, facts);
}
