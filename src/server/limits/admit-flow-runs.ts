import { MillraceError } from "../../core/errors.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { type SlotRow, slotsOfRuns } from "../../db/queries/limits.js";
import { enterQueued } from "../states/apply-state.js";
import type { Ledger } from "../states/ledger.js";
import { whyQueued } from "./admit-task-runs.js";
import { ASKS_AGAIN_MS, later } from "./asks-again.js";
import type { LimitMoves } from "./moves.js";
import type { SlotBook } from "./slot-book.js";

/**
 * Flow runs that are about to be under way get a slot of each of their limited labels. Who cannot have them: a claim of ours
 * does not come so far, as the queue shows no such run; Prefect's agent is refused its Submitted, and finds the run in the
 * queue when there is a slot; Prefect's runner is Queued, and asks again.
 * @throws STATE_REFUSED
 */
export async function admitFlowRuns(ledger: Ledger, book: SlotBook, moves: LimitMoves): Promise<void> {
  if (book.names("flow_label").length === 0) return;
  const wanting = [...moves.flows.keys()]
    .filter((run) => (run.state === "Submitted" || run.state === "Running") && !moves.handedBack.has(run))
    .map((run) => ({ run, labels: limitedLabels(run, book) }))
    .filter(({ labels }) => labels.length > 0);
  if (wanting.length === 0) return;
  await book.open("flow_label");
  const flowRunIds = wanting.map(({ run }) => run.id);
  const owned = await slotsOfRuns(ledger.transaction, flowRunIds, flowRunIds);
  for (const { run, labels } of wanting) {
    const has = (label: string) => owned.some((slot) => slot.run_id === run.id && slot.name === label);
    // Those that are limited still, now that the book is open.
    const limited = labels.filter((name) => book.has({ kind: "flow_label", name }));
    const missing = limited.filter((label) => !has(label));
    const full = missing.filter((name) => book.free({ kind: "flow_label", name }) <= 0);
    // Whom an agent holds the queue has let through.
    if (full.length === 0 || run.lease_agent_id !== null) await book.take(missing.map((label) => slotOf(run, label)));
    else if (run.state === "Submitted") throw refusedSubmit(run, full, book);
    else {
      const facts = { message: whyQueued("label", full, book), startAt: later(ledger, ASKS_AGAIN_MS) };
      enterQueued(ledger, run, moves.flows.get(run)!, facts);
      ledger.queued.set(run.id, run.id);
    }
  }
}

/** The labels of a flow run that are limited. */
export function limitedLabels(run: { labels: string }, book: Pick<SlotBook, "has">): string[] {
  return [...new Set(JSON.parse(run.labels) as string[])].filter((name) => book.has({ kind: "flow_label", name }));
}

function refusedSubmit(run: FlowRunRow, full: readonly string[], book: SlotBook): MillraceError {
  // Prefect's agent takes these first words for "another time", and does not fail the run.
  return new MillraceError(
    "STATE_REFUSED",
    `State update failed for flow run ${run.id}: it waits. ${whyQueued("label", full, book)}`,
    { hint: `\`millrace why ${run.id}\` tells who has the slots.` },
  );
}

function slotOf(run: FlowRunRow, label: string): SlotRow {
  return { kind: "flow_label", name: label, run_id: run.id, flow_run_id: run.id };
}
