import { MillraceError } from "./errors.js";
import { type EdgeSpec, type FlowSpec, stableText, type TaskSpec } from "./flow-spec.js";
import { describeSchedule } from "./schedule/schedule.js";

/** One side of the comparison; `label` is what people read, for instance "the Cloud (version 3)". */
export interface SpecSide {
  label: string;
  spec: FlowSpec;
}

export interface SpecDifference {
  kind:
    | "added"
    | "removed"
    | "renamed"
    | "rewired"
    | "body changed"
    | "options changed"
    | "arguments changed"
    | "flow changed"
    | "schedule changed";
  /** The task on the second side, where it is there; "(flow)" for what belongs to no single task. */
  slug: string;
  /** What it says on the first side, and on the second. */
  before: string;
  after: string;
}

export interface DiffOptions {
  /** Compare the tasks' source text? False where one side was not built from the bundle. Default true. */
  bodies?: boolean;
}

/**
 * What changed from one spec to another, task by task; no rows when their hashes are equal.
 * A task that went while another with the same body came counts as renamed.
 */
export function diffSpecs(before: FlowSpec, after: FlowSpec, options: DiffOptions = {}): SpecDifference[] {
  const bodies = options.bodies ?? true;
  const old = new Map(before.tasks.map((each) => [each.slug, each]));
  const now = new Map(after.tasks.map((each) => [each.slug, each]));
  const removed = before.tasks.filter((each) => !now.has(each.slug));
  const added = after.tasks.filter((each) => !old.has(each.slug));
  const renamed = pairRenamed(removed, added, bodies);
  const rename = new Map(renamed.map(([from, to]) => [from.slug, to.slug]));

  const rows: SpecDifference[] = [];
  for (const [from, to] of renamed) rows.push({ kind: "renamed", slug: to.slug, before: from.slug, after: to.slug });
  for (const each of removed)
    if (!rename.has(each.slug)) rows.push({ kind: "removed", slug: each.slug, before: each.name, after: "–" });
  const renamedTo = new Set(rename.values());
  for (const each of added)
    if (!renamedTo.has(each.slug)) rows.push({ kind: "added", slug: each.slug, before: "–", after: each.name });

  for (const each of after.tasks) {
    const counterpart = old.get(each.slug);
    if (counterpart) rows.push(...diffTask(counterpart, each, { bodies, ids: before.name === after.name }));
  }
  rows.push(...diffEdges(before, after, rename));
  rows.push(...diffFlow(before, after, rename, rows));
  return rows;
}

function pairRenamed(
  removed: readonly TaskSpec[],
  added: readonly TaskSpec[],
  bodies: boolean,
): [TaskSpec, TaskSpec][] {
  // Without bodies the options have to tell which is which.
  const likeness = ({ kind, constantsHash, bodyHash, ...rest }: TaskSpec) =>
    JSON.stringify([kind, constantsHash, bodies ? bodyHash : taskOptions.map((option) => rest[option])]);
  const free = Map.groupBy(added, likeness);
  return removed.flatMap((from) => {
    const to = free.get(likeness(from))?.shift();
    return to ? [[from, to] as [TaskSpec, TaskSpec]] : [];
  });
}

const taskOptions = [
  "tags",
  "retries",
  "retryDelayMs",
  "timeoutMs",
  "trigger",
  "skipOnUpstreamSkip",
  "mapped",
  "cacheForMs",
  "cacheKey",
  "cacheValidator",
  "target",
  "checkpoint",
  "result",
] as const;

function diffTask(before: TaskSpec, after: TaskSpec, compare: { bodies: boolean; ids: boolean }): SpecDifference[] {
  const rows: SpecDifference[] = [];
  if (compare.bodies && before.bodyHash !== after.bodyHash) {
    rows.push({ kind: "body changed", slug: after.slug, before: short(before.bodyHash), after: short(after.bodyHash) });
  }
  if (before.constantsHash !== after.constantsHash) {
    rows.push({
      kind: "arguments changed",
      slug: after.slug,
      before: short(before.constantsHash),
      after: short(after.constantsHash),
    });
  }
  const names = [...(compare.ids ? (["id"] as const) : []), "name", "kind", ...taskOptions] as const;
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  if (changed.length > 0) {
    const text = (side: TaskSpec) => changed.map((name) => `${name} ${JSON.stringify(side[name])}`).join(", ");
    rows.push({ kind: "options changed", slug: after.slug, before: text(before), after: text(after) });
  }
  return rows;
}

function diffEdges(before: FlowSpec, after: FlowSpec, rename: ReadonlyMap<string, string>): SpecDifference[] {
  const newName = (slug: string) => rename.get(slug) ?? slug;
  const was = edgesInto(before.edges, newName);
  const is = edgesInto(after.edges, (slug) => slug);
  const existed = new Set(before.tasks.map((each) => newName(each.slug)));
  return after.tasks.flatMap(({ slug }): SpecDifference[] => {
    const [old, now] = [was.get(slug) ?? "no upstream", is.get(slug) ?? "no upstream"];
    return !existed.has(slug) || old === now ? [] : [{ kind: "rewired", slug, before: old, after: now }];
  });
}

/** For each task its edges as text, in one order. */
function edgesInto(edges: readonly EdgeSpec[], newName: (slug: string) => string): Map<string, string> {
  const into = Map.groupBy(edges, (edge) => newName(edge.downstream));
  const text = (each: readonly EdgeSpec[]) => each.map((edge) => describeEdge(newName(edge.upstream), edge)).sort();
  return new Map([...into].map(([slug, each]) => [slug, text(each).join(", ")]));
}

/** What belongs to no single task. Which tasks decide the run mostly follows from the other rows, so it is said only where they say nothing. */
function diffFlow(
  before: FlowSpec,
  after: FlowSpec,
  rename: ReadonlyMap<string, string>,
  others: readonly SpecDifference[],
): SpecDifference[] {
  const row = (was: string, is: string): SpecDifference[] =>
    was === is ? [] : [{ kind: "flow changed", slug: "(flow)", before: was, after: is }];
  const name = row(`name ${before.name}`, `name ${after.name}`);
  if (name.length + others.length > 0) return name;
  const decisive = (slugs: readonly string[]) => `reference tasks ${[...slugs].sort().join(", ")}`;
  return row(decisive(before.referenceTasks.map((slug) => rename.get(slug) ?? slug)), decisive(after.referenceTasks));
}

/**
 * A row when the two have other schedules. By itself, for a schedule is no part of what a run compares: it decides when
 * runs are made, not what they do.
 */
export function diffSchedules(before: FlowSpec, after: FlowSpec): SpecDifference[] {
  const [was, is] = [before, after].map(({ schedule }) => describeSchedule(schedule ?? null));
  // The text is cut for people; what decides is the whole.
  if (stableText(before.schedule ?? null) === stableText(after.schedule ?? null)) return [];
  return [{ kind: "schedule changed", slug: "(flow)", before: was!, after: is! }];
}

function describeEdge(upstream: string, edge: EdgeSpec): string {
  const how = edge.key === null ? "(order)" : `[${edge.key}]`;
  return `${upstream} → ${how}${edge.mapped ? " mapped" : ""}${edge.flattened ? " flattened" : ""}`;
}

const short = (hash: string): string => hash.slice(0, 10);

/** The table that people see; columns are as wide as their longest cell. */
export function renderDiff(rows: readonly SpecDifference[], before: string, after: string): string {
  const cells = [["change", "task", before, after], ...rows.map((row) => [row.kind, row.slug, row.before, row.after])];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The error that ends a flow run before its first task, or a deploy, when two sides differ. */
export function taskIdsChanged(
  flowName: string,
  before: SpecSide,
  after: SpecSide,
  rows: readonly SpecDifference[],
  hint: string,
): MillraceError {
  const table = renderDiff(rows, before.label, after.label);
  return new MillraceError(
    "TASK_IDS_CHANGED",
    `Flow "${flowName}" is not the same in ${before.label} and ${after.label}:\n${table}`,
    {
      hint,
      details: { before: before.label, after: after.label, rows },
    },
  );
}
