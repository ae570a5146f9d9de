import { MillraceError } from "./errors.js";
import type { EdgeSpec, FlowSpec, TaskSpec } from "./flow-spec.js";

/** One side of the comparison; `label` is what people read, for instance "the Cloud (version 3)". */
export interface SpecSide {
  label: string;
  spec: FlowSpec;
}

export interface SpecDifference {
  kind: "added" | "removed" | "renamed" | "rewired" | "body changed" | "options changed" | "arguments changed";
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
 * What changed from one spec to another, task by task.
 * A task that went while another with the same body came counts as renamed.
 */
export function diffSpecs(before: FlowSpec, after: FlowSpec, options: DiffOptions = {}): SpecDifference[] {
  const bodies = options.bodies ?? true;
  const old = new Map(before.tasks.map((each) => [each.slug, each]));
  const now = new Map(after.tasks.map((each) => [each.slug, each]));
  const removed = before.tasks.filter((each) => !now.has(each.slug));
  const added = after.tasks.filter((each) => !old.has(each.slug));
  const renamed = pairRenamed(removed, added);
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
    if (counterpart) rows.push(...diffTask(counterpart, each, bodies));
  }
  rows.push(...diffEdges(before, after, rename));
  return rows;
}

function pairRenamed(removed: readonly TaskSpec[], added: readonly TaskSpec[]): [TaskSpec, TaskSpec][] {
  const free = [...added];
  const pairs: [TaskSpec, TaskSpec][] = [];
  for (const from of removed) {
    const at = free.findIndex(
      (to) => to.kind === from.kind && to.bodyHash === from.bodyHash && to.constantsHash === from.constantsHash,
    );
    if (at >= 0) pairs.push([from, free.splice(at, 1)[0]!]);
  }
  return pairs;
}

function diffTask(before: TaskSpec, after: TaskSpec, bodies: boolean): SpecDifference[] {
  const rows: SpecDifference[] = [];
  if (bodies && before.bodyHash !== after.bodyHash) {
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
  const names = [
    "name",
    "kind",
    "tags",
    "retries",
    "retryDelayMs",
    "timeoutMs",
    "trigger",
    "skipOnUpstreamSkip",
    "mapped",
  ] as const;
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  if (changed.length > 0) {
    const text = (side: TaskSpec) => changed.map((name) => `${name} ${JSON.stringify(side[name])}`).join(", ");
    rows.push({ kind: "options changed", slug: after.slug, before: text(before), after: text(after) });
  }
  return rows;
}

function diffEdges(before: FlowSpec, after: FlowSpec, rename: ReadonlyMap<string, string>): SpecDifference[] {
  const into = (edges: readonly EdgeSpec[], slug: string, names?: ReadonlyMap<string, string>) =>
    edges
      .filter((edge) => (names?.get(edge.downstream) ?? edge.downstream) === slug)
      .map((edge) => describeEdge(names?.get(edge.upstream) ?? edge.upstream, edge))
      .sort()
      .join(", ");
  const rows: SpecDifference[] = [];
  const existed = new Set(before.tasks.map((each) => rename.get(each.slug) ?? each.slug));
  for (const { slug } of after.tasks) {
    if (!existed.has(slug)) continue;
    const was = into(before.edges, slug, rename);
    const is = into(after.edges, slug);
    if (was !== is) rows.push({ kind: "rewired", slug, before: was || "no upstream", after: is || "no upstream" });
  }
  return rows;
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
