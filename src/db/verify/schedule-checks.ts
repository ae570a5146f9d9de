import { isMillraceError } from "../../core/errors.js";
import { scheduleEvents } from "../../schedule/schedule-events.js";
import { fromSerializedSchedule } from "../../schedule/serialized-schedule.js";
import { type Check, MAX_NAMED, type Moment, type Row, select, type Violation } from "./finding.js";

/*
 * A start time and its run belong together by the run's idempotency key, which is unique within a flow.
 */

/** The key's own words for the instant: without milliseconds that are none, and `+00:00` in place of Z. */
const KEY = `'auto-scheduled:' || CASE WHEN scheduled_start_time LIKE '%.000Z' THEN substr(scheduled_start_time, 1, 19)
  ELSE substr(scheduled_start_time, 1, 23) END || '+00:00'`;

export const scheduleChecks: readonly Check[] = [
  {
    table: "flow_run",
    ids: ["id", "flow_id", "scheduled_start_time"],
    sql: `SELECT 'START_TIME_WITHOUT_KEY' AS code, id, flow_id, scheduled_start_time, idempotency_key FROM flow_run
      WHERE auto_scheduled = 1 AND (idempotency_key IS NULL OR NOT (substr(idempotency_key, 1, length(${KEY})) = ${KEY}))`,
    rules: {
      START_TIME_WITHOUT_KEY: {
        say: (row) =>
          `The scheduled flow run ${row.id} of flow ${row.flow_id} is for ${row.scheduled_start_time}, and its key is ${row.idempotency_key ?? "missing"}: nothing keeps that time from a second run.`,
      },
    },
  },
  {
    table: "flow_run",
    ids: ["flow_id", "idempotency_key"],
    sql: `SELECT 'FLOW_RUN_DOUBLE' AS code, flow_id, idempotency_key, count(*) AS runs FROM flow_run
      WHERE idempotency_key IS NOT NULL GROUP BY flow_id, idempotency_key HAVING count(*) > 1`,
    rules: {
      FLOW_RUN_DOUBLE: {
        say: (row) => `The flow ${row.flow_id} has ${row.runs} runs of one key, "${row.idempotency_key}".`,
      },
    },
  },
];

/** The scheduler makes so many runs ahead. */
const RUNS_AHEAD = 10;

const SCHEDULED_FLOWS = `SELECT f.id, f.name, f.scheduled_at, coalesce(g.schedule, f.schedule) AS schedule
  FROM flow f JOIN flow_group g ON g.id = f.flow_group_id
  WHERE f.archived = 0 AND f.is_schedule_active = 1 AND f.schedule_error IS NULL AND coalesce(g.schedule, f.schedule) IS NOT NULL
    AND f.scheduled_at IS NOT NULL AND f.scheduled_at >= f.updated AND f.scheduled_at >= g.updated ORDER BY f.id`;

/** Start times that follow the scheduler's last work at a flow, and have no run. A schedule that was changed since has yet to be looked at. */
export async function missingStartTimes(moment: Moment): Promise<Violation[]> {
  const found: Omit<Violation, "total">[] = [];
  for (const flow of await select(moment, SCHEDULED_FLOWS)) {
    const wanted = startTimesOf(flow);
    if (wanted.size === 0) continue;
    const [first] = wanted.keys();
    const known = await select(
      moment,
      `SELECT scheduled_start_time AS at, count(*) AS runs FROM flow_run
       WHERE flow_id = '${flow.id}' AND auto_scheduled = 1 AND scheduled_start_time >= '${first}' GROUP BY scheduled_start_time`,
    );
    const runs = new Map(known.map((row) => [String(row.at), Number(row.runs)]));
    for (const [at, count] of wanted) {
      if ((runs.get(at) ?? 0) >= count) continue;
      found.push({
        code: "START_TIME_WITHOUT_RUN",
        note: false,
        table: "flow",
        ids: { id: flow.id ?? null, scheduled_start_time: at },
        message: `The flow "${flow.name}" (${flow.id}) is scheduled for ${at}, and has ${runs.get(at) ?? 0} of ${count} runs for that time.`,
      });
    }
  }
  return found.slice(0, MAX_NAMED).map((each) => ({ ...each, total: found.length }));
}

/** How many runs each of the next start times has: one for each clock that meets there. */
function startTimesOf({ schedule, scheduled_at }: Row): Map<string, number> {
  const counts = new Map<string, number>();
  try {
    const events = scheduleEvents(fromSerializedSchedule(JSON.parse(String(schedule))), {
      after: new Date(String(scheduled_at)),
      limit: RUNS_AHEAD,
    });
    for (const { startAt } of events) counts.set(startAt, (counts.get(startAt) ?? 0) + 1);
  } catch (error) {
    // The scheduler notes beside the flow what it cannot read.
    if (!isMillraceError(error) && !(error instanceof SyntaxError)) throw error;
  }
  return counts;
}
