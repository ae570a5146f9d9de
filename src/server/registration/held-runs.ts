import { heldRunsOf } from "../../db/queries/flow-groups.js";
import type { Ledger } from "../states/ledger.js";

/** Before runs of these flows are deleted: the agents that hold some of them are told to stop, when it is done. */
export async function stopHeldRuns(ledger: Ledger, flowIds: readonly string[]): Promise<void> {
  for (const { id, lease_agent_id: agentId } of await heldRunsOf(ledger.transaction, flowIds)) {
    ledger.effects.push({ kind: "stop", agentId, flowRunId: id });
  }
}
