import { isRetryInTwoSteps, refuseFlowRunMove, refuseTaskRunMove } from "../../core/transitions.js";
import { type Check, ENDED, legalMoves, type Rule, STATES } from "./finding.js";

/*
 * Each run's history: versions 1, 2, 3 … without a gap, every move one that the judge of states lets through, and the run's
 * own columns a copy of the newest.
 */

const RETRIES_IN_TWO_STEPS = legalMoves((from, to) => (isRetryInTwoSteps(from, to) ? null : "no"));

function history(kind: "flow_run" | "task_run"): Check {
  const moves = legalMoves(kind === "flow_run" ? refuseFlowRunMove : refuseTaskRunMove);
  // Prefect's runner writes the failure first and then the retry (protocol notes, section 1.7): it was no end.
  const unless =
    kind === "flow_run"
      ? ""
      : `AND NOT (before_state || '>' || state IN ${RETRIES_IN_TWO_STEPS} AND EXISTS (
           SELECT 1 FROM task_run t JOIN flow_run r ON r.id = t.flow_run_id WHERE t.id = run_id AND r.engine = 'prefect'))`;
  return {
    table: `${kind}_state`,
    ids: [`${kind}_id`, "version"],
    sql: `SELECT CASE WHEN version <> coalesce(before_version, 0) + 1 THEN 'VERSION_GAP'
        WHEN state NOT IN ${STATES} THEN 'STATE_UNKNOWN'
        WHEN before_state IN ${ENDED} THEN 'END_CHANGED' ELSE 'MOVE_ILLEGAL' END AS code,
        run_id AS ${kind}_id, version, before_version, state, before_state
      FROM (SELECT ${kind}_id AS run_id, version, state, lag(version) OVER w AS before_version, lag(state) OVER w AS before_state
        FROM ${kind}_state WINDOW w AS (PARTITION BY ${kind}_id ORDER BY version)) moves
      WHERE version <> coalesce(before_version, 0) + 1 OR state NOT IN ${STATES}
        OR (before_state IS NOT NULL AND before_state || '>' || state NOT IN ${moves} ${unless})`,
    rules: historyRules(kind === "flow_run" ? "flow run" : "task run", `${kind}_id`),
  };
}

function historyRules(what: string, id: string): Record<string, Rule> {
  return {
    VERSION_GAP: {
      say: (row) =>
        `State ${row.version} of ${what} ${row[id]} comes after ${row.before_version === null ? "none" : `state ${row.before_version}`}.`,
    },
    STATE_UNKNOWN: { say: (row) => `State ${row.version} of ${what} ${row[id]} is "${row.state}", which is no state.` },
    END_CHANGED: {
      say: (row) =>
        `The ${what} ${row[id]} had ended in ${row.before_state}, and is ${row.state} in state ${row.version}.`,
    },
    MOVE_ILLEGAL: {
      say: (row) =>
        `The ${what} ${row[id]} went from ${row.before_state} to ${row.state} in state ${row.version}, which it may not.`,
    },
  };
}

/** When a Queued run is due is changed without a state of its own, as slots come free. */
function newest(kind: "flow_run" | "task_run"): Check {
  const what = kind === "flow_run" ? "flow run" : "task run";
  return {
    table: kind,
    ids: ["id"],
    sql: `SELECT 'ROW_DIFFERS' AS code, r.id, r.version, r.state, s.state AS newest,
        (SELECT max(version) FROM ${kind}_state n WHERE n.${kind}_id = r.id) AS newest_version
      FROM ${kind} r LEFT JOIN ${kind}_state s ON s.${kind}_id = r.id AND s.version = r.version
      WHERE r.state IS DISTINCT FROM s.state OR r.serialized_state IS DISTINCT FROM s.serialized_state
        OR r.state_timestamp IS DISTINCT FROM s.timestamp OR r.state_message IS DISTINCT FROM s.message
        OR r.state_result IS DISTINCT FROM s.result OR (s.tenant_id IS NOT NULL AND s.tenant_id <> r.tenant_id)
        OR (r.state_start_time IS DISTINCT FROM s.start_time AND r.state <> 'Queued')
        OR EXISTS (SELECT 1 FROM ${kind}_state n WHERE n.${kind}_id = r.id AND n.version = r.version + 1)`,
    rules: {
      ROW_DIFFERS: {
        say: (row) =>
          `The ${what} ${row.id} is ${row.state ?? "without a state"} at version ${row.version}, and its history says ${row.newest ?? "nothing"} there and ends at version ${row.newest_version ?? 0}.`,
      },
    },
  };
}

export const stateChecks: readonly Check[] = [
  history("flow_run"),
  history("task_run"),
  newest("flow_run"),
  newest("task_run"),
];
