import { isTerminal, type StateType } from "../../core/state.js";
import { findAgent } from "../../db/queries/agents.js";
import { expiredLeases, type LeaseRow } from "../../db/queries/claim.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { logLine } from "../log-line.js";
import { type ServerParts, toInstant } from "../parts.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { takeBack } from "../states/queue.js";

/**
 * Takes runs back from agents that no longer renew their leases: each becomes Scheduled again, Cancelled if that was under
 * way, or Failed after too many losses.
 * @param awakeSince When this server began to hear renewals: agents that could not renew before are not to blame, so each
 * lease lasts its own length from then on, if it ends sooner. Milliseconds since 1970.
 * @returns the ids of the runs that were taken back
 */
export async function reapLeases(parts: ServerParts, awakeSince: number): Promise<string[]> {
  const now = parts.clock.now();
  const expired = (await expiredLeases(parts.database, toInstant(now))).filter((lease) =>
    isOver(lease, now, awakeSince),
  );
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
        if (run && isOver(run, now, awakeSince) && (await reap(ledger, run))) reaped.push(id);
      }
    });
  }
  return reaped;
}

function isOver(
  { lease_expires_at, heartbeat }: Pick<LeaseRow, "lease_expires_at" | "heartbeat">,
  now: number,
  awakeSince: number,
): boolean {
  if (lease_expires_at === null) return false;
  const endsAt = Date.parse(lease_expires_at);
  const lengthMs = heartbeat === null ? 0 : endsAt - Date.parse(heartbeat);
  return now >= Math.max(endsAt, awakeSince + lengthMs);
}

async function reap(ledger: Ledger, run: FlowRunRow): Promise<boolean> {
  // It may have ended since it was looked up.
  if (run.lease_agent_id === null) return false;
  if (run.state !== null && isTerminal({ type: run.state as StateType })) return false;
  const agent = await findAgent(ledger.transaction, run.tenant_id, run.lease_agent_id);
  const why = `agent ${agent?.name ?? "unknown"} (${run.lease_agent_id}) last renewed its lease at ${run.heartbeat ?? "no time known"}`;
  const refused = await takeBack(ledger, run, why, true);
  const message = refused ? `The lease ended, and ${refused.message}` : (run.state_message ?? why);
  ledger.logs.push(logLine(ledger, run.id, { name: "millrace.reaper", level: "WARNING", message }));
  return refused === null;
}
