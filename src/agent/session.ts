import type { Claim, ClaimAnswer, Cloud } from "../client/cloud.js";
import { sleepUnlessAborted } from "../client/retry.js";
import { SETTLED_AFTER_MS } from "../client/subscribe.js";
import { whatIsWrong } from "./away.js";
import { awayWaitMs } from "./back-off.js";
import { startHeartbeat } from "./heartbeat.js";
import { ReportStream } from "./report-stream.js";
import type { ActiveRun } from "./run-executor.js";

export interface SessionOptions {
  cloud: Cloud;
  agentId: string;
  leaseMs: number;
  flowGroupId: string | undefined;
  /** The runs under way, by their ids. */
  active: ReadonlyMap<string, ActiveRun>;
  /** See {@link ReportStream}. */
  claim: (endingRunIds: readonly string[]) => Claim | undefined;
  onClaimed: (claim: Claim, answer: ClaimAnswer | undefined) => void;
  onRunDue: () => void;
  log: (line: string) => void;
}

/** What stands between a registered agent and the Cloud while it has runs: reports, leases, events. */
export interface Session {
  readonly stream: ReportStream;
  /** Hears no more events. */
  stopListening(): void;
  /** Resolves when nothing of it is under way. */
  close(): Promise<void>;
}

export function openSession(options: SessionOptions): Session {
  const { cloud, agentId, leaseMs, active, log } = options;
  const onCancelling = (flowRunIds: readonly string[]) => {
    for (const flowRunId of flowRunIds) active.get(flowRunId)?.cancel();
  };
  const onGranted = (taskRunIds: readonly string[]) => {
    for (const run of active.values()) run.grant(taskRunIds);
  };
  const shared = { cloud, agentId, onCancelling, onGranted, log };
  const stream = new ReportStream({ ...shared, claim: options.claim, onClaimed: options.onClaimed });
  const heartbeat = startHeartbeat({
    ...shared,
    leaseMs,
    leases: () => [...active.values()].flatMap(({ lease }) => (lease ? [lease] : [])),
    onLost: (flowRunIds) => {
      for (const flowRunId of flowRunIds) active.get(flowRunId)?.stop("RUN_LEASE_LOST");
    },
  });
  const hearing = new AbortController();
  const events = listen(options, { onCancelling, onGranted }, hearing.signal);
  return {
    stream,
    stopListening: () => hearing.abort(),
    async close() {
      hearing.abort();
      await heartbeat.stop();
      stream.close();
      await events;
    },
  };
}

interface Listeners {
  onCancelling(flowRunIds: readonly string[]): void;
  onGranted(taskRunIds: readonly string[]): void;
}

/** A connection that breaks is made anew by the client; here it is one that the Cloud refused. Polling goes on without. */
async function listen(
  { cloud, agentId, flowGroupId, onRunDue, log }: SessionOptions,
  { onCancelling, onGranted }: Listeners,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const connectedAt = performance.now();
    try {
      for await (const { runDue, cancelling, granted } of cloud.agentEvents(agentId, flowGroupId, signal)) {
        if (granted.length > 0) onGranted(granted);
        if (cancelling.length > 0) onCancelling(cancelling);
        if (runDue) onRunDue();
      }
    } catch (error) {
      if (performance.now() - connectedAt > SETTLED_AFTER_MS) failures = 0;
      if (failures === 0) log(`${whatIsWrong(error)}, its events are not heard: ${(error as Error).message}`);
    }
    await sleepUnlessAborted(awayWaitMs(failures++), signal);
  }
}
