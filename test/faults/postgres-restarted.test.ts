import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { openFaultBed } from "../helpers/fault-bed.js";
import { temporaryHome } from "../helpers/home.js";
import { ownPostgres } from "../helpers/own-postgres.js";
import { seeded } from "../helpers/random.js";
import { needsPostgres } from "../helpers/test-database.js";

const RESTARTS = Number(process.env.MILLRACE_FAULT_RESTARTS) || 4;
const STATES_BETWEEN = 60;
const WAIT_MS = 120;
await temporaryHome(t);
t.setTimeout(60_000 + RESTARTS * 20_000);

t.test(`Postgres is stopped without warning ${RESTARTS} times under load from 4 agents`, needsPostgres, async (t) => {
  const random = seeded(t);
  const postgres = await ownPostgres(t);
  const bed = await openFaultBed(t, { database: postgres.url, servers: 2 });
  for (let restart = 1; restart <= RESTARTS; restart++) {
    await bed.progress(1 + random.below(STATES_BETWEEN));
    await sleep(random.below(WAIT_MS));
    await postgres.restart();
    const { violations, missing } = await bed.account();
    t.strictSame({ violations, missing }, { violations: [], missing: [] }, `restart ${restart}`);
  }
  const { violations, missing, unfinished, flowRuns, states } = await bed.settle();
  t.comment(`${RESTARTS} restarts, ${flowRuns} runs, ${states} states`);
  t.strictSame({ violations, missing, unfinished }, { violations: [], missing: [], unfinished: [] });
  t.equal(flowRuns, bed.ledger.created.size, "there is one run for each key");
});
