import type { Migration } from "../migrate.js";

/** Results that may stand for running a task again, by the task or by the key that tasks share; both cost other rows nothing. */
export const cachedResults: Migration = {
  version: 3,
  name: "cached results",
  up: `
CREATE INDEX task_run_cached ON task_run (task_id, state_timestamp) WHERE state = 'Cached';
CREATE INDEX task_run_cached_by_key ON task_run (tenant_id, cache_key, state_timestamp) WHERE state = 'Cached';
`,
  down: "DROP INDEX task_run_cached; DROP INDEX task_run_cached_by_key;",
};
