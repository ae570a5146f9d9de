import { isTerminal, type StateType } from "../core/state.js";
import { findAgent } from "../db/agents.js";
import { expiredLeases } from "../db/claim.js";
import type { FlowRunRow } from "../db/flow-runs.js";
import { type Ledger, readFlowRuns, withLedger } from "./ledger.js";
import { logLine } from "./log-line.js";
import { type ServerParts, toInstant } from "./parts.js";
import { takeBack } from "./queue.js";

/**
 * Takes runs back from agents that no longer renew their leases: each becomes Scheduled again, Cancelled if that was under
 * way, or Failed after too many losses.
 * @returns the ids of the runs that were taken back
 */
export async function reapLeases(parts: ServerParts): Promise<string[]> {
  const now = toInstant(parts.clock.now());
  const expired = await expiredLeases(parts.database, now);
  const reaped: string[] = [];
  const byTenant = Map.groupBy(expired, (lease) => lease.tenant_id);
  for (const [tenantId, leases] of byTenant) {
    await withLedger(parts, { tenantId }, async (ledger) => {
      await readFlowRuns(
        ledger,
        leases.map((lease) => lease.id),
      );
      for (const { id } of leases) {
        const run = ledger.flowRuns.get(id);
        if (run && (await reap(ledger, run, now))) reaped.push(id);
      }
    });
  }
  return reaped;
}

async function reap(ledger: Ledger, run: FlowRunRow, now: string): Promise<boolean> {
  // It may have been renewed, or have ended, since it was looked up.
  if (run.lease_agent_id === null || run.lease_expires_at === null || run.lease_expires_at > now) return false;
  if (run.state !== null && isTerminal({ type: run.state as StateType })) return false;
  const agent = await findAgent(ledger.transaction, run.tenant_id, run.lease_agent_id);
  const why = `agent ${agent?.name ?? "unknown"} (${run.lease_agent_id}) last renewed its lease at ${run.heartbeat ?? "no time known"}`;
  const refused = await takeBack(ledger, run, why, true);
  const message = refused ? `The lease ended, and ${refused.message}` : (run.state_message ?? why);
  ledger.logs.push(logLine(ledger, run.id, { name: "millrace.reaper", level: "WARNING", message }));
  return refused === null;
}
