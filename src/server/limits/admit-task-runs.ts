import { isType, type StateType } from "../../core/state.js";
import {
  addSlotRequests,
  deleteSlotRequests,
  type SlotRow,
  slotsOfRuns,
  tagsOfTasks,
} from "../../db/queries/limits.js";
import type { TaskRunRow } from "../../db/queries/task-runs.js";
import { enterQueued } from "../states/apply-state.js";
import type { Ledger } from "../states/ledger.js";
import { ASKS_AGAIN_MS, later } from "./asks-again.js";
import type { Before } from "./moves.js";
import type { SlotBook } from "./slot-book.js";

interface Wanting {
  readonly run: TaskRunRow;
  /** The limited ones of its task's tags. */
  readonly names: readonly string[];
}

/**
 * Task runs that are about to be Running get all of their slots, in the order in which they asked, or are Queued: put at the
 * end of the lines for their tags, unless they stand there already.
 * @returns tags of which slots were given up: some of a run's slots are of no use without the rest
 */
export async function admitTaskRuns(
  ledger: Ledger,
  book: SlotBook,
  moved: ReadonlyMap<TaskRunRow, Before>,
): Promise<Set<string>> {
  const givenUp = new Set<string>();
  const wanting = await wantingSlots(ledger, book, moved.keys());
  if (wanting.length === 0) return givenUp;
  await book.open("task_tag");
  const runs = wanting.map(({ run }) => run);
  const owned = Map.groupBy(
    await slotsOfRuns(ledger.transaction, ids(runs), [...new Set(runs.map((run) => run.flow_run_id))]),
    (slot) => slot.run_id,
  );
  const refused: (Wanting & { full: readonly string[] })[] = [];
  const admitted: string[] = [];
  for (const each of wanting) {
    const own = owned.get(each.run.id) ?? [];
    // Those that are limited still, now that the book is open.
    const limited = each.names.filter((name) => book.has({ kind: "task_tag", name }));
    const missing = limited.filter((name) => !own.some((slot) => slot.name === name));
    const full = missing.filter((name) => book.free({ kind: "task_tag", name }) <= 0);
    if (full.length === 0) {
      await book.take(missing.map((name) => slotOf(each.run, name)));
      admitted.push(each.run.id);
      continue;
    }
    refused.push({ ...each, full });
    await book.giveUp(own);
    for (const slot of own) givenUp.add(slot.name);
  }
  if (admitted.length > 0) await deleteSlotRequests(ledger.transaction, admitted);
  if (refused.length > 0) await putInLine(ledger, book, refused, moved);
  return givenUp;
}

async function wantingSlots(ledger: Ledger, book: SlotBook, moved: Iterable<TaskRunRow>): Promise<Wanting[]> {
  const limited = new Set(book.names("task_tag"));
  if (limited.size === 0) return [];
  const entering = [...moved].filter(({ state }) => state !== null && isType(state as StateType, "Running"));
  if (entering.length === 0) return [];
  const tags = await tagsOfTasks(ledger.transaction, [...new Set(entering.map((run) => run.task_id))]);
  return entering
    .map((run) => ({ run, names: [...new Set(tags.get(run.task_id) ?? [])].filter((tag) => limited.has(tag)) }))
    .filter(({ names }) => names.length > 0);
}

async function putInLine(
  ledger: Ledger,
  book: SlotBook,
  refused: readonly (Wanting & { full: readonly string[] })[],
  moved: ReadonlyMap<TaskRunRow, Before>,
): Promise<void> {
  const { transaction, tenantId, now } = ledger;
  for (const { run, full } of refused) {
    const held = ledger.flowRuns.get(run.flow_run_id)?.lease_agent_id ?? null;
    enterQueued(ledger, run, moved.get(run)!, {
      message: whyQueued("tag", full, book),
      // An agent is told when there is a slot, and a run that it gives back is due then. Who asks again by itself is due,
      // for anybody, when it did not.
      startAt: held === null ? later(ledger, ASKS_AGAIN_MS) : null,
    });
    ledger.queued.set(run.id, run.flow_run_id);
  }
  await addSlotRequests(
    transaction,
    refused.flatMap(({ run, names }, place) =>
      names.map((name) => ({
        run_id: run.id,
        name,
        tenant_id: tenantId,
        flow_run_id: run.flow_run_id,
        asked_at: now,
        place,
      })),
    ),
  );
}

/** For people, and for the state's message. */
export function whyQueued(what: "tag" | "label", full: readonly string[], book: SlotBook): string {
  const kind = what === "tag" ? "task_tag" : "flow_label";
  const each = full.map((name) => `"${name}" (limit ${book.limitOf({ kind, name })})`);
  return `Waits for a slot of ${what} ${each.join(" and ")}.`;
}

function slotOf(run: TaskRunRow, name: string): SlotRow {
  return { kind: "task_tag", name, run_id: run.id, flow_run_id: run.flow_run_id };
}

const ids = (runs: readonly { id: string }[]): string[] => runs.map(({ id }) => id);
