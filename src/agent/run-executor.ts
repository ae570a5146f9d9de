import type { ClaimedRun, Cloud, Lease } from "../client/cloud.js";
import type { ReportStream } from "./report-stream.js";

/** One claimed run under way: from its claim until the Cloud has its last state, or it is another's. */
export interface ActiveRun {
  readonly flowRunId: string;
  /** What the agent renews; null while it cannot know whether the run is alive. */
  readonly lease: Lease | null;
  /** Never rejects. */
  readonly ended: Promise<void>;
  /** Asks the run to end, and stops it hard when it has not after a while. */
  cancel(): void;
  /** Stops executing the run now. */
  stop(code: "RUN_LEASE_LOST" | "RUN_STOPPED"): void;
  /** These task runs, of this run or of others, have the slots that they waited for. */
  grant(taskRunIds: readonly string[]): void;
}

/** What an executor has of the agent that it works for. */
export interface ExecutorPorts {
  cloud: Cloud;
  agentId: string;
  /** How long a claim lasts without being renewed, in milliseconds. */
  leaseMs: number;
  stream: ReportStream;
  /** To be called when `isReady` is true again. */
  onReady: () => void;
  log: (line: string) => void;
}

/** What an agent's loop hands its runs to: threads here, containers there. */
export interface RunExecutor {
  /** False while nothing can be started; the agent claims nothing then. Absent: always true. */
  isReady?(): boolean;
  /** Runs of this agent that go on from before it was started. */
  adopt?(): Promise<ActiveRun[]>;
  /** @param claimId The claim under which the run was given: whoever knows it, and the agent's id, may take the run over. */
  start(run: ClaimedRun, claimId: string | undefined): ActiveRun;
  close(): Promise<void>;
}
