import { taskContext } from "../../src/core/context.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { flatten, type Ref, unmapped } from "../../src/core/reference.js";
import { type Task, task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { define, type FakeClock } from "./bed.js";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
/** Those that look at states alone. */
const PLAIN_TRIGGERS = ["allSuccessful", "allFailed", "allFinished", "anySuccessful", "anyFailed"] as const;

export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** An argument of a random task; tasks are named by their number. */
export type RandomArgument =
  | { whole: number; flat: boolean }
  | { nested: number[] }
  | { each: number; flat: boolean }
  | { items: ({ task: number } | { number: number })[] };

export interface RandomTask {
  index: number;
  mapped: boolean;
  /** Does it return a list, and of which length? */
  listOf: number | undefined;
  args: RandomArgument[];
  after: number[];
  trigger: (typeof PLAIN_TRIGGERS)[number];
  skipOnUpstreamSkip: boolean;
  retries: number;
  retryDelayMs: number;
  /** How many tries of child i fail, and whether by an error or by never coming back. */
  failures: { times: number; hangs: boolean }[];
  delayMs: number;
}

const TIMEOUT_MS = 1_000;
const MOST_CHILDREN = 64;

export function randomTasks(random: () => number, alwaysOrNever: boolean): RandomTask[] {
  const below = (limit: number) => Math.floor(random() * limit);
  const chance = (share: number) => random() < share;
  const tasks: RandomTask[] = [];
  const count = 2 + below(9);
  for (let index = 0; index < count; index += 1) {
    const any = () => below(index);
    const mapped = index > 0 && chance(0.45);
    const args: RandomArgument[] = [];
    if (mapped) {
      const item = () => (chance(0.5) ? { task: any() } : { number: below(9) });
      args.push(chance(0.2) ? { items: Array.from({ length: below(4) }, item) } : { each: any(), flat: chance(0.3) });
      if (chance(0.2)) args.push({ each: any(), flat: chance(0.3) });
    }
    while (index > 0 && chance(mapped ? 0.25 : 0.6)) {
      args.push(chance(0.3) ? { nested: [any(), any()] } : { whole: any(), flat: chance(0.2) });
    }
    const failure = () => {
      const times = chance(0.75) ? 0 : alwaysOrNever ? Number.POSITIVE_INFINITY : 1 + below(3);
      return { times, hangs: chance(0.3) };
    };
    tasks.push({
      index,
      mapped,
      listOf: chance(0.5) ? below(4) : undefined,
      args,
      after: index > 0 && chance(0.2) ? [any()] : [],
      trigger: chance(0.6) ? "allSuccessful" : PLAIN_TRIGGERS[below(5)]!,
      skipOnUpstreamSkip: chance(0.7),
      retries: below(3),
      retryDelayMs: chance(0.5) ? 0 : below(500),
      failures: Array.from({ length: MOST_CHILDREN }, failure),
      delayMs: chance(0.5) ? 0 : below(300),
    });
  }
  return tasks;
}

export const slugOf = (index: number): string => `t${index}-1`;

/** What a random task returns for its arguments. */
export function returnOf(spec: RandomTask, args: readonly unknown[]): unknown {
  const weight = weigh(args) % 100_003;
  return spec.listOf === undefined ? weight : Array.from({ length: spec.listOf }, (_, at) => weight + at);
}

function weigh(value: unknown): number {
  if (typeof value === "number") return value;
  if (value === undefined) return 7;
  return (value as unknown[]).reduce<number>((sum, item, at) => (sum * 3 + (at + 1) * weigh(item)) % 100_003, 1);
}

export const failureOf = (spec: RandomTask, mapIndex: number) => spec.failures[(mapIndex + 1) % MOST_CHILDREN]!;

/** The real flow. `started` is told of each try. */
export function toFlow(
  specs: readonly RandomTask[],
  clock: FakeClock,
  started: (slug: string, mapIndex: number) => void,
): FlowDefinition {
  return define(() => {
    const refs: Ref<unknown>[] = [];
    for (const spec of specs) {
      const made = toTask(spec, clock, started);
      const args = spec.args.map((arg) => toArgument(arg, refs, spec.mapped));
      const ref = spec.mapped ? made.map(...args) : made(...args);
      refs.push(ref.after(...spec.after.map((each) => refs[each]!)));
    }
    return refs;
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a random task takes any arguments.
type AnyTask = Task<any[], unknown>;

function toTask(spec: RandomTask, clock: FakeClock, started: (slug: string, mapIndex: number) => void): AnyTask {
  const { trigger, skipOnUpstreamSkip, retries, retryDelayMs, delayMs } = spec;
  const options = { trigger: triggers[trigger], skipOnUpstreamSkip, retries, retryDelayMs, timeoutMs: TIMEOUT_MS };
  return task(`t${spec.index}`, options, (...args: unknown[]) => {
    const { taskSlug, mapIndex, runCount, signal } = taskContext();
    started(taskSlug, mapIndex);
    const { times, hangs } = failureOf(spec, mapIndex);
    const end = () => {
      if (runCount > times) return returnOf(spec, args);
      if (hangs) return new Promise(() => {});
      throw new Error(`try ${runCount}`);
    };
    return delayMs === 0 ? end() : clock.sleep(delayMs, signal).then(end);
  }) as unknown as AnyTask;
}

// biome-ignore lint/suspicious/noExplicitAny: see AnyTask.
function toArgument(arg: RandomArgument, refs: readonly Ref<any>[], mapped: boolean): any {
  const flat = (index: number, flattened: boolean) => (flattened ? flatten(refs[index]!) : refs[index]!);
  if ("each" in arg) return flat(arg.each, arg.flat);
  if ("items" in arg) return arg.items.map((item) => ("task" in item ? refs[item.task]! : item.number));
  const whole = "whole" in arg ? flat(arg.whole, arg.flat) : arg.nested.map((each) => refs[each]!);
  return mapped ? unmapped(whole) : whole;
}
