import type { Migration } from "../migrate.js";

const waiting = `(${["Scheduled", "Paused", "Resume", "Retrying", "Queued"].map((state) => `state = '${state}'`).join(" OR ")})`;
/** `millrace` is a part of the registrations of our own flows, and of no others. */
const ofPrefect = `serialized_flow IS NULL OR serialized_flow NOT LIKE '%"millrace":{%'`;

/** Whose agents can run a flow and its runs. The queue goes by it first: an agent's look costs nothing for what it cannot run. */
export const engines: Migration = {
  version: 8,
  name: "engines",
  up: `
ALTER TABLE flow ADD COLUMN engine TEXT NOT NULL DEFAULT 'millrace';
ALTER TABLE flow_run ADD COLUMN engine TEXT NOT NULL DEFAULT 'millrace';
UPDATE flow SET engine = 'prefect' WHERE ${ofPrefect};
UPDATE flow_run SET engine = 'prefect' WHERE flow_id IN (SELECT id FROM flow WHERE engine = 'prefect');
DROP INDEX flow_run_waiting;
CREATE INDEX flow_run_waiting ON flow_run (tenant_id, engine, labels, state_start_time) WHERE ${waiting};
`,
  down: `
DROP INDEX flow_run_waiting;
CREATE INDEX flow_run_waiting ON flow_run (tenant_id, labels, state_start_time) WHERE ${waiting};
ALTER TABLE flow_run DROP COLUMN engine;
ALTER TABLE flow DROP COLUMN engine;
`,
};
