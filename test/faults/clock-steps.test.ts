import { join } from "node:path";
import t from "tap";
import { openFaultBed } from "../helpers/fault-bed.js";
import { temporaryHome } from "../helpers/home.js";
import { seeded } from "../helpers/random.js";

const HOUR_MS = 60 * 60 * 1000;
/** It ends where it was furthest ahead: what waits when the clock is put back is due in an hour. */
const STEPS = [1, -1, -1, 1, 1];
const home = await temporaryHome(t);
t.setTimeout(120_000);

t.test("the server's clock is put forward and back by an hour under load from 4 agents", async (t) => {
  const random = seeded(t);
  const bed = await openFaultBed(t, { database: join(home, "clock.db") });
  const [server] = bed.servers;
  let aheadMs = 0;
  for (const hours of STEPS) {
    await bed.progress(20 + random.below(40));
    await server!.stepClock(hours * HOUR_MS);
    aheadMs += hours * HOUR_MS;
    const { violations, missing } = await bed.account(Date.now() + aheadMs);
    t.strictSame({ violations, missing }, { violations: [], missing: [] }, `${aheadMs / HOUR_MS} hours ahead`);
  }
  const { violations, missing, unfinished, flowRuns, states } = await bed.settle(Date.now() + aheadMs);
  t.comment(`${STEPS.length} steps, ${flowRuns} runs, ${states} states`);
  t.strictSame({ violations, missing, unfinished }, { violations: [], missing: [], unfinished: [] });
  const fences = new Map<string, number>();
  for (const { flowRunId, fence } of bed.ledger.claims)
    fences.set(flowRunId, Math.max(fence, fences.get(flowRunId) ?? 0));
  t.ok(
    [...fences.values()].every((fence) => fence === 1),
    "no agent lost a run by it",
  );
});
