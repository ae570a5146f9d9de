import { type Check, ENDED, UNDER_WAY, WAITING } from "./finding.js";

/** A lease that ended so long ago, or a process that was silent so long, was noticed by no server. */
const UNNOTICED_MS = 60 * 60 * 1000;

/** Flow runs under way: somebody has them, or something will bring them back. */
export function leaseCheck(now: string): Check {
  const before = new Date(Date.parse(now) - UNNOTICED_MS).toISOString();
  return {
    table: "flow_run",
    ids: ["id"],
    sql: `SELECT CASE
        WHEN (lease_agent_id IS NULL) <> (lease_expires_at IS NULL) THEN 'LEASE_INCOMPLETE'
        WHEN lease_agent_id IS NOT NULL AND (state IS NULL OR state NOT IN ${UNDER_WAY}) THEN 'LEASE_LEFT'
        WHEN lease_agent_id IS NULL AND heartbeat IS NULL THEN 'RUN_UNHELD'
        ELSE 'RUN_FORGOTTEN' END AS code, id, state, lease_agent_id, lease_expires_at, heartbeat
      FROM flow_run r
      WHERE (lease_agent_id IS NULL) <> (lease_expires_at IS NULL)
        OR (lease_agent_id IS NOT NULL AND (state IS NULL OR state IN ${ENDED} OR state IN ${WAITING}))
        OR (state IN ${UNDER_WAY} AND (lease_agent_id IS NULL OR lease_expires_at < '${before}')
          AND (heartbeat IS NULL OR heartbeat < '${before}')
          AND (lease_agent_id IS NOT NULL OR NOT EXISTS (
            SELECT 1 FROM task_run t WHERE t.flow_run_id = r.id AND t.state IN ${WAITING})))`,
    rules: {
      LEASE_INCOMPLETE: {
        say: (row) =>
          `The flow run ${row.id} has a lease of ${row.lease_agent_id ?? "nobody"} until ${row.lease_expires_at ?? "no time"}.`,
      },
      LEASE_LEFT: {
        say: (row) =>
          `The flow run ${row.id} is ${row.state}, and agent ${row.lease_agent_id} still has a lease of it.`,
      },
      RUN_UNHELD: {
        say: (row) =>
          `The flow run ${row.id} is ${row.state}, and has no lease, no heartbeat and no task run that waits.`,
      },
      RUN_FORGOTTEN: {
        note: true,
        say: (row) =>
          `The flow run ${row.id} is ${row.state}, and nobody was heard of it since ${row.heartbeat ?? row.lease_expires_at}; a server that runs sees to it.`,
      },
    },
  };
}

/**
 * Task runs follow their flow run. One that was Running may stay so while its flow run waits for the next agent: then that
 * one goes on with it. Under a flow run that never ran there can be none.
 */
const taskRunsOpen: Check = {
  table: "task_run",
  ids: ["id", "flow_run_id"],
  sql: `SELECT CASE WHEN r.state IN ${ENDED} THEN 'TASK_RUN_LEFT_OPEN' ELSE 'TASK_RUN_TOO_EARLY' END AS code,
      t.id, t.flow_run_id, t.state, r.state AS flow_run_state
    FROM task_run t JOIN flow_run r ON r.id = t.flow_run_id
    WHERE (t.state IS NULL OR t.state NOT IN ${ENDED})
      AND (r.state IN ${ENDED} OR (t.state = 'Running' AND r.start_time IS NULL))`,
  rules: {
    TASK_RUN_LEFT_OPEN: {
      say: (row) =>
        `The task run ${row.id} is ${row.state ?? "without a state"}, and its flow run ${row.flow_run_id} has ended (it is ${row.flow_run_state}).`,
    },
    TASK_RUN_TOO_EARLY: {
      say: (row) =>
        `The task run ${row.id} is Running, and its flow run ${row.flow_run_id} is ${row.flow_run_state} and never was.`,
    },
  },
};

const taskRunPlaces: Check = {
  table: "task_run",
  ids: ["flow_run_id", "task_id", "map_index"],
  sql: `SELECT 'TASK_RUN_DOUBLE' AS code, flow_run_id, task_id, map_index, count(*) AS runs FROM task_run
    GROUP BY flow_run_id, task_id, map_index HAVING count(*) > 1`,
  rules: {
    TASK_RUN_DOUBLE: {
      say: (row) =>
        `The flow run ${row.flow_run_id} has ${row.runs} task runs of task ${row.task_id} with map index ${row.map_index}.`,
    },
  },
};

export const runChecks: readonly Check[] = [taskRunsOpen, taskRunPlaces];
