import type { Reads } from "../../db/database.js";
import { waitingFlowRun } from "../../db/queries/claim.js";
import type { Engine } from "../../db/tables.js";
import { readLabelSlots, withSlots } from "../limits/label-slots.js";
import type { QueueAnswer } from "./queue.js";

/** The one run, when it is due and may begin. Its labels say which agents take it from the queue; who names it, has it. */
export async function readOneOfQueue(
  reads: Reads,
  { tenantId, engine, before }: { tenantId: string; engine: Engine | null; before: string },
  flowRunId: string,
): Promise<QueueAnswer> {
  const run = await waitingFlowRun(reads, tenantId, engine ?? "millrace", flowRunId);
  if (!run || run.due_at === null) return { ids: [], nextDueAt: null };
  if (run.due_at > before) return { ids: [], nextDueAt: run.due_at };
  const slots = await readLabelSlots(reads, tenantId);
  const isFree =
    slots === null ||
    slots.room(JSON.parse(run.labels) as string[]) > 0 ||
    (await withSlots(reads, [run.id])).has(run.id);
  return { ids: isFree ? [run.id] : [], nextDueAt: null };
}
