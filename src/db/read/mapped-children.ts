import { sql } from "kysely";
import { infoOf } from "./describe-tables.js";
import { ownRows } from "./read-filter.js";
import type { Reading } from "./read-request.js";
import { toAnswer } from "./read-values.js";

/** How the children of a mapped task run fare. */
export interface MappedChildren {
  min_start_time: unknown;
  max_end_time: unknown;
  /** How many there are in each state. */
  state_counts: Record<string, number>;
}

/** The children of a task run, counted by the database; none where it is not mapped, or not the caller's. */
export async function readMappedChildren(reading: Reading, taskRunId: string): Promise<MappedChildren> {
  const own = ownRows(reading, infoOf("task_run"), "p", true);
  const counted = sql<{ state: string; runs: number; first: string | null; last: string | null }>`
    select coalesce(c.state, 'Pending') as state, count(*) as runs, min(c.start_time) as first, max(c.end_time) as last
    from task_run as p join task_run as c on c.flow_run_id = p.flow_run_id and c.task_id = p.task_id and c.map_index >= 0
    where p.id = ${taskRunId} and p.map_index = -1 and ${own} group by coalesce(c.state, 'Pending')`;
  const { rows } = await counted.execute(reading.db);
  const instants = (pick: (row: (typeof rows)[number]) => string | null) =>
    rows
      .map(pick)
      .filter((at) => at !== null)
      .sort();
  return {
    min_start_time: toAnswer("instant", instants(({ first }) => first)[0], reading.dialect),
    max_end_time: toAnswer("instant", instants(({ last }) => last).at(-1), reading.dialect),
    state_counts: Object.fromEntries(rows.map(({ state, runs }) => [state, Number(runs)])),
  };
}
