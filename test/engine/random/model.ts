import type { StateType } from "../../../src/core/state.js";
import {
  type Each,
  type Given,
  itemTasks,
  lower,
  type PlainFlow,
  type PlainTask,
  type Scripted,
  valuesOf,
} from "./lower.js";
import type { FlowSpec, Script, TriggerSpec } from "./spec.js";
import { FAIL_VALUE, returnOf, SUCCESS_VALUE, setbacksOf, TRIGGER_VALUE } from "./values.js";

/*
 * What must become of a flow, worked out without the engine: one task after the other, no clock and no queue. Written from
 * sections 3.3 to 3.7 of the protocol notes.
 */

/** What must become of a task run. */
export interface Expected {
  readonly name: string;
  readonly type: StateType;
  readonly value: unknown;
  readonly children: readonly Expected[] | undefined;
  /** The task runs that must be over before its function begins. */
  readonly waitsFor: readonly string[];
}

export interface ExpectedFlow {
  readonly flow: PlainFlow;
  readonly type: StateType;
  /** Every task run by name, children included. */
  readonly runs: ReadonlyMap<string, Expected>;
  /** The values of the flow's output. */
  readonly output: readonly unknown[];
}

const SUCCESSES: readonly StateType[] = ["Success", "Cached", "Mapped", "Skipped"];
const FAILURES: readonly StateType[] = ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed"];
const good = ({ type }: Expected) => SUCCESSES.includes(type);
const bad = ({ type }: Expected) => FAILURES.includes(type);
const skipped = ({ type }: Expected) => type === "Skipped";
const expand = (each: Expected): readonly Expected[] => each.children ?? [each];
const valueIn = (each: Expected): unknown => (each.children ? each.children.map((child) => child.value) : each.value);
const unnested = (value: unknown): unknown => (Array.isArray(value) ? value.flat(1) : value);

/** A random flow may grow by flatten() from map to map; such giants show nothing new. */
export const MOST_TASK_RUNS = 1_500;

/** Undefined for a flow with too many task runs. */
export function expectedEnds(spec: FlowSpec): ExpectedFlow | undefined {
  const flow = lower(spec);
  const done: Expected[] = [];
  const runs = new Map<string, Expected>();
  for (const task of flow.tasks) {
    const end = task.over.length > 0 ? endMapped(task, done) : endOne(task, done, { mapIndex: -1, own: [], items: [] });
    if (end === undefined) return undefined;
    done.push(end);
    for (const each of [end, ...(end.children ?? [])]) runs.set(each.name, each);
    if (runs.size > MOST_TASK_RUNS) return undefined;
  }
  const deciding = flow.referenceTasks.flatMap((each) => expand(done[each]!));
  const output = flow.output.map((each) => valueIn(done[each]!));
  return { flow, type: deciding.some(bad) ? "Failed" : "Success", runs, output };
}

function wholeUpstreams(task: PlainTask, done: readonly Expected[]): Expected[] {
  return [...new Set([...valuesOf(task), ...task.after])].flatMap((index) => expand(done[index]!));
}

/** What child `mapIndex` has for itself; -1 for a task that is not mapped. */
interface Item {
  readonly mapIndex: number;
  readonly own: readonly Expected[];
  readonly items: readonly unknown[];
}

function endOne(task: PlainTask, done: readonly Expected[], { mapIndex, own, items }: Item): Expected {
  const upstream = [...new Set([...wholeUpstreams(task, done), ...own])];
  const name = mapIndex < 0 ? task.name : `${task.name}[${mapIndex}]`;
  const waitsFor = upstream.map((each) => each.name);
  const end = ({ type, value }: End): Expected => ({ name, type, value, children: undefined, waitsFor });
  if (task.skipOnUpstreamSkip && upstream.some(skipped)) return end({ type: "Skipped" });
  const stopped = stoppedBy(task.trigger, upstream);
  if (stopped) return end(stopped);
  const args = [...items, ...task.args.map((each) => fill(each, done))];
  const ran = endOfRun(task, mapIndex, args);
  return end(ran.type === "Success" && task.cached ? { ...ran, type: "Cached" } : ran);
}

function fill(given: Given, done: readonly Expected[]): unknown {
  // The flow hands lists over inside an object.
  if (Array.isArray(given)) return { list: given.map((each) => fill(each, done)) };
  if ("value" in given) return given.value;
  const { task, flat } = given as { task: number; flat: boolean };
  return flat ? unnested(valueIn(done[task]!)) : valueIn(done[task]!);
}

interface End {
  readonly type: StateType;
  readonly value?: unknown;
}

/** How a task ends that its trigger does not let start. */
function stoppedBy(trigger: PlainTask["trigger"], upstream: readonly Expected[]): End | undefined {
  const passes = (holds: boolean): End | undefined => (holds ? undefined : { type: "TriggerFailed" });
  const [first, ...others] = upstream;
  if (trigger === "cleans up") return good(first!) && !skipped(first!) ? undefined : { type: "Skipped" };
  if (trigger === "branch is done") return skipped(first!) ? { type: "Skipped" } : passes(others.every(good));
  if ("own" in trigger) return stoppedByOwn(trigger.own, upstream.length);
  switch (trigger.rule) {
    case "allSuccessful":
      return passes(upstream.every(good));
    case "allFailed":
      return passes(upstream.every(bad));
    case "anySuccessful":
      return passes(upstream.length === 0 || upstream.some(good));
    case "anyFailed":
      return passes(upstream.length === 0 || upstream.some(bad));
    case "notAllSkipped":
      return upstream.every(skipped) ? { type: "Skipped" } : passes(upstream.every(good));
    case "someSuccessful":
      return passes(someHold(upstream, good, trigger));
    case "someFailed":
      return passes(someHold(upstream, bad, trigger));
    default:
      return undefined;
  }
}

function someHold(
  upstream: readonly Expected[],
  holds: (each: Expected) => boolean,
  { atLeast = 0, atMost = upstream.length }: { atLeast?: number; atMost?: number },
): boolean {
  const of = (bound: number) => (bound < 1 ? bound * upstream.length : bound);
  const count = upstream.filter(holds).length;
  return upstream.length === 0 || (count >= of(atLeast) && count <= of(atMost));
}

function stoppedByOwn(own: Extract<TriggerSpec, { own: string }>["own"], count: number): End | undefined {
  if (own === "skips") return { type: "Skipped" };
  if (own === "fails") return { type: "Failed", value: TRIGGER_VALUE };
  if (own === "succeeds") return { type: "Success", value: TRIGGER_VALUE };
  return own === "is even" && count % 2 === 0 ? undefined : { type: "TriggerFailed" };
}

function endOfRun({ does }: PlainTask, mapIndex: number, args: readonly unknown[]): End {
  switch (does.kind) {
    case "script":
      return endOfScript(does.spec, does.spec.scripts[(mapIndex + 1) % does.spec.scripts.length]!, args);
    case "gate":
      return { type: does.opens(args[0]) ? "Success" : "Skipped" };
    case "first":
      return { type: "Success", value: args.find((each) => each !== undefined) };
    case "same":
      return { type: "Success", value: args[0] };
    case "nothing":
      return { type: does.fails ? "Failed" : "Success" };
  }
}

function endOfScript(spec: Scripted, script: Script, args: readonly unknown[]): End {
  // Of more set-backs than retries the last one is the end, in the first round already.
  if (setbacksOf(script, spec.retries) === Number.POSITIVE_INFINITY) {
    return { type: script.setback === "hangs" ? "TimedOut" : "Failed" };
  }
  let value: unknown;
  for (let round = 1; round <= script.rounds + 1; round += 1) value = returnOf(spec, args, round, value);
  switch (script.final) {
    case "throws":
    case "fails":
      return { type: "Failed" };
    case "fails with a value":
      return { type: "Failed", value: FAIL_VALUE };
    case "hangs":
      return { type: "TimedOut" };
    case "skips":
      return { type: "Skipped" };
    case "succeeds":
      return { type: "Success", value: SUCCESS_VALUE };
    case "is not valid":
      return { type: "ValidationFailed" };
    case "fails its trigger":
      return { type: "TriggerFailed" };
    default:
      return { type: "Success", value };
  }
}

interface ListItem {
  readonly value: unknown;
  readonly upstream: readonly Expected[];
}

/** What there is to map over; "failed" where the upstream did not succeed, "no list" where it gave none. */
function itemsOf(each: Each, done: readonly Expected[]): ListItem[] | "failed" | "no list" {
  if ("items" in each) {
    return each.items.map((given) => {
      return { value: fill(given, done), upstream: itemTasks(given).flatMap((index) => expand(done[index]!)) };
    });
  }
  const upstream = done[each.task]!;
  if (!good(upstream)) return "failed";
  if (!upstream.children) {
    if (!Array.isArray(upstream.value)) return "no list";
    const values = each.flat ? (upstream.value.flat(1) as unknown[]) : (upstream.value as unknown[]);
    return values.map((value) => ({ value, upstream: [upstream] }));
  }
  return upstream.children.flatMap((child) => {
    const values = each.flat && Array.isArray(child.value) ? (child.value as unknown[]) : [child.value];
    return values.map((value) => ({ value, upstream: [child] }));
  });
}

/** Undefined when there are too many children. */
function endMapped(task: PlainTask, done: readonly Expected[]): Expected | undefined {
  const over = task.over.flatMap((each) => ("task" in each ? [done[each.task]!] : []));
  const end = (type: StateType, children?: Expected[]): Expected => {
    return { name: task.name, type, value: undefined, children, waitsFor: [] };
  };
  const seen = [...wholeUpstreams(task, done), ...over.filter((upstream) => !upstream.children)];
  if (task.skipOnUpstreamSkip && seen.some(skipped)) return end("Skipped");
  const lists = task.over.map((each) => itemsOf(each, done));
  if (lists.includes("no list")) return end("Failed");
  const found = lists.filter((each) => typeof each !== "string");
  if (found.length === 0) return end("Failed");
  const width = Math.min(...found.map((each) => each.length));
  if (width > MOST_TASK_RUNS) return undefined;
  const failed = over.filter((upstream) => !good(upstream));
  const children = Array.from({ length: width }, (_, mapIndex) => {
    const own = [...found.flatMap((list) => list[mapIndex]!.upstream), ...failed];
    const items = lists.map((list) => (typeof list === "string" ? undefined : list[mapIndex]!.value));
    return endOne(task, done, { mapIndex, own, items });
  });
  return end("Mapped", children);
}
