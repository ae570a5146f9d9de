import type { FlowDefinition } from "../core/flow-definition.js";
import { hashFlowSpec, toFlowSpec } from "../core/flow-spec.js";

/**
 * One hash for the tasks of a flow and how they hang together, without the text of functions and constants: in a process
 * that runs its author's module this is not the text of the bundle that its threads load.
 */
export function hashTasks(flow: FlowDefinition): string {
  const spec = toFlowSpec(flow);
  return hashFlowSpec({ ...spec, tasks: spec.tasks.map((each) => ({ ...each, bodyHash: "", constantsHash: "" })) });
}
