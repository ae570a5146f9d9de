import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { moveFlowRun, orThrow } from "./apply-state.js";
import type { Ledger } from "./ledger.js";

/**
 * Ends a run of Prefect's that was to be cancelled so long ago, and has been silent since, because it is asked for again: where
 * heartbeats are off for its flow group, no service ever takes it for dead, and a person has to.
 * @returns false, and nothing is done, when the run is not Cancelling, or its process may still be at it
 */
export async function endSilentCancel(ledger: Ledger, run: FlowRunRow, silentAfterMs: number): Promise<boolean> {
  if (run.engine !== "prefect" || run.lease_agent_id !== null || run.state !== "Cancelling") return false;
  const since = [run.state_timestamp ?? "", run.heartbeat ?? ""].sort().at(-1)!;
  if (Date.parse(ledger.now) - Date.parse(since) < silentAfterMs) return false;
  const heard =
    run.heartbeat === null ? "its process was never heard of" : `no heartbeat of its process since ${run.heartbeat}`;
  return closeCancelled(ledger, run, `asked for again, ${heard}`);
}

/**
 * Ends a run that is being cancelled and that nobody runs any more: its lease has ended, or Prefect's heartbeat.
 * @param why One clause that names who fell silent and since when, for instance `no heartbeat since …`.
 * @returns false, and nothing is done, when the run is not Cancelling (any more)
 */
export async function closeCancelled(ledger: Ledger, run: FlowRunRow, why: string): Promise<boolean> {
  if (run.state !== "Cancelling") return false;
  const state = { type: "Cancelled", message: `Flow run is cancelled: ${why}` };
  orThrow(await moveFlowRun(ledger, run, { state, at: ledger.now }));
  return true;
}
