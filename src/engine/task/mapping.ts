import { isSuccessful, makeState, type State } from "../../core/state.js";
import { takeBackChild } from "../rerun.js";
import { warnOfUnflattened } from "./flatten-warning.js";
import type { KnownTaskRuns } from "./task-run.js";
import { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import { flatItems } from "./upstream.js";

/**
 * How many children a mapped task gets: as many as its shortest list has items. An upstream that did not succeed does
 * not count; the children's triggers decide about it.
 * @returns the number, or as text why there is none
 */
export function mapWidth(parent: TaskRun, tasks: readonly TaskRun[]): number | string {
  let width = Number.POSITIVE_INFINITY;
  const { args } = parent.plan;
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at]!;
    if (arg.kind === "whole") continue;
    if (arg.kind === "items") {
      width = Math.min(width, arg.templates.length);
      continue;
    }
    const upstream = tasks[arg.upstream]!;
    if (!isSuccessful(upstream.state!)) continue;
    if (!upstream.children && !Array.isArray(upstream.value)) {
      const found = upstream.value === null ? "null" : typeof upstream.value;
      return `At least one upstream state has an unmappable result: "${upstream.plan.task.slug}" returned ${found}, not a list.`;
    }
    const length = arg.flattened
      ? flatItems(parent, at, upstream).length
      : (upstream.children ?? (upstream.value as unknown[])).length;
    width = Math.min(width, length);
  }
  return width === Number.POSITIVE_INFINITY ? "No upstream states can be mapped over." : width;
}

/** The state of a mapped task whose upstreams are decided: Mapped, or Failed where there is nothing to map over. */
export function mappedState(parent: TaskRun, around: Surroundings): State {
  const { tasks, timestamps } = around;
  const width = mapWidth(parent, tasks);
  const at = timestamps.now();
  for (const arg of parent.plan.args) {
    if (arg.kind !== "each" || !arg.flattened) continue;
    const upstream = tasks[arg.upstream]!;
    if (isSuccessful(upstream.state!)) warnOfUnflattened(upstream, around);
  }
  if (typeof width === "string") return makeState("Failed", width, { at });
  return makeState("Mapped", "Ready to proceed with mapping.", { at, mapCount: width });
}

/**
 * Makes the children of a Mapped parent and counts what each waits for: its own upstream child, and the references in its
 * own item. Children that an earlier run finished stay as they are.
 */
export function makeChildren(
  parent: TaskRun,
  width: number,
  tasks: readonly TaskRun[],
  known: KnownTaskRuns,
): TaskRun[] {
  const { plan } = parent;
  const mappedOver: (readonly TaskRun[])[] = [];
  for (const arg of plan.args) {
    const children = arg.kind === "each" && !arg.flattened ? tasks[arg.upstream]!.children : undefined;
    if (children) mappedOver.push(children);
  }
  const children: TaskRun[] = [];
  for (let index = 0; index < width; index += 1) {
    const child = new TaskRun(plan, parent, index, known.get(plan.task.slug, index));
    if (parent.unreported) takeBackChild(child);
    children.push(child);
    if (child.done) {
      child.complete = true;
      continue;
    }
    parent.openChildren += 1;
    for (const upstream of mappedOver) {
      const own = upstream[index];
      if (own) waitFor(child, own);
    }
    for (const upstream of plan.itemUpstreams?.[index] ?? []) waitFor(child, tasks[upstream]!);
  }
  parent.children = children;
  return children;
}

function waitFor(child: TaskRun, upstream: TaskRun): void {
  if (upstream.complete) return;
  child.waiting += 1;
  if (upstream.dependents) upstream.dependents.push(child);
  else upstream.dependents = [child];
}
