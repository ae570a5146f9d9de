import type { StateType } from "../../src/core/state.js";
import { failureOf, type RandomTask, returnOf, slugOf } from "./random-flow.js";

/** What must become of a task run, worked out without the engine: one task after the other, in the order of the flow. */
export interface Expected {
  name: string;
  type: StateType;
  value: unknown;
  children: Expected[] | undefined;
  /** The task runs that must be over before this one starts. */
  waitsFor: string[];
}

const SUCCESSES: StateType[] = ["Success", "Mapped", "Skipped"];
const good = (each: Expected) => SUCCESSES.includes(each.type);
const bad = (each: Expected) => ["Failed", "TimedOut", "TriggerFailed"].includes(each.type);
const expand = (each: Expected): Expected[] => each.children ?? [each];
const valueIn = (each: Expected): unknown => (each.children ? each.children.map((child) => child.value) : each.value);
const flat = (value: unknown): unknown => (Array.isArray(value) ? value.flat(1) : value);

const triggers: Record<RandomTask["trigger"], (upstream: Expected[]) => boolean> = {
  allSuccessful: (upstream) => upstream.every(good),
  allFailed: (upstream) => upstream.every(bad),
  allFinished: () => true,
  anySuccessful: (upstream) => upstream.length === 0 || upstream.some(good),
  anyFailed: (upstream) => upstream.length === 0 || upstream.some(bad),
};

/** @param skipped The tasks that stood Skipped before the run. */
export function expectedEnds(specs: readonly RandomTask[], skipped: ReadonlySet<number>): Expected[] {
  const done: Expected[] = [];
  for (const spec of specs) {
    const over = {
      name: slugOf(spec.index),
      type: "Skipped" as const,
      value: undefined,
      children: undefined,
      waitsFor: [],
    };
    done.push(skipped.has(spec.index) ? over : spec.mapped ? endMapped(spec, done) : endOne(spec, done, [], -1, []));
  }
  return done;
}

function wholeUpstreams(spec: RandomTask, done: readonly Expected[]): Expected[] {
  const whole = spec.args.flatMap((arg) => ("whole" in arg ? [arg.whole] : "nested" in arg ? arg.nested : []));
  return [...whole, ...spec.after].flatMap((index) => expand(done[index]!));
}

function endOne(
  spec: RandomTask,
  done: readonly Expected[],
  own: Expected[],
  mapIndex: number,
  items: unknown[],
): Expected {
  const upstream = [...wholeUpstreams(spec, done), ...own];
  const name = mapIndex < 0 ? slugOf(spec.index) : `${slugOf(spec.index)}[${mapIndex}]`;
  const end = (type: StateType, value: unknown = undefined): Expected => {
    return { name, type, value, children: undefined, waitsFor: upstream.map((each) => each.name) };
  };
  if (spec.skipOnUpstreamSkip && upstream.some((each) => each.type === "Skipped")) return end("Skipped");
  if (!triggers[spec.trigger](upstream)) return end("TriggerFailed");
  const { times, hangs } = failureOf(spec, mapIndex);
  if (times > spec.retries) return end(hangs ? "TimedOut" : "Failed");
  const args = spec.args.map((arg, at) => {
    if ("whole" in arg) return arg.flat ? flat(valueIn(done[arg.whole]!)) : valueIn(done[arg.whole]!);
    return "nested" in arg ? arg.nested.map((index) => valueIn(done[index]!)) : items[at];
  });
  return end("Success", returnOf(spec, args));
}

interface Item {
  value: unknown;
  upstream: Expected[];
}

/** The items of one mapped argument; undefined where the upstream did not succeed, null where it gave no list. */
function itemsOf(arg: RandomTask["args"][number], done: readonly Expected[]): Item[] | undefined | null {
  if ("items" in arg) {
    return arg.items.map((item) => {
      if ("number" in item) return { value: item.number, upstream: [] };
      return { value: valueIn(done[item.task]!), upstream: expand(done[item.task]!) };
    });
  }
  if (!("each" in arg)) return undefined;
  const upstream = done[arg.each]!;
  if (!good(upstream)) return undefined;
  if (!upstream.children) {
    if (!Array.isArray(upstream.value)) return null;
    return (arg.flat ? upstream.value.flat(1) : upstream.value).map((value) => ({ value, upstream: [upstream] }));
  }
  return upstream.children.flatMap((child) => {
    const values = arg.flat && Array.isArray(child.value) ? child.value : [child.value];
    return values.map((value) => ({ value, upstream: [child] }));
  });
}

function endMapped(spec: RandomTask, done: readonly Expected[]): Expected {
  const name = slugOf(spec.index);
  const each = spec.args.flatMap((arg) => ("each" in arg ? [done[arg.each]!] : []));
  const whole = wholeUpstreams(spec, done);
  const end = (type: StateType, children?: Expected[]): Expected => {
    return { name, type, value: undefined, children, waitsFor: [] };
  };
  const seen = [...whole, ...each.filter((upstream) => !upstream.children)];
  if (spec.skipOnUpstreamSkip && seen.some((upstream) => upstream.type === "Skipped")) return end("Skipped");
  const lists = spec.args.map((arg) => itemsOf(arg, done));
  if (lists.includes(null)) return end("Failed");
  const widths = lists.flatMap((list) => (list ? [list.length] : []));
  if (widths.length === 0) return end("Failed");
  const failed = each.filter((upstream) => !good(upstream));
  const children = Array.from({ length: Math.min(...widths) }, (_, index) => {
    const own = lists.flatMap((list) => list?.[index]?.upstream ?? []);
    const items = lists.map((list) => list?.[index]?.value);
    return endOne(spec, done, [...own, ...failed], index, items);
  });
  return end("Mapped", children);
}

/** How the whole flow run must end, and every task run by name. */
export function expectedFlowEnd(ends: readonly Expected[], specs: readonly RandomTask[]): StateType {
  const waitedFor = new Set<number>();
  for (const { args, after } of specs) {
    for (const index of after) waitedFor.add(index);
    for (const arg of args) {
      if ("whole" in arg) waitedFor.add(arg.whole);
      if ("each" in arg) waitedFor.add(arg.each);
      if ("nested" in arg) for (const index of arg.nested) waitedFor.add(index);
      if ("items" in arg) for (const item of arg.items) if ("task" in item) waitedFor.add(item.task);
    }
  }
  const last = ends.filter((_, index) => !waitedFor.has(index)).flatMap(expand);
  return last.some(bad) ? "Failed" : "Success";
}
