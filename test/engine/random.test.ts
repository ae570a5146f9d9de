import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import t from "tap";
import { PROPERTY_TIMEOUT_MS } from "../helpers/property-runs.js";
import { playRight, tryFlows } from "./random/check.js";

/*
 * Each flow has up to 200 steps. How many flows are tried: the numbers below, or MILLRACE_PROPERTY_RUNS; for many of them the
 * test is run by node itself, with TAP_TIMEOUT=0. A failure prints its seed, its path and the smallest flow that shows it.
 */
const FLOWS = 500;
const EXECUTOR_FLOWS = 150;
const REPEATED_FLOWS = 100;
const options = { timeout: PROPERTY_TIMEOUT_MS };

const MET = ["Cached", "Failed", "Mapped", "Skipped", "Success", "TimedOut", "TriggerFailed", "ValidationFailed"];
const limits = fc.constantFrom(1, 2, 3, 7, Number.POSITIVE_INFINITY);

t.test(
  "random flows end as a plain model says, with legal states, and nothing runs too early or twice",
  options,
  async (t) => {
    const met = new Set<string>();
    let calls = 0;
    const ways = fc.record({ limit: limits, inTurns: fc.boolean(), seeded: fc.boolean() });
    await tryFlows(FLOWS, ways, async (spec, expected, how) => {
      calls += (await playRight(spec, expected, how)).calls;
      for (const { type } of expected.runs.values()) met.add(type);
    });
    t.ok(calls > FLOWS, `${calls} calls`);
    t.same([...met].sort(), MET, "every end was met");
  },
);

t.test("sequential, concurrent and default executors agree on every state and value", options, async () => {
  await tryFlows(EXECUTOR_FLOWS, fc.integer({ min: 2, max: 9 }), async (spec, expected, limit) => {
    const [first, ...others] = await Promise.all([
      playRight(spec, expected, { limit: 1 }),
      playRight(spec, expected, { limit }),
      playRight(spec, expected, {}),
    ]);
    for (const { runs, output } of others) {
      if (!isDeepStrictEqual(runs, first.runs)) throw new Error("two executors differ in a task run");
      if (!isDeepStrictEqual(output, first.output)) throw new Error("two executors differ in the output");
    }
  });
});

t.test("a flow that runs again ends the same, by the same states in the same order", options, async () => {
  await tryFlows(REPEATED_FLOWS, fc.record({ limit: limits, inTurns: fc.boolean() }), async (spec, expected, how) => {
    const first = await playRight(spec, expected, how);
    const second = await playRight(spec, expected, how);
    if (!isDeepStrictEqual(second.runs, first.runs)) throw new Error("it ends otherwise");
    if (!isDeepStrictEqual(second.lines, first.lines)) throw new Error("it goes another way");
  });
});
