import { DEFAULT_MAX_MISSED, type Schedule, type ScheduleEvent } from "../../core/schedule/schedule.js";
import { searchEvents } from "../../schedule/schedule-events.js";

/** A first look goes back so far from the newest; each further one twice as far. */
const FIRST_SPAN_MS = 60 * 60 * 1000;

/**
 * Which of the start times that were missed are made up for, in order: none, those of the newest moment, or the newest
 * `maxMissed`. However long the span is, only its end is searched.
 * @param span Milliseconds since 1970: after the first, until the second included.
 */
export function missedToRun(schedule: Schedule, span: { afterMs: number; untilMs: number }): ScheduleEvent[] {
  const { onMissed = "skip", maxMissed = DEFAULT_MAX_MISSED } = schedule;
  if (onMissed === "skip" || span.untilMs <= span.afterMs) return [];
  const wanted = onMissed === "latest" ? 1 : maxMissed;
  let events: ScheduleEvent[] = [];
  for (let lengthMs = FIRST_SPAN_MS; ; lengthMs *= 2) {
    const afterMs = Math.max(span.afterMs, span.untilMs - lengthMs);
    events = newestWithin(schedule, { afterMs, untilMs: span.untilMs }, wanted);
    if (events.length >= wanted || afterMs === span.afterMs) break;
  }
  const newest = events.at(-1)?.startAt;
  return onMissed === "latest" ? events.filter((event) => event.startAt === newest) : events.slice(-wanted);
}

/** The events of a span, but for those that stand before more than enough. */
function newestWithin(schedule: Schedule, span: { afterMs: number; untilMs: number }, wanted: number): ScheduleEvent[] {
  let found: ScheduleEvent[] = [];
  for (const events of eventsWithin(schedule, span)) {
    found.push(...events);
    // Cut between moments: events of one moment stay together.
    const first = found.at(-wanted)?.startAt;
    if (first !== undefined) found = found.filter((event) => event.startAt >= first);
  }
  return found;
}

/** The events after one moment and until another, the latter included: each time as many as one search finds. */
export function* eventsWithin(
  schedule: Schedule,
  { afterMs, untilMs }: { afterMs: number; untilMs: number },
): Generator<ScheduleEvent[]> {
  const before = new Date(untilMs + 1);
  for (let fromMs = afterMs; fromMs < untilMs; ) {
    const { events, searchedUntil } = searchEvents(schedule, {
      after: new Date(fromMs),
      before,
      limit: Number.POSITIVE_INFINITY,
    });
    yield events;
    const reachedMs = searchedUntil === null ? untilMs : Date.parse(searchedUntil);
    // A search that has come no further never will.
    if (reachedMs <= fromMs) return;
    fromMs = reachedMs;
  }
}
