import type { Migration } from "../migrate.js";

/**
 * What the services keep: up to when they have looked, what is the matter with a flow's schedule, which runs were late;
 * and indexes for runs that nobody holds and for the runs that a task has asked for.
 */
export const services: Migration = {
  version: 7,
  name: "services",
  up: `
ALTER TABLE flow ADD COLUMN scheduled_at TEXT;
ALTER TABLE flow ADD COLUMN schedule_error TEXT;
ALTER TABLE flow_run ADD COLUMN late_at TEXT;
CREATE TABLE service_mark (name TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX flow_run_not_late ON flow_run (state_start_time) WHERE state = 'Scheduled' AND late_at IS NULL;
CREATE INDEX flow_scheduled ON flow (id) WHERE is_schedule_active = 1 AND archived = 0;
CREATE INDEX flow_run_unheld ON flow_run (heartbeat)
  WHERE lease_agent_id IS NULL AND (state = 'Running' OR state = 'Submitted' OR state = 'Cancelling');
CREATE INDEX flow_run_by_parent ON flow_run (substr(idempotency_key, 1, 36)) WHERE idempotency_key IS NOT NULL;
`,
  down: `
DROP INDEX flow_run_by_parent; DROP INDEX flow_run_unheld; DROP INDEX flow_run_not_late; DROP INDEX flow_scheduled;
DROP TABLE service_mark;
ALTER TABLE flow_run DROP COLUMN late_at;
ALTER TABLE flow DROP COLUMN schedule_error;
ALTER TABLE flow DROP COLUMN scheduled_at;
`,
};
