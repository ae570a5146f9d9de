import type { Migration } from "../migrate.js";

const owned =
  "id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE";

/**
 * Concurrency limits. A slot is a row that a run owns: how many are taken is counted, never stored, and a run that is
 * deleted takes its slots with it. A request is a task run's place in the line for a tag's slots; it is kept until the task
 * run is Running, so that a slot which is given up again goes to the same task run. Beside them, which claim gave a run away.
 */
export const limits: Migration = {
  version: 5,
  name: "concurrency limits",
  up: `
CREATE TABLE task_tag_limit (${owned}, tag TEXT NOT NULL, slots INTEGER NOT NULL, UNIQUE (tenant_id, tag)) STRICT;
CREATE TABLE flow_concurrency_limit (${owned}, name TEXT NOT NULL, slots INTEGER NOT NULL, UNIQUE (tenant_id, name)) STRICT;
CREATE TABLE concurrency_slot (tenant_id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, run_id TEXT NOT NULL,
  flow_run_id TEXT NOT NULL REFERENCES flow_run ON DELETE CASCADE, taken_at TEXT NOT NULL,
  PRIMARY KEY (tenant_id, kind, name, run_id)) STRICT, WITHOUT ROWID;
CREATE INDEX concurrency_slot_by_flow_run ON concurrency_slot (flow_run_id, run_id);
CREATE TABLE slot_request (run_id TEXT NOT NULL, name TEXT NOT NULL, tenant_id TEXT NOT NULL,
  flow_run_id TEXT NOT NULL REFERENCES flow_run ON DELETE CASCADE, asked_at TEXT NOT NULL, place INTEGER NOT NULL,
  PRIMARY KEY (run_id, name)) STRICT, WITHOUT ROWID;
CREATE INDEX slot_request_line ON slot_request (tenant_id, name, asked_at, place);
CREATE INDEX slot_request_by_flow_run ON slot_request (flow_run_id);
ALTER TABLE flow_run ADD COLUMN claim_id TEXT;
CREATE INDEX flow_run_claimed ON flow_run (claim_id) WHERE lease_agent_id IS NOT NULL;
`,
  down: `DROP INDEX flow_run_claimed; ALTER TABLE flow_run DROP COLUMN claim_id; DROP TABLE slot_request;
DROP TABLE concurrency_slot; DROP TABLE flow_concurrency_limit; DROP TABLE task_tag_limit;`,
};
