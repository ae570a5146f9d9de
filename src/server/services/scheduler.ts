import { createHash } from "node:crypto";
import { isMillraceError, MillraceError } from "../../core/errors.js";
import { stableText } from "../../core/flow-spec.js";
import { refuseMissed, type Schedule, type ScheduleEvent } from "../../core/schedule/schedule.js";
import {
  type FlowToSchedule,
  flowToSchedule,
  knownRunKeys,
  lockFlowToSchedule,
  untouchedAutoRuns,
  writeScheduledAt,
} from "../../db/queries/schedules.js";
import { scheduleEvents } from "../../schedule/schedule-events.js";
import { fromSerializedSchedule } from "../../schedule/serialized-schedule.js";
import { logLine } from "../log-line.js";
import { type ServerParts, toInstant } from "../parts.js";
import { moveFlowRun } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { addNewFlowRun } from "../states/new-flow-run.js";
import { eventsWithin, missedToRun } from "./missed-runs.js";

/*
 * Makes the runs of one flow's schedule (protocol notes, section 2.9). A start time and its run belong together by the
 * run's idempotency key, which is unique within a flow: however often and by however many servers a start time is looked
 * at, it has one run. Whatever is done for a flow is one transaction, which also notes up to when it was done.
 */

/** How many runs are made ahead. Prefect's Cloud makes as many. */
export const RUNS_AHEAD = 10;

/**
 * A start time is missed when it is so long ago before the Cloud sees to it; until then its run is late, and made. Longer
 * than any restart takes, and short enough that a run "at nine" does not start when nobody expects it any more.
 */
export const DEFAULT_MISSED_AFTER_MS = 5 * 60 * 1000;

/** One transaction makes no more runs than this, so that nobody waits long for it. */
const RUNS_AT_ONCE = 20;

/**
 * Makes the upcoming runs of one flow at once: for whoever has changed its schedule, or made it active, at `changedMs`. What
 * passed before is not looked at; what was due since then, while the change was written, has its run. Nothing is done, and
 * nothing is wrong, where the flow has no active schedule.
 */
export async function scheduleFlow(
  parts: ServerParts,
  { tenantId, flowId, changedMs }: { tenantId: string; flowId: string; changedMs: number },
): Promise<void> {
  const nowMs = parts.clock.now();
  const look = { afterMs: changedMs, changedMs, nowMs, missedAfterMs: DEFAULT_MISSED_AFTER_MS, wasAway: false };
  await lookAtFlow(parts, { tenantId, flowId }, look);
}

/** What of a schedule is to be seen to; milliseconds since 1970. */
export interface Look {
  /** Start times until then have been dealt with. */
  afterMs: number;
  /** Since when a flow that was never looked at is scheduled, where that is known. */
  changedMs?: number;
  nowMs: number;
  /** Start times that are longer ago are missed. */
  missedAfterMs: number;
  /** Did no server run meanwhile? Then nobody could take the runs that were made ahead. */
  wasAway: boolean;
}

/** @returns when the next start time comes after which there is more to do; null: there is none */
export async function lookAtFlow(
  parts: ServerParts,
  who: { tenantId: string; flowId: string },
  look: Look,
): Promise<number | null> {
  const flow = await flowToSchedule(parts.database, who.tenantId, who.flowId);
  const text = flow && scheduleTextOf(flow);
  if (!flow || text === undefined) return null;
  let plan: Plan;
  try {
    plan = planOf(readSchedule(text), flow, look);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    await noteError(parts, who, flow, `${error.code}: ${error.message}`);
    return null;
  }
  const passed = await passedRuns(parts, flow, plan);
  const known = await knownRunKeys(parts.database, flow.id, [...plan.wanted.keys()]);
  const missing = [...plan.wanted.keys()].filter((key) => !known.has(key));
  if (missing.length > 0 || passed.length > 0 || flow.schedule_error !== null || plan.isNew) {
    for (let first = 0; first === 0 || first < missing.length; first += RUNS_AT_ONCE) {
      const isLast = first + RUNS_AT_ONCE >= missing.length;
      const part = { keys: missing.slice(first, first + RUNS_AT_ONCE), passed: isLast ? passed : [], isLast };
      await carryOut(parts, who, { text, plan, look }, part);
    }
  }
  return plan.nextMs;
}

/** The group's stands for the flow's own. Undefined: there is nothing to schedule. */
function scheduleTextOf(flow: FlowToSchedule): string | undefined {
  if (flow.archived === 1 || flow.is_schedule_active !== 1) return undefined;
  return flow.group_schedule ?? flow.schedule ?? undefined;
}

function readSchedule(text: string): Schedule {
  // It was looked at closely when it was registered; what cannot be read is found here and in the search.
  const schedule = fromSerializedSchedule(JSON.parse(text));
  const refused = refuseMissed(schedule);
  if (refused) throw new MillraceError("SCHEDULE_INVALID", `A schedule's ${refused}.`);
  return schedule;
}

interface Plan {
  /** What must have a run, by its key, in order. */
  wanted: Map<string, ScheduleEvent>;
  /** Runs that were made ahead for this span are not begun any more, unless they are wanted. Null: there is none. */
  passed: { afterMs: number; untilMs: number } | null;
  nextMs: number | null;
  /** Is the flow looked at for the first time since it is scheduled? */
  isNew: boolean;
}

function planOf(schedule: Schedule, flow: FlowToSchedule, look: Look): Plan {
  const { nowMs, missedAfterMs, wasAway } = look;
  const sinceMs = sinceOf(flow.scheduled_at, look);
  const missedUntilMs = Math.max(sinceMs, nowMs - missedAfterMs);
  const upcoming = scheduleEvents(schedule, { after: new Date(nowMs), limit: RUNS_AHEAD });
  const events = [
    ...missedToRun(schedule, { afterMs: sinceMs, untilMs: missedUntilMs }),
    ...[...eventsWithin(schedule, { afterMs: missedUntilMs, untilMs: nowMs })].flat(),
    ...upcoming,
  ];
  return {
    wanted: new Map(events.map((event) => [runKeyOf(event), event])),
    passed: wasAway && missedUntilMs > sinceMs ? { afterMs: sinceMs, untilMs: missedUntilMs } : null,
    nextMs: upcoming[0] ? Date.parse(upcoming[0].startAt) : null,
    isNew: flow.scheduled_at === null || Date.parse(flow.scheduled_at) > nowMs,
  };
}

/** From when on start times are to be seen to. A note from the future was written before the clock was put back. */
function sinceOf(scheduledAt: string | null, { afterMs, nowMs, changedMs = nowMs }: Look): number {
  if (scheduledAt === null) return Math.min(nowMs, changedMs);
  const notedMs = Date.parse(scheduledAt);
  return Math.min(nowMs, notedMs > nowMs ? afterMs : Math.max(notedMs, afterMs));
}

/**
 * `auto-scheduled:<UTC time>`, with a hash where the clock gives parameters or labels, so that two clocks may meet. The
 * time is written as Prefect's server does it.
 */
export function runKeyOf({ startAt, parameterDefaults, labels }: ScheduleEvent): string {
  const key = `auto-scheduled:${startAt.replace(/(\.\d+)?Z$/, (_, part = "") => `${part === ".000" ? "" : part}+00:00`)}`;
  if (labels === undefined && Object.keys(parameterDefaults).length === 0) return key;
  const facts = stableText([parameterDefaults, labels === undefined ? null : [...labels].sort()]);
  return `${key}:${createHash("md5").update(facts).digest("hex")}`;
}

type PassedRun = Awaited<ReturnType<typeof untouchedAutoRuns>>[number];

/** Runs made ahead that nobody could take at their time, and that are not made up for. */
async function passedRuns({ database }: ServerParts, flow: FlowToSchedule, plan: Plan): Promise<PassedRun[]> {
  if (!plan.passed) return [];
  const span = { after: toInstant(plan.passed.afterMs), until: toInstant(plan.passed.untilMs) };
  const runs = await untouchedAutoRuns(database, flow.id, span);
  return runs.filter((run) => !plan.wanted.has(run.idempotency_key));
}

async function carryOut(
  parts: ServerParts,
  who: { tenantId: string; flowId: string },
  { text, plan, look }: { text: string; plan: Plan; look: Look },
  part: { keys: readonly string[]; passed: readonly PassedRun[]; isLast: boolean },
): Promise<void> {
  const problem = await withLedger(parts, who, async (ledger) => {
    const flow = await lockFlowToSchedule(ledger.transaction, who.tenantId, who.flowId);
    // Changed meanwhile: whoever changed it has it looked at again.
    if (!flow || scheduleTextOf(flow) !== text) return null;
    const known = await knownRunKeys(ledger.transaction, flow.id, part.keys);
    const problems = new Set<string>();
    for (const key of part.keys) {
      if (known.has(key)) continue;
      const refused = await makeRun(parts, ledger, flow, key, plan.wanted.get(key)!);
      if (refused !== null) problems.add(refused);
    }
    await skipRuns(ledger, part.passed, look);
    const [problem = null] = problems;
    if (part.isLast) {
      await writeScheduledAt(ledger.transaction, flow.id, { at: toInstant(look.nowMs), error: problem });
    }
    return problem !== null && problem !== flow.schedule_error ? { flow, problem } : null;
  });
  if (problem) logProblem(parts, problem.flow, problem.problem);
}

/** @returns why there can be no such run; null: it was made */
async function makeRun(
  parts: ServerParts,
  ledger: Ledger,
  flow: FlowToSchedule,
  key: string,
  event: ScheduleEvent,
): Promise<string | null> {
  let parameters: Record<string, unknown>;
  try {
    parameters = parts.parameters.resolve(flow, event.parameterDefaults);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return `${error.code}: ${error.message}`;
  }
  const asked = {
    idempotency_key: key,
    scheduled_start_time: event.startAt,
    labels: event.labels === undefined ? null : [...event.labels],
    auto_scheduled: true,
  };
  await addNewFlowRun(ledger, flow, asked, parameters);
  return null;
}

/** They keep their row, as every start time does, and say why they were not run. */
async function skipRuns(ledger: Ledger, passed: readonly PassedRun[], { afterMs, nowMs }: Look): Promise<void> {
  if (passed.length === 0) return;
  await readFlowRuns(
    ledger,
    passed.map((run) => run.id),
  );
  const away = `the Cloud was not running from ${toInstant(afterMs)} to ${toInstant(nowMs)}`;
  for (const { id, scheduled_start_time } of passed) {
    const run = ledger.flowRuns.get(id);
    if (run?.state !== "Scheduled" || run.version !== 1) continue;
    const message = `Skipped: due at ${scheduled_start_time}, and ${away}. The schedule's \`onMissed\` says what is made up for.`;
    await moveFlowRun(ledger, run, { state: { type: "Cancelled", message }, at: ledger.now });
    ledger.logs.push(logLine(ledger, id, { name: "millrace.scheduler", level: "WARNING", message }));
  }
}

/** Said once for each problem: it is kept beside the flow. */
async function noteError(
  parts: ServerParts,
  { flowId }: { flowId: string },
  flow: FlowToSchedule,
  problem: string,
): Promise<void> {
  if (flow.schedule_error === problem) return;
  const at = toInstant(parts.clock.now());
  await parts.database.write((transaction) => writeScheduledAt(transaction, flowId, { at, error: problem }));
  logProblem(parts, flow, problem);
}

function logProblem({ log }: ServerParts, flow: FlowToSchedule, problem: string): void {
  log({
    level: "error",
    message: `Flow "${flow.name}" (${flow.id}) is scheduled, and runs cannot be made: ${problem}`,
  });
}
