import { MillraceError } from "./errors.js";

/**
 * The day that a flow run stands for, and its neighbours, in UTC: `2026-11-23`, and `20261123` for file names. It is the day
 * of `scheduledStartAt`, so that a run which waited or was resumed after midnight keeps its day; or the day of `date`, where
 * the run was given one.
 */
export interface TaskDates {
  /** The instant that the others come from; ISO 8601. */
  readonly date: string;
  readonly today: string;
  readonly yesterday: string;
  readonly tomorrow: string;
  readonly todayNodash: string;
  readonly yesterdayNodash: string;
  readonly tomorrowNodash: string;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

/** @param date An instant, ISO 8601. @throws INPUT_INVALID */
export function taskDates(date: string): TaskDates {
  const base = Date.parse(date);
  if (Number.isNaN(base)) {
    throw new MillraceError("INPUT_INVALID", `The run's date ${JSON.stringify(date)} is not an instant.`, {
      hint: "Give ISO 8601 as `date` of the run's context, for instance 2026-11-23.",
    });
  }
  const day = (days: number): string => new Date(base + days * DAY_MS).toISOString().split("T")[0]!;
  const [yesterday, today, tomorrow] = [day(-1), day(0), day(1)];
  return Object.freeze({
    date: new Date(base).toISOString(),
    today,
    yesterday,
    tomorrow,
    todayNodash: nodash(today),
    yesterdayNodash: nodash(yesterday),
    tomorrowNodash: nodash(tomorrow),
  });
}

const nodash = (day: string): string => day.replaceAll("-", "");
