import { type Check, ENDED, UNDER_WAY } from "./finding.js";

/**
 * A slot is owned by a run that is under way: a flow run itself, or a task run that is Running or, Queued, has been given its
 * slot and not yet used it.
 */
const slots: Check = {
  table: "concurrency_slot",
  ids: ["kind", "name", "run_id", "flow_run_id"],
  sql: `SELECT 'SLOT_LEFT' AS code, s.kind, s.name, s.run_id, s.flow_run_id, r.state AS flow_run_state, t.state AS task_run_state
    FROM concurrency_slot s LEFT JOIN flow_run r ON r.id = s.flow_run_id
      LEFT JOIN task_run t ON t.id = s.run_id AND t.flow_run_id = s.flow_run_id
    WHERE r.state IS NULL OR r.state NOT IN ${UNDER_WAY} OR (s.kind = 'flow_label' AND s.run_id <> s.flow_run_id)
      OR (s.kind <> 'flow_label' AND (t.state IS NULL OR NOT (t.state = 'Running' OR (t.state = 'Queued'
        AND EXISTS (SELECT 1 FROM slot_request q WHERE q.run_id = s.run_id AND q.name = s.name)))))`,
  rules: {
    SLOT_LEFT: {
      say: (row) =>
        row.kind === "flow_label"
          ? `A slot of label "${row.name}" is held by flow run ${row.run_id}, which is ${row.flow_run_state}.`
          : `A slot of tag "${row.name}" is held by task run ${row.run_id}, which is ${row.task_run_state ?? "gone"} in a flow run that is ${row.flow_run_state}.`,
    },
  },
};

/** A limit that was changed when all of these slots were taken already was lowered, or made, beneath what runs. */
const limits: Check = {
  table: "concurrency_slot",
  ids: ["tenant_id", "kind", "name"],
  sql: `SELECT CASE WHEN l.updated >= max(s.taken_at) THEN 'SLOTS_OVER_LOWERED_LIMIT' ELSE 'SLOTS_OVER_LIMIT' END AS code,
      l.tenant_id, l.kind, l.name, l.slots, count(*) AS held, l.updated
    FROM (SELECT tenant_id, 'task_tag' AS kind, tag AS name, slots, updated FROM task_tag_limit
      UNION ALL SELECT tenant_id, 'flow_label', name, slots, updated FROM flow_concurrency_limit) l
    JOIN concurrency_slot s ON s.tenant_id = l.tenant_id AND s.kind = l.kind AND s.name = l.name
    GROUP BY l.tenant_id, l.kind, l.name, l.slots, l.updated HAVING count(*) > l.slots`,
  rules: {
    SLOTS_OVER_LIMIT: {
      say: (row) => `${row.held} slots of "${row.name}" (${row.kind}) are taken, and there are ${row.slots}.`,
    },
    SLOTS_OVER_LOWERED_LIMIT: {
      note: true,
      say: (row) =>
        `${row.held} slots of "${row.name}" (${row.kind}) are taken, and there are ${row.slots} since ${row.updated}: no other run gets one until enough have ended.`,
    },
  },
};

const places: Check = {
  table: "slot_request",
  ids: ["run_id", "name", "flow_run_id"],
  sql: `SELECT 'PLACE_IN_LINE_LEFT' AS code, q.run_id, q.name, q.flow_run_id, t.state, r.state AS flow_run_state
    FROM slot_request q LEFT JOIN task_run t ON t.id = q.run_id LEFT JOIN flow_run r ON r.id = q.flow_run_id
    WHERE t.state IS NULL OR r.state IS NULL OR t.state <> 'Queued' OR r.state IN ${ENDED}`,
  rules: {
    PLACE_IN_LINE_LEFT: {
      say: (row) =>
        `The task run ${row.run_id} stands in line for tag "${row.name}", and is ${row.state ?? "gone"} in a flow run that is ${row.flow_run_state}.`,
    },
  },
};

export const limitChecks: readonly Check[] = [slots, limits, places];
