import type { Migration } from "../migrate.js";

/** All but Success and the parents' names, under which no run is. A released migration is not changed: read-branches.ts says the same list. */
const STATES = [
  "Scheduled",
  "Paused",
  "Resume",
  "Retrying",
  "Queued",
  "Submitted",
  "Pending",
  "Running",
  "Cancelling",
  "Cancelled",
  "Failed",
  "TimedOut",
  "TriggerFailed",
  "ValidationFailed",
  "Skipped",
  "Cached",
  "Looped",
  "Mapped",
  "Finished",
];
const listed = `(${STATES.map((state) => `state = '${state}'`).join(" OR ")})`;

/**
 * For Clouds with a million task runs: the newest runs in a state that few are in, which a walk through all runs finds late or
 * never, and how many runs each agent holds, counted without their rows. The first is of an expression: SQLite, which has no
 * statistics, would take an index of the bare column for the queue's questions too.
 */
export const manyRuns: Migration = {
  version: 10,
  name: "many runs",
  up: `
CREATE INDEX flow_run_by_state ON flow_run (coalesce(state, ''), created, id) WHERE ${listed};
DROP INDEX flow_run_leased;
CREATE INDEX flow_run_leased ON flow_run (lease_expires_at, lease_agent_id) WHERE lease_agent_id IS NOT NULL;
`,
  down: `
DROP INDEX flow_run_leased;
CREATE INDEX flow_run_leased ON flow_run (lease_expires_at) WHERE lease_agent_id IS NOT NULL;
DROP INDEX flow_run_by_state;
`,
};
