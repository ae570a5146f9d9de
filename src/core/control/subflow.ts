import type { FlowDefinition } from "../flow-definition.js";
import type { State } from "../state.js";

/** A flow run that a task asks for. */
export interface SubflowCall {
  readonly flowName: string;
  /** The flow itself, where its author gave it: a run without a Cloud has nothing else. */
  readonly definition: FlowDefinition | undefined;
  readonly project: string | null;
  /** Plain JSON. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly runName: string | null;
  /** Null: the flow's own. */
  readonly labels: readonly string[] | null;
  /** Two calls with one key make one flow run. */
  readonly idempotencyKey: string;
}

/** Makes flow runs for tasks, and tells how they end. Used by `runFlow`. */
export interface SubflowPort {
  /** @returns the flow run's id @throws FLOW_NOT_DEPLOYED, FLOW_NOT_HERE */
  create(call: SubflowCall): Promise<string>;
  /** The flow run's final state, or null when it has none after `waitMs` milliseconds. */
  end(flowRunId: string, waitMs: number): Promise<State | null>;
  cancel(flowRunId: string): Promise<void>;
}

/** Where a running task's context keeps the port: out of its author's sight, and on the flow run's own thread only. */
export const subflowPort: unique symbol = Symbol("millrace.subflows");

export interface HoldsSubflowPort {
  readonly [subflowPort]: SubflowPort;
}
