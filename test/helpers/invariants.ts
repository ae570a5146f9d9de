import type { TestCloud } from "./server.js";

/** Prefect writes a cached result and a retry in two steps: the first is no end. */
const TWO_STEPS = `((a.state = 'Success' AND EXISTS (SELECT 1 FROM task_run_state c
    WHERE c.task_run_id = a.task_run_id AND c.version = a.version + 1 AND c.state = 'Cached'))
  OR (a.state IN ('Failed', 'TimedOut', 'TriggerFailed', 'ValidationFailed') AND EXISTS (SELECT 1 FROM task_run_state c
    WHERE c.task_run_id = a.task_run_id AND c.version = a.version + 1 AND c.state = 'Retrying')))`;

/**
 * What must hold in every Cloud's database at any time, whatever happened to its server: each run's row is a copy of its
 * newest state, versions count up without a gap, no state follows a terminal one, and only unfinished runs are leased.
 * @returns what does not hold; empty when all is well
 */
export async function brokenInvariants(cloud: Pick<TestCloud, "rows">): Promise<string[]> {
  const broken: string[] = [];
  const none = async (what: string, sql: string) => {
    const rows = await cloud.rows(sql);
    if (rows.length > 0) broken.push(`${what}: ${JSON.stringify(rows.slice(0, 3))}`);
  };
  const terminal =
    "('Success','Cached','Mapped','Skipped','Cancelled','Failed','TimedOut','TriggerFailed','ValidationFailed','Finished')";
  for (const kind of ["flow_run", "task_run"]) {
    const states = `${kind}_state`;
    const key = `${kind}_id`;
    await none(
      `${kind} rows that differ from their newest state`,
      `SELECT r.id, r.version, r.state, s.state AS newest FROM ${kind} r LEFT JOIN ${states} s ON s.${key} = r.id AND s.version = r.version
       WHERE coalesce(s.state, '') <> coalesce(r.state, '') OR coalesce(s.serialized_state, '') <> coalesce(r.serialized_state, '')`,
    );
    await none(
      `${kind} versions with a gap`,
      `SELECT ${key}, count(*) AS n, max(version) AS top FROM ${states} GROUP BY ${key} HAVING count(*) <> max(version)`,
    );
    await none(
      `${kind} states after a terminal one`,
      `SELECT a.${key}, a.state, b.state AS later FROM ${states} a JOIN ${states} b ON b.${key} = a.${key} AND b.version > a.version
       WHERE a.state IN ${terminal}${kind === "task_run" ? ` AND NOT ${TWO_STEPS}` : ""}`,
    );
  }
  await none(
    "finished runs with a lease",
    `SELECT id, state FROM flow_run WHERE lease_agent_id IS NOT NULL AND state IN ${terminal}`,
  );
  await none(
    "unfinished task runs of finished runs",
    `SELECT t.id, t.state FROM task_run t JOIN flow_run f ON f.id = t.flow_run_id
     WHERE f.state IN ${terminal} AND (t.state IS NULL OR t.state NOT IN ${terminal})`,
  );
  await none(
    "task runs of other flows",
    "SELECT r.id FROM task_run r JOIN flow_run f ON f.id = r.flow_run_id JOIN task t ON t.id = r.task_id WHERE t.flow_id <> f.flow_id",
  );
  return broken;
}

/** For `afterEach`: throws when something does not hold. */
export async function holdInvariants(cloud: Pick<TestCloud, "rows">): Promise<void> {
  const broken = await brokenInvariants(cloud);
  if (broken.length > 0) throw new Error(`The database does not hold together:\n${broken.join("\n")}`);
}
