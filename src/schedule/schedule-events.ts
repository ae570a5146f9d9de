import { stableText } from "../core/flow-spec.js";
import type { Schedule, ScheduleClock, ScheduleEvent, ScheduleRule } from "../core/schedule/schedule.js";
import { cronTimes } from "./cron-clock.js";
import { datesTimes } from "./dates-clock.js";
import { intervalTimes } from "./interval-clock.js";
import { mergeStreams } from "./merge-times.js";
import { zoneOfRecurrence } from "./read-recurrence.js";
import { rruleTimes } from "./rrule-clock.js";
import { openAdjustment, openFilter } from "./rules.js";
import { DAY_MS, LAST_MS, momentOf } from "./zone.js";

export interface EventSearch {
  /** Events come strictly after this: ISO 8601 text or a Date. */
  after: string | Date;
  /** The most events wanted. */
  limit: number;
  /** Events come strictly before this. Default: never. */
  before?: string | Date;
}

export interface FoundEvents {
  events: ScheduleEvent[];
  /** ISO 8601. */
  searchedUntil: string | null;
}

/** How far a search has come; null: to the end of all clocks. */
interface Reached {
  ms: number | null;
}

/** The search ends after so many candidates, whatever it has found: clocks never end, and filters may never hold. As in Prefect. */
export const MAX_CANDIDATES = 10_000;

/**
 * The next events of a schedule, in order: the clocks' times merged, those that pass the filters, moved by the adjustments.
 * Two events at one moment are one unless their parameters or labels differ. The same arguments give the same events on
 * every machine, whatever its own time zone.
 * @throws SCHEDULE_INVALID for a schedule that {@link checkSchedule} refuses
 * @example
 * const [next] = scheduleEvents(schedule, { after: new Date(), limit: 1 });
 * next?.startAt; // "2026-03-30T07:00:00.000Z"
 */
export function scheduleEvents(schedule: Schedule, search: EventSearch): ScheduleEvent[] {
  return searchEvents(schedule, search).events;
}

/**
 * As {@link scheduleEvents}, for who goes on searching: all events up to `searchedUntil` are known then, also where the
 * search ended because it had seen too many candidates. Null: there are no further ones, ever.
 */
export function searchEvents(schedule: Schedule, { after, limit, before }: EventSearch): FoundEvents {
  const afterMs = toMs(after);
  const beforeMs = before === undefined ? LAST_MS : toMs(before);
  const events: ScheduleEvent[] = [];
  const reached: Reached = { ms: afterMs };
  for (const event of limit < 1 ? [] : movedEvents(schedule, { afterMs, beforeMs }, reached)) {
    if (event.at >= beforeMs) {
      reached.ms = beforeMs;
      break;
    }
    events.push({
      startAt: new Date(event.at).toISOString(),
      parameterDefaults: event.clock.parameterDefaults ?? {},
      labels: event.clock.labels,
    });
    if (events.length < limit) continue;
    reached.ms = event.at;
    break;
  }
  return { events, searchedUntil: reached.ms === null ? null : new Date(reached.ms).toISOString() };
}

const toMs = (date: string | Date): number => (typeof date === "string" ? momentOf(date, "UTC") : date.getTime());

interface Event {
  readonly at: number;
  readonly zone: string;
  readonly clock: ScheduleClock;
  /** Equal for clocks whose events, at one moment, are one. */
  readonly sort: string;
}

/** The merged events, moved and again in order, each once. */
function* movedEvents(
  schedule: Schedule,
  { afterMs, beforeMs }: { afterMs: number; beforeMs: number },
  reached: Reached,
): Generator<Event> {
  const moves = (schedule.adjustments ?? []).map(openAdjustment);
  const passes = filterOf(schedule);
  const reach = reachOf(schedule.adjustments ?? []);
  const seen = { at: Number.NaN, sorts: new Set<string>() };
  const isNew = ({ at, sort }: Event): boolean => {
    if (at !== seen.at) seen.sorts.clear();
    seen.at = at;
    return seen.sorts.size < seen.sorts.add(sort).size;
  };
  /** Moved, and waiting until no later candidate can be moved in front of them; in order. */
  const waiting: Event[] = [];
  function* finish(ms: number | null): Generator<Event> {
    for (const event of waiting) if (isNew(event)) yield event;
    reached.ms = ms === null ? null : Math.max(ms, waiting.at(-1)?.at ?? ms);
  }
  let searched = 0;
  for (const candidate of candidates(schedule.clocks, searchFrom(schedule, afterMs, reach.mostMs))) {
    if (candidate.at > afterMs) searched += 1;
    // No later candidate is moved in front of this.
    const earliestMs = candidate.at + reach.leastMs;
    if (earliestMs >= beforeMs) return yield* finish(beforeMs);
    if (searched > MAX_CANDIDATES) return yield* finish(Math.max(afterMs, earliestMs - 1));
    while (waiting.length > 0 && waiting[0]!.at < earliestMs) {
      const event = waiting.shift()!;
      if (isNew(event)) yield event;
    }
    if (!passes(candidate.at, candidate.zone)) continue;
    if (moves.length === 0) {
      if (isNew(candidate)) yield candidate;
      continue;
    }
    const at = moves.reduce((moved, move) => move(moved, candidate.zone), candidate.at);
    if (at > afterMs && at <= LAST_MS) insert(waiting, { ...candidate, at });
  }
  yield* finish(null);
}

function insert(waiting: Event[], event: Event): void {
  let index = waiting.length;
  while (index > 0 && waiting[index - 1]!.at > event.at) index -= 1;
  waiting.splice(index, 0, event);
}

/** How far adjustments can move a date at least and at most; a day more where the local clock has a say. */
function reachOf(adjustments: readonly ScheduleRule[]): { leastMs: number; mostMs: number } {
  let [leastMs, mostMs] = [0, 0];
  for (const { name, args } of adjustments) {
    const ms = name === "add" ? Number(args.ms) : 0;
    const slackMs = Math.abs(ms) >= DAY_MS ? DAY_MS : 0;
    leastMs += ms - slackMs;
    mostMs += name === "nextWeekday" ? 3 * DAY_MS : ms + slackMs;
  }
  return { leastMs, mostMs };
}

/**
 * A date before `after` may be moved behind it, so candidates are taken from as far back as that can happen. Where there
 * are too many of them (a clock by the second, moved by days), those are passed over.
 */
function searchFrom({ clocks }: Schedule, afterMs: number, mostMs: number): number {
  if (mostMs === 0) return afterMs;
  const fromMs = afterMs - mostMs;
  let count = 0;
  for (const { at } of candidates(clocks, fromMs)) {
    if (at > afterMs) return fromMs;
    count += 1;
    if (count > MAX_CANDIDATES) return afterMs;
  }
  return fromMs;
}

function filterOf({ filters = [], orFilters = [], notFilters = [] }: Schedule): (at: number, zone: string) => boolean {
  const [all, some, none] = [filters.map(openFilter), orFilters.map(openFilter), notFilters.map(openFilter)];
  return (at, zone) =>
    all.every((holds) => holds(at, zone)) &&
    (some.length === 0 || some.some((holds) => holds(at, zone))) &&
    !none.some((holds) => holds(at, zone));
}

function* candidates(clocks: readonly ScheduleClock[], afterMs: number): Generator<Event> {
  const facts = clocks.map((clock) => ({
    clock,
    zone: zoneOf(clock),
    sort: stableText([clock.parameterDefaults ?? {}, clock.labels]),
  }));
  const streams = clocks.map((clock) => timesOf(clock, afterMs));
  for (const [index, at] of mergeStreams(streams)) yield { at, ...facts[index]! };
}

function timesOf(clock: ScheduleClock, afterMs: number): Generator<number> {
  switch (clock.kind) {
    case "interval":
      return intervalTimes(clock, afterMs);
    case "cron":
      return cronTimes(clock, afterMs);
    case "dates":
      return datesTimes(clock, afterMs);
    case "rrule":
      return rruleTimes(clock, afterMs);
  }
}

function zoneOf(clock: ScheduleClock): string {
  return clock.kind === "rrule" ? zoneOfRecurrence(clock) : (clock.timeZone ?? "UTC");
}
