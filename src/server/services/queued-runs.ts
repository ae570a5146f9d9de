import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { groupSettingsOf, type QueuedRunRow, queuedRuns } from "../../db/queries/services.js";
import { logLine } from "../log-line.js";
import { type ServerParts, toInstant } from "../parts.js";
import { moveFlowRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { takeBack } from "../states/queue.js";
import { starterOf } from "./heartbeats.js";
import type { Round } from "./service-runner.js";
import { turns } from "./turns.js";

const PAGE = 500;

/**
 * Lazarus for runs that wait for a slot of a label: a Python process that was answered QUEUED sends no heartbeat, and asks
 * again by itself. One that does not ask for so long is dead, and its run is nobody's: agents pass over what is Queued.
 */
export async function raiseQueuedRuns(
  parts: ServerParts,
  { nowMs, awakeSinceMs }: Round,
  silentAfterMs: number,
): Promise<void> {
  // While this server did not run, nobody could ask it.
  if (nowMs - awakeSinceMs < silentAfterMs) return;
  const before = toInstant(nowMs - silentAfterMs);
  let after = { created: "", id: "" };
  const turn = turns();
  for (;;) {
    const page: QueuedRunRow[] = await queuedRuns(parts.database, before, after, PAGE);
    for (const row of page) {
      await turn.over();
      try {
        await raiseQueued(parts, row, before);
      } catch (error) {
        // It is no other run's trouble, and is met again in the next round.
        parts.log({ level: "error", message: `Queued flow run ${row.id} could not be dealt with (lazarus).`, error });
      }
    }
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = { created: last.created, id: last.id };
  }
}

/** The run is read anew, and locked: its process may have asked since it was found. */
async function raiseQueued(
  parts: ServerParts,
  { id, tenant_id: tenantId }: QueuedRunRow,
  before: string,
): Promise<void> {
  await withLedger(parts, { tenantId }, async (ledger) => {
    await readFlowRuns(ledger, [id]);
    const run = ledger.flowRuns.get(id);
    if (run?.state !== "Queued" || run.engine !== "prefect" || run.lease_agent_id !== null) return;
    const dueAt = run.state_start_time ?? run.state_timestamp;
    if (dueAt === null || dueAt > before) return;
    await deal(
      ledger,
      run,
      `it was Queued, and its process did not ask again by ${dueAt}; ${await starterOf(ledger, run)}`,
    );
  });
}

/** That heartbeats are off for the group says nothing here: no process sends any while it is Queued. */
async function deal(ledger: Ledger, run: FlowRunRow, why: string): Promise<void> {
  const settings = JSON.parse(await groupSettingsOf(ledger.transaction, run.flow_id)) as { lazarus_enabled?: unknown };
  if (settings.lazarus_enabled === false) {
    const message = `Nobody goes on with the flow run: ${why}. It is not started again, since Lazarus is off for its flow group.`;
    orThrow(await moveFlowRun(ledger, run, { state: { type: "Failed", message }, at: ledger.now }));
  } else {
    orThrow(await takeBack(ledger, run, why, true));
  }
  const failed = run.state === "Failed";
  const message = failed ? run.state_message : `${run.state_message}. This is attempt ${run.times_resurrected}.`;
  ledger.logs.push(logLine(ledger, run.id, { name: "millrace.lazarus", level: failed ? "ERROR" : "WARNING", message }));
}
