import type { LogLine } from "./core/context.js";
import { MillraceError } from "./core/errors.js";
import type { FlowDefinition } from "./core/flow-definition.js";
import { toFlowSpec } from "./core/flow-spec.js";
import type { Schedule, ScheduleEvent } from "./core/schedule/schedule.js";
import { systemClock } from "./engine/local/local-ports.js";
import type { Clock } from "./engine/ports.js";
import { type FlowRun, printLogLine, type RunOptions, runFlowHere } from "./run-flow.js";
import { checkParameters, checkSchedule } from "./schedule/check-schedule.js";
import { MAX_CANDIDATES, scheduleEvents, searchEvents } from "./schedule/schedule-events.js";

/** Options of `flow.serve()`; all of them optional. */
export interface ServeOptions<Output = unknown> extends Omit<RunOptions, "scheduledStartAt"> {
  /** Ends the serving, and a run under way as Cancelled. */
  signal?: AbortSignal;
  /** Values for each run; they win over those that a clock of the schedule gives. */
  parameters?: Readonly<Record<string, unknown>>;
  /** Told of each run when it has ended, and waited for. What it throws ends the serving. */
  onRun?: (run: FlowRun<Output>, event: ScheduleEvent) => void | Promise<void>;
  /** Stop on SIGINT and SIGTERM: a run under way ends Cancelled. Default true. */
  handleSignals?: boolean;
}

/** The clock is looked at again after so long: it may have been set, or the machine asleep. */
const LOOK_AGAIN_MS = 60_000;

/** @param clock For tests. Default: the machine's. */
export async function serveFlowHere(
  flow: FlowDefinition,
  options: ServeOptions,
  clock: Clock = systemClock,
): Promise<void> {
  const schedule = checkedSchedule(flow, options.parameters ?? {});
  const stop = new AbortController();
  const end = () => stop.abort();
  const signals: NodeJS.Signals[] = (options.handleSignals ?? true) ? ["SIGINT", "SIGTERM"] : [];
  for (const signal of signals) process.on(signal, end);
  options.signal?.addEventListener("abort", end);
  try {
    if (options.signal?.aborted) return;
    await serveUntil(stop.signal, { flow, schedule, options, clock });
  } finally {
    for (const signal of signals) process.off(signal, end);
    options.signal?.removeEventListener("abort", end);
  }
}

function checkedSchedule(flow: FlowDefinition, parameters: Readonly<Record<string, unknown>>): Schedule {
  const { schedule } = flow.options;
  if (!schedule) {
    throw new MillraceError("SCHEDULE_INVALID", `Flow "${flow.name}" has no schedule to be served by.`, {
      hint: 'Give it one: flow("name", { schedule: schedules.cron("0 9 * * *") }, () => { … }). To run it once, call run().',
    });
  }
  checkSchedule(schedule);
  checkParameters(flow.name, toFlowSpec(flow).parameters, schedule, Object.keys(parameters));
  return schedule;
}

interface Serving {
  readonly flow: FlowDefinition;
  readonly schedule: Schedule;
  readonly options: ServeOptions;
  readonly clock: Clock;
}

async function serveUntil(stop: AbortSignal, { flow, schedule, options, clock }: Serving): Promise<void> {
  const say = (level: LogLine["level"], message: string): void =>
    (options.log ?? printLogLine)({
      at: new Date(clock.now()).toISOString(),
      level,
      name: "millrace.serve",
      message,
      taskRunId: null,
    });
  for (let after = clock.now(); ; ) {
    const { events, searchedUntil } = searchEvents(schedule, { after: new Date(after), limit: 1 });
    if (events.length === 0 && searchedUntil !== null) {
      // Filters that hold seldom: the rest of the search has time until then.
      if (!(await waitUntil(Date.parse(searchedUntil), clock, stop))) return;
      after = Date.parse(searchedUntil);
      continue;
    }
    // Clocks whose parameters differ may name the same moment: each gets its run.
    const due = events[0] && scheduleEvents(schedule, atOnce(after, events[0]));
    if (!due) return say("INFO", `The schedule of flow "${flow.name}" names no further time.`);
    const dueAt = Date.parse(due[0]!.startAt);
    if (!(await waitUntil(dueAt, clock, stop))) return;
    for (const event of due) {
      await runOnce(event, { flow, options, stop });
      if (stop.aborted) return;
    }
    after = Math.max(dueAt, clock.now());
    const missed = scheduleEvents(schedule, {
      after: new Date(dueAt),
      before: new Date(after + 1),
      limit: MAX_CANDIDATES,
    });
    if (missed.length > 0) {
      const times = missed.length === 1 ? "1 time" : `${missed.length} times`;
      say(
        "WARNING",
        `${times} of the schedule passed while the run of ${due[0]!.startAt} was under way, and ${missed.length === 1 ? "is" : "are"} skipped: ${missed[0]!.startAt}${missed.length > 1 ? ` to ${missed.at(-1)!.startAt}` : ""}.`,
      );
    }
  }
}

function atOnce(after: number, { startAt }: ScheduleEvent) {
  return { after: new Date(after), before: new Date(Date.parse(startAt) + 1), limit: MAX_CANDIDATES };
}

async function runOnce(
  event: ScheduleEvent,
  { flow, options, stop }: { flow: FlowDefinition; options: ServeOptions; stop: AbortSignal },
): Promise<void> {
  const { parameters, onRun, handleSignals: _, ...runOptions } = options;
  const run = await runFlowHere(
    flow,
    { ...event.parameterDefaults, ...parameters },
    { ...runOptions, signal: stop, scheduledStartAt: event.startAt },
  );
  await onRun?.(run, event);
}

/** False: stopped before the time had come. */
async function waitUntil(dueAt: number, clock: Clock, stop: AbortSignal): Promise<boolean> {
  for (let leftMs = dueAt - clock.now(); leftMs > 0; leftMs = dueAt - clock.now()) {
    try {
      await clock.sleep(Math.min(leftMs, LOOK_AGAIN_MS), stop);
    } catch (error) {
      if (stop.aborted) return false;
      throw error;
    }
  }
  return !stop.aborted;
}
