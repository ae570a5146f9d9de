import fc from "fast-check";
import t from "tap";
import { PROPERTY_TIMEOUT_MS } from "../helpers/property-runs.js";
import { playRight, tryFlows } from "./random/check.js";

/* How many flows are tried: these numbers, or MILLRACE_PROPERTY_RUNS. See random.test.ts. */
const KILLED_FLOWS = 300;
const WAITING_FLOWS = 200;
const options = { timeout: PROPERTY_TIMEOUT_MS };

const limits = fc.constantFrom(1, 2, 7, Number.POSITIVE_INFINITY);
/** After how many accepted reports each of a run's agents dies. */
const kill = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 2, max: 8 }) },
  { weight: 1, arbitrary: fc.nat({ max: 200 }) },
);
const kills = fc.array(kill, { minLength: 1, maxLength: 30, size: "max" });
const oneAgent = { limit: limits, inTurns: fc.boolean(), seeded: fc.boolean() };

t.test(
  "random flows whose agents die again and again end the same, and run no finished task twice",
  options,
  async (t) => {
    let agents = 0;
    await tryFlows(
      KILLED_FLOWS,
      fc.record({ ...oneAgent, kills, bySignal: fc.boolean() }),
      async (spec, expected, how) => {
        agents += (await playRight(spec, expected, how)).agents;
      },
    );
    t.ok(agents > 2 * KILLED_FLOWS, `${agents} agents`);
  },
);

t.test("random flows that are handed back whenever they wait, and killed as well, end the same", options, async (t) => {
  let agents = 0;
  const maxWaitMs = fc.constantFrom(0, 15, 400);
  const some = fc.oneof(fc.constant([]), kills);
  await tryFlows(
    WAITING_FLOWS,
    fc.record({ ...oneAgent, maxWaitMs, kills: some, bySignal: fc.boolean(), nobody: fc.constant(true) }),
    async (spec, expected, how) => {
      agents += (await playRight(spec, expected, how)).agents;
    },
  );
  t.ok(agents > 2 * WAITING_FLOWS, `${agents} agents`);
});
