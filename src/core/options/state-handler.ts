import type { State } from "../state.js";

/** A move from one state to another, as handlers are told of it. */
export interface StateChange {
  /** The state before; for the first one a Pending that nobody reported. */
  readonly from: State;
  readonly to: State;
  readonly flowName: string;
  readonly flowRunId: string;
  /** Null for the flow run's own. */
  readonly taskSlug: string | null;
  readonly taskRunId: string | null;
  /** -1 when not mapped. */
  readonly mapIndex: number;
}

/**
 * Told of every move before it counts. Returns the state that is to count in its place, or nothing. It may wait, and it
 * may throw a signal, which is the state then; any other error makes it Failed.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that only looks returns nothing, and an arrow that calls something returns void.
export type StateHandler = (change: StateChange) => State | undefined | void | Promise<State | undefined | void>;
