import { isTerminal, isType, type StateType } from "./state.js";

/** Why a state may not follow another, or null when it may. */
export type Refusal = string | null;

/**
 * The moves a task run may make. The engine asks before it reports, the Cloud asks before it writes; the Cloud has the
 * last word. A terminal state is never left. Null stands for a run that has no state yet.
 */
export function refuseTaskRunMove(from: StateType | null, to: StateType): Refusal {
  if (from === null) return null;
  // Prefect writes a cached result in two steps (section 1.7 of the protocol notes): it is the same success.
  if (from === "Success" && to === "Cached") return null;
  return isTerminal({ type: from }) ? `a task run that is ${from} stays so` : null;
}

/**
 * Is it a retry as Prefect's runner writes it: first the failure, then the Retrying? The failure was no end. Our own engine
 * reports the Retrying alone.
 */
export function isRetryInTwoSteps(from: StateType | null, to: StateType): boolean {
  return from !== null && isType(from, "Failed") && to === "Retrying";
}

/** The moves a flow run may make. See {@link refuseTaskRunMove}. */
export function refuseFlowRunMove(from: StateType | null, to: StateType): Refusal {
  if (from === null) return null;
  if (isTerminal({ type: from })) return `a flow run that is ${from} stays so`;
  if (to === "Mapped" || to === "Cached" || to === "Skipped" || to === "Looped") return `a flow run is never ${to}`;
  // A run that is being cancelled may still finish in any way, but it does not start again.
  if (from === "Cancelling" && !isTerminal({ type: to }) && to !== "Cancelling")
    return "the flow run is being cancelled";
  if (to === "Cancelling" && !(isType(from, "Running") || from === "Submitted"))
    return `a flow run that is ${from} is cancelled at once`;
  return null;
}
