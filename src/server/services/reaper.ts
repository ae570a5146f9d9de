import { isTerminal, type StateType } from "../../core/state.js";
import { findAgent } from "../../db/queries/agents.js";
import { expiredLeases, type LeaseRow } from "../../db/queries/claim.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { bringHeartbeatsBack, lockLeasesFromFuture, writeLease } from "../../db/queries/services.js";
import { logLine } from "../log-line.js";
import { type ServerParts, toInstant } from "../parts.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { takeBack } from "../states/queue.js";
import { turns } from "./turns.js";

/** How far the clocks of several servers may lie apart without a lease of one seeming to come from the future to another. */
const CLOCK_SKEW_MS = 5_000;

/** One transaction takes no more runs back, so that nobody waits long for it when a whole site falls silent. */
const RUNS_AT_ONCE = 100;

/**
 * Takes runs back from agents that no longer renew their leases: each becomes Scheduled again, Cancelled if that was under
 * way, or Failed after too many losses.
 * @param now By the same look at the clock as `awakeSince`: put forward between two looks, it would end every lease.
 * @param awakeSince When this server began to hear renewals: agents that could not renew before are not to blame, so each
 * lease lasts its own length from then on, if it ends sooner. Milliseconds since 1970.
 * @returns the ids of the runs that were taken back
 */
export async function reapLeases(parts: ServerParts, now: number, awakeSince: number): Promise<string[]> {
  const expired = (await expiredLeases(parts.database, toInstant(now))).filter((lease) =>
    isOver(lease, now, awakeSince),
  );
  const reaped: string[] = [];
  const turn = turns();
  for (const [tenantId, leases] of Map.groupBy(expired, (lease) => lease.tenant_id)) {
    for (let first = 0; first < leases.length; first += RUNS_AT_ONCE) {
      await turn.over();
      const ids = leases.slice(first, first + RUNS_AT_ONCE).map((lease) => lease.id);
      reaped.push(...(await reapApart(parts, { tenantId, ids, now, awakeSince })));
    }
  }
  return reaped;
}

interface Expired {
  tenantId: string;
  ids: readonly string[];
  now: number;
  awakeSince: number;
}

/** Together, or else one by one: a run that cannot be taken back is no other run's trouble, and is tried again. */
async function reapApart(parts: ServerParts, expired: Expired): Promise<string[]> {
  try {
    return await reapTogether(parts, expired);
  } catch (error) {
    const [id] = expired.ids;
    if (expired.ids.length === 1) {
      parts.log({ level: "error", message: `Flow run ${id} could not be taken from its agent.`, error });
      return [];
    }
    const reaped: string[] = [];
    for (const each of expired.ids) reaped.push(...(await reapApart(parts, { ...expired, ids: [each] })));
    return reaped;
  }
}

function reapTogether(parts: ServerParts, { tenantId, ids, now, awakeSince }: Expired): Promise<string[]> {
  return withLedger(parts, { tenantId }, async (ledger) => {
    const taken: string[] = [];
    await readFlowRuns(ledger, ids);
    for (const id of ids) {
      const run = ledger.flowRuns.get(id);
      if (run && isOver(run, now, awakeSince) && (await reap(ledger, run))) taken.push(id);
    }
    return taken;
  });
}

/**
 * After the clock was put back, leases that were given before would last until it is there again, and an hour longer where
 * it was put back by an hour. They last their own length from now on, as after any other pause; so do heartbeats.
 */
export async function bringLeasesBack({ database, clock }: ServerParts): Promise<void> {
  const now = clock.now();
  const [heartbeat, ahead] = [toInstant(now), toInstant(now + CLOCK_SKEW_MS)];
  await database.write(async (transaction) => {
    for (const lease of await lockLeasesFromFuture(transaction, ahead)) {
      await writeLease(transaction, lease.id, { heartbeat, expiresAt: toInstant(now + lengthOf(lease)) });
    }
    await bringHeartbeatsBack(transaction, ahead, heartbeat);
  });
}

type Lease = Pick<LeaseRow, "lease_expires_at" | "heartbeat">;

function isOver(lease: Lease, now: number, awakeSince: number): boolean {
  if (lease.lease_expires_at === null) return false;
  return now >= Math.max(Date.parse(lease.lease_expires_at), awakeSince + lengthOf(lease));
}

/** Of a lease that has an end. */
function lengthOf({ lease_expires_at, heartbeat }: Lease): number {
  return heartbeat === null ? 0 : Date.parse(lease_expires_at!) - Date.parse(heartbeat);
}

async function reap(ledger: Ledger, run: FlowRunRow): Promise<boolean> {
  // It may have ended since it was looked up.
  if (run.lease_agent_id === null) return false;
  if (run.state !== null && isTerminal({ type: run.state as StateType })) return false;
  const agent = await findAgent(ledger.transaction, run.tenant_id, run.lease_agent_id);
  const why = `agent ${agent?.name ?? "unknown"} (${run.lease_agent_id}) last renewed its lease at ${run.heartbeat ?? "no time known"}`;
  const refused = await takeBack(ledger, run, why, true);
  const message = refused ? `The lease ended, and ${refused.message}` : (run.state_message ?? why);
  const level = run.state === "Failed" ? "ERROR" : "WARNING";
  ledger.logs.push(logLine(ledger, run.id, { name: "millrace.reaper", level, message }));
  return refused === null;
}
