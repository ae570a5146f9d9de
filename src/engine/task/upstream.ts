import { isMapped, isSkipped, isSuccessful, type State } from "../../core/state.js";
import type { TaskRun } from "./task-run.js";

/** States with what the default trigger and the skip rule ask of them, so that 10,000 children need not count them again. */
export interface StateGroup {
  readonly states: readonly State[];
  readonly allSuccessful: boolean;
  readonly anySkipped: boolean;
}

/** The upstream states of one task run. */
export interface UpstreamStates {
  /** For a child: those that its siblings stand under too. */
  readonly shared: StateGroup;
  readonly own: readonly State[];
}

/** One item of a flattened list, with the task run that it came from. */
export interface FlatItem {
  readonly value: unknown;
  readonly origin: TaskRun;
}

const NONE: readonly State[] = [];

export function groupStates(states: readonly State[]): StateGroup {
  return { states, allSuccessful: states.every(isSuccessful), anySkipped: states.some(isSkipped) };
}

/** The states of a finished task run as a downstream sees them: a Mapped one is its children. */
export function expandStates(runs: readonly TaskRun[]): State[] {
  return expandRuns(runs).map((each) => each.state!);
}

function expandRuns(runs: readonly TaskRun[]): TaskRun[] {
  const expanded: TaskRun[] = [];
  for (const run of runs) {
    if (!run.children) expanded.push(run);
    else for (const child of run.children) expanded.push(child);
  }
  return expanded;
}

/** What decides whether `run` may start. The values of flattened upstreams must be in memory. */
export function upstreamStates(run: TaskRun, tasks: readonly TaskRun[]): UpstreamStates {
  const { wholeUpstreams } = run.plan;
  const whole = () => groupStates(expandStates(wholeUpstreams.map((index) => tasks[index]!)));
  const { parent } = run;
  if (!parent) return { shared: whole(), own: run.isParent ? plainMappedStates(run, tasks) : NONE };
  parent.sharedStates ??= whole();
  return { shared: parent.sharedStates, own: childStates(run, parent, tasks) };
}

/** For a parent: the states of what it maps over, except where each child looks at its own. */
function plainMappedStates(run: TaskRun, tasks: readonly TaskRun[]): State[] {
  const states: State[] = [];
  for (const arg of run.plan.args) {
    if (arg.kind === "each" && !isMapped(tasks[arg.upstream]!.state!)) states.push(tasks[arg.upstream]!.state!);
  }
  return states;
}

function childStates(run: TaskRun, parent: TaskRun, tasks: readonly TaskRun[]): State[] {
  const runs: TaskRun[] = [];
  const { args, itemUpstreams, wholeUpstreams, repeatsUpstreams } = run.plan;
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at]!;
    if (arg.kind !== "each") continue;
    const upstream = tasks[arg.upstream]!;
    if (arg.flattened && isSuccessful(upstream.state!)) {
      runs.push(flatItems(parent, at, upstream)[run.mapIndex]?.origin ?? upstream);
    } else {
      runs.push(upstream.children?.[run.mapIndex] ?? upstream);
    }
  }
  const own = itemUpstreams?.[run.mapIndex];
  if (own) runs.push(...expandRuns(own.map((index) => tasks[index]!)));
  if (!repeatsUpstreams) return runs.map((each) => each.state!);
  // A trigger counts each upstream task run once, in however many arguments it stands.
  parent.sharedRuns ??= new Set(expandRuns(wholeUpstreams.map((index) => tasks[index]!)));
  const { sharedRuns } = parent;
  return [...new Set(runs)].filter((each) => !sharedRuns.has(each)).map((each) => each.state!);
}

/** The items of argument `at` of a mapped task that flattens it; worked out once for all children. */
export function flatItems(parent: TaskRun, at: number, upstream: TaskRun): readonly FlatItem[] {
  parent.flatItems ??= new Map();
  let items = parent.flatItems.get(at);
  if (!items) {
    items = upstream.children ? upstream.children.flatMap(unnest) : unnest(upstream);
    parent.flatItems.set(at, items);
  }
  return items;
}

/** An item that is no list stays as it is. */
function unnest(origin: TaskRun): FlatItem[] {
  const one = (value: unknown): FlatItem => ({ value, origin });
  if (!Array.isArray(origin.value)) return [one(origin.value)];
  // Of a child the value is one list; of a plain task it is the list of lists.
  return (origin.mapIndex < 0 ? origin.value.flat(1) : origin.value).map(one);
}
