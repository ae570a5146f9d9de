import type { Migration } from "../migrate.js";

const owned =
  "id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE";

/**
 * What a tenant keeps in the Cloud beside its flows and runs. A delivery names its hook without a foreign key: that a hook is
 * deleted at the same moment must never make a state's transaction fail.
 */
export const settings: Migration = {
  version: 6,
  name: "key values, secrets, hooks, artifacts",
  up: `
ALTER TABLE tenant ADD COLUMN info TEXT;
ALTER TABLE tenant ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
CREATE INDEX flow_run_scheduled ON flow_run (flow_id) WHERE state = 'Scheduled';
CREATE TABLE membership (user_id TEXT NOT NULL, tenant_id TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE, created TEXT NOT NULL,
  PRIMARY KEY (user_id, tenant_id)) STRICT, WITHOUT ROWID;
INSERT INTO membership (user_id, tenant_id, created)
  SELECT user_id, tenant_id, min(created) FROM api_key GROUP BY user_id, tenant_id;
CREATE TABLE key_value (${owned}, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (tenant_id, key)) STRICT;
CREATE TABLE secret (${owned}, name TEXT NOT NULL, sealed TEXT NOT NULL, UNIQUE (tenant_id, name)) STRICT;
CREATE TABLE agent_config (${owned}, name TEXT, settings TEXT NOT NULL DEFAULT '{}') STRICT;
CREATE TABLE task_run_artifact (${owned}, task_run_id TEXT NOT NULL REFERENCES task_run ON DELETE CASCADE, kind TEXT NOT NULL,
  data TEXT NOT NULL) STRICT;
CREATE INDEX task_run_artifact_by_task_run ON task_run_artifact (task_run_id);
CREATE TABLE message (${owned}, read INTEGER NOT NULL DEFAULT 0, type TEXT NOT NULL, text TEXT, content TEXT NOT NULL DEFAULT '{}') STRICT;
CREATE TABLE cloud_hook (${owned}, name TEXT, version_group_id TEXT, states TEXT NOT NULL, type TEXT NOT NULL, config TEXT NOT NULL,
  sealed TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE INDEX cloud_hook_by_tenant ON cloud_hook (tenant_id);
CREATE TABLE cloud_hook_delivery (${owned}, cloud_hook_id TEXT NOT NULL,
  flow_run_id TEXT NOT NULL REFERENCES flow_run ON DELETE CASCADE, version INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  sent INTEGER NOT NULL DEFAULT 0, next_attempt_at TEXT, delivered_at TEXT, last_error TEXT, UNIQUE (cloud_hook_id, flow_run_id, version)) STRICT;
CREATE INDEX cloud_hook_delivery_due ON cloud_hook_delivery (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX cloud_hook_delivery_by_flow_run ON cloud_hook_delivery (flow_run_id);
CREATE INDEX cloud_hook_delivery_over ON cloud_hook_delivery (updated) WHERE next_attempt_at IS NULL;
`,
  down: `
DROP INDEX flow_run_scheduled; DROP TABLE membership; DROP TABLE cloud_hook_delivery; DROP TABLE cloud_hook; DROP TABLE message; DROP TABLE task_run_artifact; DROP TABLE agent_config;
DROP TABLE secret; DROP TABLE key_value;
ALTER TABLE tenant DROP COLUMN settings; ALTER TABLE tenant DROP COLUMN info;
`,
};
