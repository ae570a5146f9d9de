import type { Cloud, Lease } from "../client/cloud.js";
import { whatIsWrong } from "./away.js";
import { Waker } from "./back-off.js";

export interface HeartbeatOptions {
  cloud: Pick<Cloud, "renewLeases">;
  agentId: string;
  leaseMs: number;
  /** The leases that are held now. */
  leases: () => Lease[];
  onLost: (flowRunIds: readonly string[]) => void;
  onCancelling: (flowRunIds: readonly string[]) => void;
  /** Told of task runs that waited for a slot and have it. */
  onGranted: (taskRunIds: readonly string[]) => void;
  log: (line: string) => void;
}

/** A lease is renewed when a third of it is over, so that two renewals may fail before it ends. */
const RENEWALS_A_LEASE = 3;
/** After a failed renewal the next is tried sooner. */
const TRIES_A_LEASE = 10;

/** Keeps the agent's leases alive until `stop`; `stop` resolves when no renewal is under way. */
export function startHeartbeat(options: HeartbeatOptions): { stop(): Promise<void> } {
  const { cloud, agentId, leaseMs, leases, log } = options;
  const stopping = new Waker();
  let stopped = false;
  const beat = async () => {
    let waitMs = leaseMs / RENEWALS_A_LEASE;
    while (!stopped) {
      await stopping.wait(waitMs);
      const held = leases();
      waitMs = leaseMs / RENEWALS_A_LEASE;
      if (stopped || held.length === 0) continue;
      try {
        const { lost, cancelling, granted } = await cloud.renewLeases(agentId, held, leaseMs);
        if (lost.length > 0) options.onLost(lost);
        if (cancelling.length > 0) options.onCancelling(cancelling);
        if (granted.length > 0) options.onGranted(granted);
      } catch (error) {
        waitMs = leaseMs / TRIES_A_LEASE;
        log(`${whatIsWrong(error)}, leases were not renewed: ${(error as Error).message}`);
      }
    }
  };
  const beating = beat();
  return {
    stop() {
      stopped = true;
      stopping.wake();
      return beating;
    },
  };
}
