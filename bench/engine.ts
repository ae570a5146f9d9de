import { buildFlow } from "../src/core/building.js";
import type { FlowDefinition } from "../src/core/flow-definition.js";
import { newId } from "../src/core/ids.js";
import { task } from "../src/core/task.js";
import { runFlow } from "../src/engine/flow-runner.js";
import { localPorts } from "../src/engine/local/local-ports.js";
import { type BenchRow, median } from "./table.js";

/** What the engine may cost a task, in µs, without a Cloud. */
const GOAL_US = 20;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 5;
const CHAIN = 1_000;
const WIDTH = 10_000;

const next = (value: number): number => value + 1;
const step = task("step", next);
const numbers = task("numbers", (length: number) => Array.from({ length }, (_, index) => index));

/** What one task costs inside the engine, beside a bare promise graph of the same shape: the medians of the rounds. */
export async function benchEngine(): Promise<BenchRow[]> {
  const chain = buildFlow("chain", {}, buildChain, undefined);
  const map = buildFlow("map", {}, () => step.map(numbers(WIDTH)), undefined);
  const pipeline = buildFlow("pipeline", {}, () => step.map(step.map(numbers(WIDTH / 2))), undefined);
  return [
    await compare("chain of 1,000", CHAIN, () => run(chain), bareChain),
    await compare(
      "map of 10,000",
      WIDTH + 2,
      () => run(map),
      () => bareMap(WIDTH, 1),
    ),
    await compare(
      "map over map, 2 × 5,000",
      WIDTH + 3,
      () => run(pipeline),
      () => bareMap(WIDTH / 2, 2),
    ),
  ];
}

function buildChain(): unknown {
  let last = step(0);
  for (let index = 1; index < CHAIN; index += 1) last = step(last);
  return last;
}

async function run(flow: FlowDefinition): Promise<void> {
  const { state } = await runFlow(
    flow,
    {
      flowRunId: newId(),
      flowRunName: "bench",
      flowId: null,
      parameters: {},
      scheduledStartAt: new Date().toISOString(),
      taskRuns: [],
    },
    localPorts(),
  );
  if (state.type !== "Success") throw new Error(`the bench flow ended ${state.type}: ${state.message}`);
}

async function bareChain(): Promise<void> {
  let last = Promise.resolve(0);
  for (let index = 0; index < CHAIN; index += 1) last = last.then(next);
  await last;
}

async function bareMap(width: number, depth: number): Promise<void> {
  const values = await Promise.resolve(Array.from({ length: width }, (_, index) => index));
  let last = values.map((value) => Promise.resolve(value));
  for (let at = 0; at < depth; at += 1) last = last.map((each) => each.then(next));
  await Promise.all(last);
}

async function compare(
  name: string,
  tasks: number,
  engine: () => Promise<void>,
  bare: () => Promise<void>,
): Promise<BenchRow> {
  const engineUs = ((await time(engine)) * 1_000) / tasks;
  const bareUs = ((await time(bare)) * 1_000) / tasks;
  const micros = (value: number) => `${value.toFixed(2)} µs a task`;
  return {
    what: name,
    figure: micros(engineUs),
    bare: micros(bareUs),
    ratio: `${Math.round(engineUs / bareUs)} ×`,
    goal: `≤ ${GOAL_US} µs`,
    reached: engineUs <= GOAL_US,
  };
}

async function time(round: () => Promise<void>): Promise<number> {
  const spans: number[] = [];
  for (let index = 0; index < WARM_UP_ROUNDS + ROUNDS; index += 1) {
    const from = performance.now();
    await round();
    if (index >= WARM_UP_ROUNDS) spans.push(performance.now() - from);
  }
  return median(spans);
}
