import { slotLines } from "../../db/queries/limits.js";
import type { ServerParts } from "../parts.js";
import { withLedger } from "../states/ledger.js";

/**
 * Gives slots that are free to those that stand in line for them. Mostly there are none: who gives a slot up gives it on. But
 * one that was offered to a run which no agent takes, or that came free while the next in line was being changed, would
 * stay free until somebody else leaves.
 */
export async function lookThroughLines(parts: ServerParts): Promise<void> {
  const byTenant = Map.groupBy(await slotLines(parts.database), (line) => line.tenant_id);
  for (const [tenantId, lines] of byTenant) {
    await withLedger(parts, { tenantId }, async ({ limitMoves }) => {
      for (const { name } of lines) limitMoves.changed.push({ kind: "task_tag", name });
    });
  }
}
