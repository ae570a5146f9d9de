import type { Migration } from "../migrate.js";

const owned =
  "id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE";

/**
 * Concurrency limits. A slot is a row that a run owns: how many are taken is counted, never stored, and a run that is
 * deleted takes its slots with it.
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
CREATE INDEX concurrency_slot_by_flow_run ON concurrency_slot (flow_run_id);
`,
  down: "DROP TABLE concurrency_slot; DROP TABLE flow_concurrency_limit; DROP TABLE task_tag_limit;",
};
