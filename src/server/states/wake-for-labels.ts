import { dueFlowRuns, dueRunningFlowRuns, waitingLabelSets } from "../../db/queries/claim.js";
import { loadFlowGroupIds } from "../../db/queries/limits.js";
import type { Ledger } from "./ledger.js";

/**
 * Slots of these labels came free, or a limit was changed: wakes agents of ours for due runs that have waited for one, as
 * many as there are slots. Prefect's agents ask by themselves.
 */
export async function wakeForLabels(
  ledger: Ledger,
  labels: readonly string[],
  freeOf: (label: string) => number,
): Promise<void> {
  const { transaction, tenantId, now } = ledger;
  const open = labels.filter((label) => freeOf(label) > 0);
  if (open.length === 0) return;
  const concerned = (set: string) => (JSON.parse(set) as string[]).some((label) => open.includes(label));
  const ids: string[] = [];
  for (const set of await waitingLabelSets(transaction, tenantId, "millrace")) {
    if (!concerned(set)) continue;
    const limit = Math.min(
      MAX_WOKEN,
      ...(JSON.parse(set) as string[]).filter((each) => open.includes(each)).map(freeOf),
    );
    const question = { tenantId, engine: "millrace", labels: set, before: now, flowGroupId: null, limit } as const;
    ids.push(...(await dueFlowRuns(transaction, question)).map(({ id }) => id));
  }
  for (const row of await dueRunningFlowRuns(transaction, tenantId, "millrace", now)) {
    if (concerned(row.labels)) ids.push(row.id);
  }
  if (ids.length === 0) return;
  for (const run of await loadFlowGroupIds(transaction, ids)) {
    const runLabels = JSON.parse(run.labels) as string[];
    ledger.effects.push({ kind: "due", tenantId, labels: runLabels, flowGroupId: run.flow_group_id, dueAt: now });
  }
}

/** More agents than this are not woken at once; those that are find the rest. */
const MAX_WOKEN = 100;
