import { isTerminal, isType, type StateType } from "../../core/state.js";
import {
  deleteSlotRequests,
  deleteSlotRequestsOfFlowRuns,
  limitsOf,
  requestedNames,
  type SlotRow,
  slotsOfRuns,
  slotsUnderFlowRuns,
} from "../../db/queries/limits.js";
import type { Ledger } from "../states/ledger.js";
import { wakeForLabels } from "../states/wake-for-labels.js";
import { admitFlowRuns } from "./admit-flow-runs.js";
import { admitTaskRuns } from "./admit-task-runs.js";
import { grantSlots } from "./grant-slots.js";
import { isEmpty, type LimitMoves, takeMoves } from "./moves.js";
import { SlotBook } from "./slot-book.js";

/*
 * Concurrency limits, once for each transaction, when all of its moves were judged: who left its place gives its slots up,
 * who waited longest gets them, and who wants to enter gets what is left or is Queued. A slot is a row, taken and given up
 * in the transaction in which its owner moves, so that no crash leaves one behind; how many are taken is counted.
 */

/** Makes the slots follow the ledger's moves. Safe to call twice: the second call sees what has moved since. */
export async function settleLimits(ledger: Ledger): Promise<void> {
  if (isEmpty(ledger.limitMoves)) return;
  const moves = takeMoves(ledger.limitMoves);
  const limits = await limitsOf(ledger.transaction, ledger.tenantId);
  if (limits.length === 0 && moves.changed.length === 0) return;
  const book = new SlotBook(ledger, limits);
  const freed = await giveUp(ledger, book, moves);
  for (const { kind, name } of moves.changed) (kind === "task_tag" ? freed.tags : freed.labels).add(name);
  if (moves.lookedAfter.length > 0) {
    for (const name of await requestedNames(ledger.transaction, moves.lookedAfter)) freed.tags.add(name);
  }
  if (freed.tags.size > 0) {
    await book.open("task_tag");
    await grantSlots(ledger, book, freed.tags);
  }
  // Who has some of its slots and cannot have the rest gives them up again.
  await grantSlots(ledger, book, await admitTaskRuns(ledger, book, moves.tasks));
  await admitFlowRuns(ledger, book, moves);
  if (freed.labels.size > 0) {
    await book.open("flow_label");
    await wakeForLabels(ledger, [...freed.labels], (name) => book.free({ kind: "flow_label", name }));
  }
}

interface Freed {
  tags: Set<string>;
  labels: Set<string>;
}

/** Does somebody run a flow run of this state, so that it may hold slots? */
export const isUnderWay = (state: string | null): boolean =>
  state !== null && (state === "Submitted" || isType(state as StateType, "Running"));

/** Slots of runs that have left, and the places in line of those that wait no more. */
async function giveUp(ledger: Ledger, book: SlotBook, moves: LimitMoves): Promise<Freed> {
  const { transaction } = ledger;
  const flowRuns = [...moves.flows.keys()].filter((run) => !isUnderWay(run.state));
  for (const run of moves.handedBack) flowRuns.push(run);
  const left = [...moves.tasks.keys()].filter(({ state }) => state === null || !isType(state as StateType, "Running"));
  // A flow run that ends takes its task runs with it: their slots are found twice.
  const slots: SlotRow[] = [];
  if (flowRuns.length > 0) slots.push(...(await slotsUnderFlowRuns(transaction, ids(flowRuns))));
  if (left.length > 0) {
    slots.push(...(await slotsOfRuns(transaction, ids(left), [...new Set(left.map((run) => run.flow_run_id))])));
  }
  const done = left.filter(({ state }) => state !== "Queued");
  if (done.length > 0) await deleteSlotRequests(transaction, ids(done));
  const ended = flowRuns.filter(({ state }) => state !== null && isTerminal({ type: state as StateType }));
  if (ended.length > 0) await deleteSlotRequestsOfFlowRuns(transaction, ids(ended));
  const distinct = new Map(slots.map((slot) => [`${slot.kind} ${slot.run_id} ${slot.name}`, slot]));
  await book.giveUp([...distinct.values()]);
  const namesOf = (kind: SlotRow["kind"]) =>
    new Set(slots.filter((slot) => slot.kind === kind).map(({ name }) => name));
  return { tags: namesOf("task_tag"), labels: namesOf("flow_label") };
}

const ids = (runs: readonly { id: string }[]): string[] => runs.map(({ id }) => id);
