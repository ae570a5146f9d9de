import type { State } from "../../core/state.js";
import { findAgent } from "../../db/queries/agents.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import {
  type BegunTaskRunRow,
  begunTaskRuns,
  groupSettingsOf,
  hasActiveTaskRuns,
  type SilentRunRow,
  silentRuns,
} from "../../db/queries/services.js";
import { logLine } from "../log-line.js";
import { type ServerParts, toInstant } from "../parts.js";
import { moveFlowRun, moveTaskRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, readTaskRuns, withLedger } from "../states/ledger.js";
import { takeBack } from "../states/queue.js";
import type { Round } from "./service-runner.js";
import { turns } from "./turns.js";

/*
 * Runs that no agent holds by a lease: those that Prefect's Python client runs. Its processes send a heartbeat every 30 s,
 * and one that stays away is all that can be known of their end. Where an agent holds a lease, the lease alone decides
 * (reaper.ts), and none of this looks at the run. Two services share the rules (protocol notes, sections 2.10 and 2.11):
 * the zombie killer ends or retries the task runs that were Running, and Lazarus has the flow run started again.
 */

/** Twenty heartbeats of a Python process. Prefect's server waits as long; its Cloud waited two minutes for zombies. */
export const DEFAULT_SILENT_AFTER_MS = 10 * 60 * 1000;
const PAGE = 500;

/** What a service may do with a silent run; it is asked again in the transaction that does it. */
type Deal = (ledger: Ledger, run: FlowRunRow, why: string) => Promise<void>;

/** Ends, or retries, the task runs of silent runs; and ends the silent runs that were to be cancelled. */
export function killZombies(parts: ServerParts, round: Round, silentAfterMs: number): Promise<void> {
  return eachSilentRun(parts, round, { silentAfterMs, asks: "zombies" }, killTaskRuns);
}

/** Schedules silent runs again whose task runs have all ended or have not begun. */
export function raiseRuns(parts: ServerParts, round: Round, silentAfterMs: number): Promise<void> {
  return eachSilentRun(parts, round, { silentAfterMs, asks: "lazarus" }, raise);
}

interface Search {
  silentAfterMs: number;
  asks: "zombies" | "lazarus";
}

async function eachSilentRun(
  parts: ServerParts,
  { nowMs, awakeSinceMs }: Round,
  { silentAfterMs, asks }: Search,
  deal: Deal,
): Promise<void> {
  // While this server did not run, nobody could send it a heartbeat.
  if (nowMs - awakeSinceMs < silentAfterMs) return;
  const before = toInstant(nowMs - silentAfterMs);
  let after = { heartbeat: "", id: "" };
  const turn = turns();
  for (;;) {
    const page: SilentRunRow[] = await silentRuns(parts.database, before, after, PAGE);
    for (const row of page) {
      await turn.over();
      try {
        if (concerns(row.settings, asks)) await dealWith(parts, row, { before, asks }, deal);
      } catch (error) {
        // It is no other run's trouble, and is met again in the next round.
        parts.log({ level: "error", message: `Silent flow run ${row.id} could not be dealt with (${asks}).`, error });
      }
    }
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = { heartbeat: last.heartbeat, id: last.id };
  }
}

/** A group may have its heartbeats turned off, and then nothing follows from silence. */
export function concerns(text: string, asks: Search["asks"]): boolean {
  const settings = JSON.parse(text) as Record<string, unknown>;
  if (settings.heartbeat_enabled === false || settings.disable_heartbeat === true) return false;
  return asks === "zombies" || settings.lazarus_enabled !== false;
}

/** The run is read anew, and locked: it may have ended, begun to beat again, or been claimed since it was found. */
async function dealWith(
  parts: ServerParts,
  { id, tenant_id: tenantId }: SilentRunRow,
  { before, asks }: { before: string; asks: Search["asks"] },
  deal: Deal,
): Promise<void> {
  await withLedger(parts, { tenantId }, async (ledger) => {
    await readFlowRuns(ledger, [id]);
    const run = ledger.flowRuns.get(id);
    if (!run || run.lease_agent_id !== null || run.heartbeat === null || run.heartbeat > before) return;
    if (run.state !== "Running" && run.state !== "Submitted" && run.state !== "Cancelling") return;
    if (!concerns(await groupSettingsOf(ledger.transaction, run.flow_id), asks)) return;
    await deal(ledger, run, await causeOf(ledger, run));
  });
}

/** Who fell silent, and when: as much as the Cloud can know of a process that is not its own. */
async function causeOf(ledger: Ledger, run: FlowRunRow): Promise<string> {
  return `no heartbeat of its process since ${run.heartbeat}; ${await starterOf(ledger, run)}`;
}

/** One clause that says which agent started a run of Prefect's, and when that agent was heard of last. */
export async function starterOf(ledger: Ledger, run: FlowRunRow): Promise<string> {
  if (run.agent_id === null) return "no agent is known to have started it";
  const agent = await findAgent(ledger.transaction, run.tenant_id, run.agent_id);
  const seen = agent ? `, which last asked for work at ${agent.last_queried}` : "";
  return `it was started by agent ${agent?.name ?? "unknown"} (${run.agent_id})${seen}`;
}

async function killTaskRuns(ledger: Ledger, run: FlowRunRow, why: string): Promise<void> {
  const name = "millrace.zombies";
  if (run.state === "Cancelling") {
    orThrow(await takeBack(ledger, run, why, false));
    ledger.logs.push(logLine(ledger, run.id, { name, level: "ERROR", message: run.state_message }));
    return;
  }
  if (run.state !== "Running") return;
  const begun = await begunTaskRuns(ledger.transaction, run.id);
  await readTaskRuns(
    ledger,
    begun.map((each) => each.id),
  );
  for (const row of begun) {
    const taskRun = ledger.taskRuns.get(row.id);
    if (taskRun?.state !== "Running") continue;
    const state = afterDeath(row, ledger.now, why);
    orThrow(moveTaskRun(ledger, run, taskRun, { state, at: ledger.now }));
    const message = `${state.message} The task run is ${state.type}.`;
    ledger.logs.push(logLine(ledger, run.id, { name, level: "ERROR", task_run_id: row.id, message }));
  }
  if (begun.length > 0 || (await hasActiveTaskRuns(ledger.transaction, run.id))) return;
  const settings = JSON.parse(await groupSettingsOf(ledger.transaction, run.flow_id)) as { lazarus_enabled?: unknown };
  if (settings.lazarus_enabled !== false) return;
  // Nobody would ever go on with it.
  const message = `No heartbeat detected from the flow run: ${why}. It is not started again, since Lazarus is off for its flow group.`;
  orThrow(await moveFlowRun(ledger, run, { state: { type: "Failed", message }, at: ledger.now }));
  ledger.logs.push(logLine(ledger, run.id, { name, level: "ERROR", message }));
}

/** The death is one run of the task: it is retried as often as a failure would be. */
function afterDeath(row: BegunTaskRunRow, now: string, why: string) {
  const message = `No heartbeat detected from the remote task: ${why}.`;
  if (row.retried >= row.max_retries) return { type: "Failed" satisfies State["type"], message };
  const startAt = toInstant(Date.parse(now) + (row.retry_delay ?? 0) * 1_000);
  return { type: "Retrying" satisfies State["type"], message, start_time: startAt, run_count: Number(row.retried) + 1 };
}

async function raise(ledger: Ledger, run: FlowRunRow, why: string): Promise<void> {
  // Cancelling is the zombie killer's.
  if (run.state === "Cancelling" || (await hasActiveTaskRuns(ledger.transaction, run.id))) return;
  orThrow(await takeBack(ledger, run, why, true));
  const failed = run.state === "Failed";
  const message = failed ? run.state_message : `${run.state_message}. This is attempt ${run.times_resurrected}.`;
  ledger.logs.push(logLine(ledger, run.id, { name: "millrace.lazarus", level: failed ? "ERROR" : "WARNING", message }));
}
