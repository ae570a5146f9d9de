import { join } from "node:path";
import t from "tap";
import { openFaultBed } from "../helpers/fault-bed.js";
import { temporaryHome } from "../helpers/home.js";
import { needsPostgres } from "../helpers/test-database.js";

/** States that the clients are told of until it is enough. */
const STATES = 600;
const home = await temporaryHome(t);
t.setTimeout(120_000);

t.test("two servers claim at once on one Postgres for 4 agents: no run is given twice", needsPostgres, async (t) => {
  const bed = await openFaultBed(t, { database: join(home, "two.db"), servers: 2 });
  await bed.progress(STATES);
  const { violations, missing, unfinished, flowRuns, states } = await bed.settle();
  t.comment(`${flowRuns} runs, ${states} states`);
  t.strictSame({ violations, missing, unfinished }, { violations: [], missing: [], unfinished: [] });
  const given = bed.ledger.claims.map(({ flowRunId }) => flowRunId);
  t.equal(given.length, flowRuns, "each run was given once");
  t.equal(new Set(given).size, flowRuns);
  t.ok(new Set(bed.ledger.claims.map(({ agentId }) => agentId)).size === 4, "every agent was given some");
});
