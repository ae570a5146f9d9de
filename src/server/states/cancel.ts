import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { moveFlowRun, orThrow } from "./apply-state.js";
import type { Ledger } from "./ledger.js";

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
