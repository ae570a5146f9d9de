import { buildFlow } from "../../src/core/building.js";
import type { Build } from "../../src/core/flow-builder.js";
import type { FlowDefinition, FlowOptions, FlowTask } from "../../src/core/flow-definition.js";

/** A built flow, without what `flow()` adds for its author. */
export function build(name: string, body: (build: Build) => unknown, options: FlowOptions = {}): FlowDefinition {
  return buildFlow(name, options, body, undefined);
}

/** The task with that slug. */
export function taskOf(flow: FlowDefinition, slug: string): FlowTask {
  const found = flow.tasks.find((each) => each.slug === slug);
  if (!found) throw new Error(`no task ${slug}, there are ${flow.tasks.map((each) => each.slug).join(", ")}`);
  return found;
}

/** A seeded stream of numbers in [0, 1): mulberry32. The same seed gives the same test. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
