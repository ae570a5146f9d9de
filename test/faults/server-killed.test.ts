import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { openFaultBed } from "../helpers/fault-bed.js";
import { temporaryHome } from "../helpers/home.js";
import { seeded } from "../helpers/random.js";

/** By hand, 200: `MILLRACE_FAULT_KILLS=200 tap dist/test/faults/server-killed.test.js`. */
const kills = Number(process.env.MILLRACE_FAULT_KILLS) || 4;
/** States that the clients are told of before the next kill, at most. */
const STATES_BETWEEN = 60;
/** Then so long at most, so that the kill meets any moment of a request. */
const WAIT_MS = 120;

const home = await temporaryHome(t);
t.setTimeout(60_000 + kills * 20_000);

t.test(`kill -9 of the server ${kills} times under load from 4 agents`, async (t) => {
  const random = seeded(t);
  const bed = await openFaultBed(t, { database: join(home, "killed.db") });
  const begunAt = performance.now();
  for (let kill = 1; kill <= kills; kill++) {
    await bed.progress(1 + random.below(STATES_BETWEEN));
    await sleep(random.below(WAIT_MS));
    await bed.kill();
    const { violations, missing } = await bed.account();
    if (violations.length + missing.length > 0)
      t.strictSame({ violations, missing }, { violations: [], missing: [] }, `kill ${kill}`);
    await bed.restart();
  }
  const { violations, missing, unfinished, flowRuns, states } = await bed.settle();
  const seconds = ((performance.now() - begunAt) / 1_000).toFixed(1);
  t.comment(
    `${kills} kills, ${flowRuns} runs, ${states} states (${bed.ledger.acknowledged} acknowledged), ${violations.length} violations, ${missing.length} missing, ${seconds} s`,
  );
  t.strictSame(violations, [], "the database holds together");
  t.strictSame(missing, [], "nothing that a client was told of is missing");
  t.strictSame(unfinished, [], "every run ends in Success without help");
  t.equal(flowRuns, bed.ledger.created.size, "there is one run for each key");
  t.ok(flowRuns > kills, "there was load");
});
