import { deleteFlowRuns, waitingRunsOfFlow } from "../../db/queries/flow-runs.js";
import { archiveFlow } from "../../db/queries/flows.js";
import { moveFlowRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readFlowRuns } from "../states/ledger.js";

/** Runs of an archived version that have not begun are not begun any more; those under way go on. */
export async function archiveVersion(ledger: Ledger, flowId: string): Promise<void> {
  await archiveFlow(ledger.transaction, flowId, ledger.now);
  const waiting = await waitingRunsOfFlow(ledger.transaction, flowId);
  const asked = waiting.filter((run) => run.auto_scheduled === 0).map((run) => run.id);
  await deleteFlowRuns(
    ledger.transaction,
    waiting.filter((run) => run.auto_scheduled === 1).map((run) => run.id),
  );
  await readFlowRuns(ledger, asked);
  const state = { type: "Cancelled", message: `Flow ${flowId} was archived.` };
  for (const id of asked) {
    const run = ledger.flowRuns.get(id);
    if (run) orThrow(await moveFlowRun(ledger, run, { state, at: ledger.now }));
  }
}
