import type { Migration } from "../migrate.js";

const STATES = ["Scheduled", "Paused", "Resume", "Retrying", "Queued"];
/** Queries must read the same: `isWaiting` in claim.ts. */
const ors = `(${STATES.map((state) => `state = '${state}'`).join(" OR ")})`;
const list = `state IN (${STATES.map((state) => `'${state}'`).join(",")})`;

const indexes = (condition: string) => `
DROP INDEX flow_run_waiting;
DROP INDEX task_run_waiting;
CREATE INDEX flow_run_waiting ON flow_run (tenant_id, labels, state_start_time) WHERE ${condition};
CREATE INDEX task_run_waiting ON task_run (state_start_time, flow_run_id) WHERE ${condition};
`;

/** SQLite builds a list anew for each row that is written, to ask whether the row belongs into the index: 7 µs, in place of 2. */
export const waitingAsOrs: Migration = {
  version: 4,
  name: "waiting as ORs",
  up: indexes(ors),
  down: indexes(list),
};
