import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { firstInLine, requestsOfRuns, type WaiterRow } from "../../db/queries/limits.js";
import { noteDue } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, readTaskRuns } from "../states/ledger.js";
import type { SlotBook } from "./slot-book.js";

/**
 * Gives free slots of these tags to the task runs that have waited longest, each all of its slots or none. Who is held by an
 * agent owns its slots from now on, and the agent is told. A flow run that was given back to wait has nobody who could use
 * a slot: it becomes due, and asks when an agent has taken it.
 * Prefect's runners are not waited for: they ask again by themselves, and take what is free then.
 */
export async function grantSlots(ledger: Ledger, book: SlotBook, tags: Iterable<string>): Promise<void> {
  for (const name of new Set(tags)) await grantTag(ledger, book, name);
}

async function grantTag(ledger: Ledger, book: SlotBook, name: string): Promise<void> {
  const limitName = { kind: "task_tag", name } as const;
  const seen = new Set<string>();
  let offers = 0;
  while (book.free(limitName) - offers > 0) {
    const free = Math.min(book.free(limitName) - offers, MAX_LOOK);
    const waiters = await lineFor(ledger, book, name, free + seen.size);
    const fresh = waiters.filter(({ run_id }) => !seen.has(run_id));
    if (fresh.length === 0) return;
    for (const waiter of fresh) {
      seen.add(waiter.run_id);
      if (book.free(limitName) - offers <= 0) return;
      if (await offer(ledger, waiter)) offers += 1;
      else await grant(ledger, book, waiter);
    }
  }
}

/** Of a limit that was taken away, everyone in the line may go: so many are looked at in one query. */
const MAX_LOOK = 500;

async function lineFor(ledger: Ledger, book: SlotBook, name: string, limit: number): Promise<WaiterRow[]> {
  const full = fullNames(book, name);
  return firstInLine(ledger.transaction, { tenantId: ledger.tenantId, name, full, limit });
}

/** The other limited tags that have no free slot: who needs one of those too is passed over. */
function fullNames(book: SlotBook, name: string): string[] {
  return book.names("task_tag").filter((other) => other !== name && book.free({ kind: "task_tag", name: other }) <= 0);
}

/** @returns false when an agent holds the flow run, which then is told of a slot */
async function offer(ledger: Ledger, waiter: WaiterRow): Promise<boolean> {
  const known = ledger.flowRuns.get(waiter.flow_run_id);
  if (holderOf(waiter, known) !== null) return false;
  await readFlowRuns(ledger, [waiter.flow_run_id]);
  await readTaskRuns(ledger, [waiter.run_id]);
  const [flowRun, run] = [ledger.flowRuns.get(waiter.flow_run_id), ledger.taskRuns.get(waiter.run_id)];
  if (flowRun?.state !== "Running" || flowRun.lease_agent_id !== null || run?.state !== "Queued") return true;
  run.state_start_time = ledger.now;
  ledger.changedTaskRuns.add(run);
  await noteDue(ledger, flowRun, ledger.now);
  return true;
}

async function grant(ledger: Ledger, book: SlotBook, waiter: WaiterRow): Promise<void> {
  const known = ledger.flowRuns.get(waiter.flow_run_id);
  const agentId = holderOf(waiter, known);
  if (agentId === null || (known && known.state !== "Running")) return;
  const moved = ledger.taskRuns.get(waiter.run_id);
  if (moved && moved.state !== "Queued") return;
  const requests = await requestsOfRuns(ledger.transaction, [waiter.run_id]);
  const wanted = requests.map(({ name }) => ({ kind: "task_tag", name }) as const).filter((each) => book.has(each));
  if (wanted.some((each) => book.free(each) <= 0)) return;
  await book.take(wanted.map((each) => ({ ...each, run_id: waiter.run_id, flow_run_id: waiter.flow_run_id })));
  ledger.effects.push({ kind: "slot", agentId, flowRunId: waiter.flow_run_id, taskRunId: waiter.run_id });
}

/** As this transaction leaves it. */
function holderOf(waiter: WaiterRow, known: FlowRunRow | undefined): string | null {
  return known ? known.lease_agent_id : waiter.lease_agent_id;
}
