import type { FlowDefinition, FlowTask } from "../core/flow-definition.js";
import { type FlowSpec, toFlowSpec } from "../core/flow-spec.js";
import { isReference } from "../core/reference.js";
import { diffSpecs, taskIdsChanged } from "../core/spec-diff.js";
import { NOT_DETERMINISTIC } from "../execute/check-task-ids.js";

/**
 * Is the flow in this process the one that its module defines when it is loaded afresh?
 * Source text is left out: here it stands as the author wrote it, there as the bundler did.
 * @throws TASK_IDS_CHANGED
 */
export function checkSameFlow(flow: FlowDefinition, afresh: FlowSpec): void {
  const here = toFlowSpec(flow);
  const withCode = new Set(flow.tasks.filter(hasCodeInArguments).map((each) => each.slug));
  const rows = diffSpecs(here, afresh, { bodies: false }).filter(
    (row) => row.kind !== "arguments changed" || !withCode.has(row.slug),
  );
  if (rows.length === 0) return;
  throw taskIdsChanged(
    flow.name,
    { label: "this process", spec: here },
    { label: "the saved flow, loaded afresh", spec: afresh },
    rows,
    `Either the flow was made again, differently, after its module was loaded, or its module was edited since. ${NOT_DETERMINISTIC}`,
  );
}

/** Do the task's constants hold a function or an instance of a class? Their text and names differ in a bundle. */
function hasCodeInArguments({ args }: FlowTask): boolean {
  return hasCode(args, new Set());
}

function hasCode(value: unknown, seen: Set<unknown>): boolean {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null || isReference(value) || seen.has(value)) return false;
  seen.add(value);
  if (value instanceof Map) return [...value].some((entry) => hasCode(entry, seen));
  if (value instanceof Set) return [...value].some((item) => hasCode(item, seen));
  const maker: unknown = value.constructor;
  const isOwnClass =
    typeof maker === "function" && !/\{ \[native code\] \}$/.test(Function.prototype.toString.call(maker));
  return isOwnClass || Object.values(value).some((item) => hasCode(item, seen));
}
