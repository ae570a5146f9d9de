import { heldRunsOf } from "../../db/queries/flow-groups.js";
import { slotNamesUnderFlows } from "../../db/queries/limits.js";
import type { Ledger } from "../states/ledger.js";

/**
 * Before runs of these flows are deleted: when it is done, the agents that hold some of them are told to stop, and whoever
 * waits for their slots gets them.
 */
export async function letGoOfRuns(ledger: Ledger, flowIds: readonly string[]): Promise<void> {
  for (const { id, lease_agent_id: agentId } of await heldRunsOf(ledger.transaction, flowIds)) {
    ledger.effects.push({ kind: "stop", agentId, flowRunId: id });
  }
  ledger.limitMoves.changed.push(...(await slotNamesUnderFlows(ledger.transaction, flowIds)));
}
