import type {
  DeleteFlowConcurrencyLimitInput,
  DeleteTaskTagLimitInput,
  IdPayload,
  SuccessPayload,
  UpdateFlowConcurrencyLimitInput,
  UpdateTaskTagLimitInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import {
  deleteLimit,
  flowRunsUnderWay,
  holdRunsUnderWay,
  type LimitKind,
  limitsOf,
  runningTaskRuns,
  type SlotRow,
  setLimit,
} from "../../db/queries/limits.js";
import { SlotBook } from "../limits/slot-book.js";
import type { RequestContext } from "../parts.js";
import { type Ledger, withLedger } from "../states/ledger.js";

/** The longest tag or label, in characters: what fits on one line. */
const MAX_NAME_CHARS = 200;
/** What GraphQL's Int can say. */
const MAX_SLOTS = 2_147_483_647;

export function updateTaskTagLimit(
  { tag, limit }: UpdateTaskTagLimitInput,
  context: RequestContext,
): Promise<IdPayload> {
  return update("task_tag", tag, limit, context);
}

export function updateFlowConcurrencyLimit(
  { name, limit }: UpdateFlowConcurrencyLimitInput,
  context: RequestContext,
): Promise<IdPayload> {
  return update("flow_label", name, limit, context);
}

export function deleteTaskTagLimit(input: DeleteTaskTagLimitInput, context: RequestContext): Promise<SuccessPayload> {
  return remove("task_tag", input.limit_id, context);
}

export function deleteFlowConcurrencyLimit(
  input: DeleteFlowConcurrencyLimitInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  return remove("flow_label", input.limit_id, context);
}

/** Sets a limit. Whoever runs when it is made is counted; whoever waits and may go when it is raised is told at once. */
function update(kind: LimitKind, name: string, slots: number, { parts, caller }: RequestContext): Promise<IdPayload> {
  checkLimit(kind, name, slots);
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const { transaction, tenantId, now } = ledger;
    const book = new SlotBook(ledger, await limitsOf(transaction, tenantId));
    const isNew = !book.has({ kind, name });
    // Who leaves just now does not know of the limit, and would leave a slot behind. Before the limits are held: who wants
    // those holds its run already.
    if (isNew) await holdRunsUnderWay(transaction, tenantId);
    await book.open(kind);
    const id = await setLimit(transaction, { id: newId(), kind, name, slots, tenantId, now });
    if (isNew) await book.take(await underWay(ledger, kind, name));
    ledger.limitMoves.changed.push({ kind, name });
    return { id };
  });
}

/** The slots of those that were under way before there was a limit. */
async function underWay({ transaction, tenantId }: Ledger, kind: LimitKind, name: string): Promise<SlotRow[]> {
  if (kind === "task_tag") {
    const runs = await runningTaskRuns(transaction, tenantId);
    return runs
      .filter(({ tags }) => (JSON.parse(tags) as string[]).includes(name))
      .map(({ id, flow_run_id }) => ({ kind, name, run_id: id, flow_run_id }));
  }
  const runs = await flowRunsUnderWay(transaction, tenantId);
  return runs
    .filter(({ labels, engine, lease_agent_id }) => {
      // One of ours that nobody holds was given back, and only waits.
      return (JSON.parse(labels) as string[]).includes(name) && (engine === "prefect" || lease_agent_id !== null);
    })
    .map(({ id }) => ({ kind, name, run_id: id, flow_run_id: id }));
}

/** Takes a limit away; deleting one that is not there says so. */
function remove(kind: LimitKind, id: string, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    await new SlotBook(ledger, []).open(kind);
    const name = await deleteLimit(ledger.transaction, { id, kind, tenantId: caller.tenantId });
    if (name === undefined) {
      const what = kind === "task_tag" ? "task tag limit" : "flow concurrency limit";
      return { success: false, error: `There is no ${what} ${id}.` };
    }
    ledger.limitMoves.changed.push({ kind, name });
    return { success: true, error: null };
  });
}

function checkLimit(kind: LimitKind, name: string, slots: number): void {
  const what = kind === "task_tag" ? "tag" : "label";
  if (name.trim() === "" || name.length > MAX_NAME_CHARS) {
    throw new MillraceError(
      "INPUT_INVALID",
      `A limit's ${what} is a word of 1 to ${MAX_NAME_CHARS} characters, and was ${JSON.stringify(name.slice(0, 80))}.`,
    );
  }
  if (Number.isInteger(slots) && slots >= 0 && slots <= MAX_SLOTS) return;
  throw new MillraceError("INPUT_INVALID", `A limit is a whole number from 0, and was ${slots}.`, {
    hint: `0 pauses what has the ${what} "${name}"; to have no limit, delete it.`,
  });
}
