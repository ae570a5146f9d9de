import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { StateType } from "../../../src/core/state.js";
import { propertyRuns } from "../../helpers/property-runs.js";
import { type ExpectedFlow, expectedEnds } from "./model.js";
import { type How, type Played, play } from "./play.js";
import { type FlowSpec, flowSpecs } from "./spec.js";

/** What is not as the model says, or was not as it must be on the way; empty when nothing is. */
export function faultsOf(played: Played, expected: ExpectedFlow): string[] {
  const faults = [...played.faults];
  const { type: ended, output, runs, byOne } = played;
  if (ended !== expected.type) faults.push(`the flow run is ${ended}, not ${expected.type}`);
  const inMemory = new Set(expected.flow.tasks.filter((each) => each.inMemory).map((each) => each.name));
  for (const [name, { type, value }] of expected.runs) {
    const found = runs.get(name);
    if (!found) {
      faults.push(`${name} is missing`);
      continue;
    }
    if (!isSameType(found.type, type, byOne)) faults.push(`${name} is ${found.type}, not ${type}`);
    // What was kept in memory went with the agent that had it.
    const isLost = !byOne && inMemory.has(name.replace(/\[\d+\]$/, ""));
    if (type !== "Mapped" && !isLost && !isDeepStrictEqual(found.value, value))
      faults.push(`${name} has ${JSON.stringify(found.value)}, not ${JSON.stringify(value)}`);
  }
  for (const name of runs.keys()) if (!expected.runs.has(name)) faults.push(`${name} should not be`);
  const wanted = expected.type === "Failed" ? undefined : expected.output;
  if (byOne && !isDeepStrictEqual(output, wanted))
    faults.push(`the output is ${JSON.stringify(output)}, not ${JSON.stringify(wanted)}`);
  return faults;
}

/** A result is cached in two steps; an agent that dies between them leaves the first. */
function isSameType(found: StateType, wanted: StateType, byOne: boolean): boolean {
  return found === wanted || (!byOne && wanted === "Cached" && found === "Success");
}

/** Tries a property of random flows, run in random ways. @param usual How many flows, where the environment does not say. */
export async function tryFlows<Ways>(
  usual: number,
  ways: fc.Arbitrary<Ways>,
  property: (spec: FlowSpec, expected: ExpectedFlow, ways: Ways) => Promise<void>,
): Promise<void> {
  const numRuns = propertyRuns(usual);
  await fc.assert(
    fc.asyncProperty(flowSpecs, ways, async (spec, each) => {
      const expected = expectedEnds(spec);
      fc.pre(expected !== undefined);
      await property(spec, expected, each);
    }),
    { numRuns },
  );
}

/** Runs the flow, and throws what is wrong. */
export async function playRight(spec: FlowSpec, expected: ExpectedFlow, how: How): Promise<Played> {
  const played = await play(spec, expected, how);
  const faults = faultsOf(played, expected);
  if (faults.length > 0) throw new Error(faults.slice(0, 10).join("\n"));
  return played;
}
