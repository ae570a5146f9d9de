import type { Migration } from "../migrate.js";

const row = "id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL";
const runState = `version INTEGER NOT NULL DEFAULT 0, heartbeat TEXT, start_time TEXT, end_time TEXT,
  state TEXT, state_timestamp TEXT, state_message TEXT, state_result TEXT, state_start_time TEXT, serialized_state TEXT`;
const history = `version INTEGER NOT NULL, tenant_id TEXT NOT NULL, timestamp TEXT NOT NULL, state TEXT NOT NULL,
  message TEXT, result TEXT, start_time TEXT, serialized_state TEXT NOT NULL`;
/** Who waits to be picked up; the same list stands in queue queries, or they would not use the partial indexes. */
const waiting = "state IN ('Scheduled','Paused','Resume','Retrying','Queued')";

/**
 * The tables of tables.ts. Indexes are as few as the queries allow: the unique keys serve the look-ups by flow and by run
 * too, and the queue's are partial, so that a finished run costs them nothing.
 */
export const firstTables: Migration = {
  version: 1,
  name: "first tables",
  up: `
CREATE TABLE tenant (${row}, name TEXT NOT NULL, slug TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE project (${row}, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE, name TEXT NOT NULL, description TEXT,
  UNIQUE (tenant_id, name)) STRICT;
CREATE TABLE api_key (${row}, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE, user_id TEXT NOT NULL, name TEXT NOT NULL,
  key_hash TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, expires_at TEXT, last_used TEXT) STRICT;
CREATE TABLE flow_group (${row}, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE, name TEXT NOT NULL, description TEXT,
  labels TEXT, schedule TEXT, settings TEXT NOT NULL DEFAULT '{}', default_parameters TEXT NOT NULL DEFAULT '{}', run_config TEXT,
  UNIQUE (tenant_id, name)) STRICT;
CREATE TABLE flow (${row}, tenant_id TEXT NOT NULL, project_id TEXT NOT NULL REFERENCES project ON DELETE CASCADE,
  flow_group_id TEXT NOT NULL REFERENCES flow_group ON DELETE CASCADE, version_group_id TEXT NOT NULL, name TEXT NOT NULL,
  version INTEGER NOT NULL, archived INTEGER NOT NULL DEFAULT 0, description TEXT, environment TEXT, run_config TEXT,
  parameters TEXT NOT NULL DEFAULT '[]', storage TEXT, schedule TEXT, is_schedule_active INTEGER NOT NULL DEFAULT 0,
  serialized_flow TEXT, core_version TEXT, settings TEXT NOT NULL DEFAULT '{}',
  UNIQUE (flow_group_id, version)) STRICT;
CREATE INDEX flow_by_project ON flow (project_id, name);
CREATE TABLE task (${row}, tenant_id TEXT NOT NULL, flow_id TEXT NOT NULL REFERENCES flow ON DELETE CASCADE, name TEXT NOT NULL,
  slug TEXT NOT NULL, description TEXT, type TEXT, max_retries INTEGER NOT NULL DEFAULT 0, retry_delay REAL, trigger TEXT,
  tags TEXT NOT NULL DEFAULT '[]', mapped INTEGER NOT NULL DEFAULT 0, auto_generated INTEGER NOT NULL DEFAULT 0, cache_key TEXT,
  is_root_task INTEGER NOT NULL DEFAULT 0, is_terminal_task INTEGER NOT NULL DEFAULT 0, is_reference_task INTEGER NOT NULL DEFAULT 0,
  UNIQUE (flow_id, slug)) STRICT;
CREATE TABLE edge (${row}, tenant_id TEXT NOT NULL, flow_id TEXT NOT NULL REFERENCES flow ON DELETE CASCADE,
  upstream_task_id TEXT NOT NULL, downstream_task_id TEXT NOT NULL, key TEXT, mapped INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE UNIQUE INDEX edge_by_flow ON edge (flow_id, downstream_task_id, upstream_task_id, coalesce(key, ''));
CREATE TABLE flow_run (${row}, tenant_id TEXT NOT NULL, flow_id TEXT NOT NULL REFERENCES flow ON DELETE CASCADE, name TEXT NOT NULL,
  parameters TEXT NOT NULL DEFAULT '{}', labels TEXT NOT NULL DEFAULT '[]', run_config TEXT, context TEXT,
  scheduled_start_time TEXT NOT NULL, auto_scheduled INTEGER NOT NULL DEFAULT 0, times_resurrected INTEGER NOT NULL DEFAULT 0,
  idempotency_key TEXT, agent_id TEXT, lease_agent_id TEXT, lease_expires_at TEXT, fence INTEGER NOT NULL DEFAULT 0, ${runState},
  UNIQUE (flow_id, idempotency_key)) STRICT;
CREATE INDEX flow_run_newest ON flow_run (created);
CREATE INDEX flow_run_waiting ON flow_run (tenant_id, labels, state_start_time) WHERE ${waiting};
CREATE INDEX flow_run_leased ON flow_run (lease_expires_at) WHERE lease_agent_id IS NOT NULL;
CREATE INDEX flow_run_cancelling ON flow_run (lease_agent_id) WHERE state = 'Cancelling';
CREATE TABLE task_run (${row}, tenant_id TEXT NOT NULL, flow_run_id TEXT NOT NULL REFERENCES flow_run ON DELETE CASCADE,
  task_id TEXT NOT NULL, map_index INTEGER NOT NULL DEFAULT -1, name TEXT, cache_key TEXT, ${runState},
  UNIQUE (flow_run_id, task_id, map_index)) STRICT;
CREATE INDEX task_run_waiting ON task_run (state_start_time, flow_run_id) WHERE ${waiting};
CREATE TABLE flow_run_state (flow_run_id TEXT NOT NULL REFERENCES flow_run ON DELETE CASCADE, ${history},
  PRIMARY KEY (flow_run_id, version)) STRICT, WITHOUT ROWID;
CREATE TABLE task_run_state (task_run_id TEXT NOT NULL REFERENCES task_run ON DELETE CASCADE, ${history},
  PRIMARY KEY (task_run_id, version)) STRICT, WITHOUT ROWID;
CREATE TABLE log (id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, flow_run_id TEXT NOT NULL REFERENCES flow_run ON DELETE CASCADE,
  task_run_id TEXT, timestamp TEXT NOT NULL, name TEXT, level TEXT NOT NULL, message TEXT, info TEXT) STRICT;
CREATE INDEX log_by_run ON log (flow_run_id);
CREATE TABLE agent (${row}, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE, agent_config_id TEXT, name TEXT NOT NULL,
  type TEXT NOT NULL, core_version TEXT, labels TEXT NOT NULL DEFAULT '[]', last_queried TEXT NOT NULL) STRICT;
CREATE TABLE report_stream (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, batch INTEGER NOT NULL, answer TEXT NOT NULL,
  updated TEXT NOT NULL) STRICT, WITHOUT ROWID;
`,
  down: [
    "report_stream",
    "agent",
    "log",
    "task_run_state",
    "flow_run_state",
    "task_run",
    "flow_run",
    "edge",
    "task",
    "flow",
    "flow_group",
    "api_key",
    "project",
    "tenant",
  ]
    .map((table) => `DROP TABLE ${table};`)
    .join("\n"),
};
