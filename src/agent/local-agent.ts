import { availableParallelism, hostname } from "node:os";
import type { Claim, ClaimAnswer, ClaimedRun, Cloud } from "../client/cloud.js";
import { sleepUnlessAborted } from "../client/retry.js";
import { SETTLED_AFTER_MS } from "../client/subscribe.js";
import { MAX_CLAIM } from "../core/claim-limit.js";
import { MillraceError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { normalizeLabels } from "../core/labels.js";
import { loadTrustedKeys } from "../storage/key-files.js";
import { ThreadPool } from "../threads/pool.js";
import { whatIsWrong } from "./away.js";
import { awayWaitMs, POLL_BACK_OFF_MS, pollWaitMs, Waker } from "./back-off.js";
import { FlowCache } from "./flow-cache.js";
import { type ActiveRun, startFlowRun } from "./flow-runs.js";
import { startHeartbeat } from "./heartbeat.js";
import { ReportStream } from "./report-stream.js";
import { threadEnv } from "./thread-env.js";

/** How long a claim lasts without being renewed: how long a run stands still after its agent died. */
export const DEFAULT_LEASE_MS = 30_000;
/** Longer than the engine's own grace (5 s), after which a run that heeds its signal reports itself Cancelled. */
export const DEFAULT_CANCEL_GRACE_MS = 8_000;
/** What `stop()` waits for runs under way. */
export const DEFAULT_DRAIN_MS = 30_000;
/** A drained agent waits so long to give its runs back to a Cloud that is away; their leases end by themselves. */
const GIVE_BACK_MS = 5_000;

/** Options of a LocalAgent; all but `cloud` are optional. */
export interface LocalAgentOptions {
  cloud: Cloud;
  /** Default "agent". */
  name?: string;
  /** Default: the hostname alone. A run is taken when all of its labels are among these. */
  labels?: readonly string[];
  /** How many runs at once. Default: one less than the processors, 1 at least; inline always 1. */
  threads?: number;
  /** "thread" (default): worker threads. "inline": this very thread, for breakpoints and embedding. */
  mode?: "thread" | "inline";
  /** Take runs of this flow group only. */
  flowGroupId?: string;
  /** Environment variables that flow code may see besides a short list of harmless ones: names, or names and values. */
  env?: readonly string[] | Readonly<Record<string, string>>;
  /**
   * Take flows that are signed by one of these keys, and end the runs of others Failed: paths of public keys (PEM), or the
   * PEM itself. Default: any flow.
   */
  requireSignedBy?: readonly string[];
  /** The longest wait between two polls, in milliseconds. Default 10,000. */
  pollMs?: number;
  /** How long a claim lasts without being renewed, in milliseconds. Default 30,000. */
  leaseMs?: number;
  /** How long a cancelled run may take to end before its thread is stopped, in milliseconds. Default 8,000. */
  cancelGraceMs?: number;
  /** Run what is due and return. Default false. */
  once?: boolean;
  /** Takes the agent's own lines. Default: nobody. */
  log?: (line: string) => void;
  /** Stops the agent as `stop()` does. */
  signal?: AbortSignal;
}

/** What stands while the agent is started. */
interface Session {
  agentId: string;
  flows: FlowCache;
  stream: ReportStream;
  pool: ThreadPool | undefined;
  heartbeat: { stop(): Promise<void> };
  events: Promise<void>;
}

/**
 * Takes flow runs from a Cloud and runs them here. It is idle until `start`; then it claims as many runs as it has free
 * threads, when the Cloud says that one is due, when a thread gets free, and now and then anyway; on `drain` it claims
 * nothing more, and is stopped when the last run has ended or was given back.
 *
 * @example
 * const agent = new LocalAgent({ cloud: openCloud({ url, token }), labels: ["gpu-1"] });
 * process.once("SIGTERM", () => agent.stop());
 * await agent.run();
 */
export class LocalAgent {
  readonly #options: LocalAgentOptions;
  readonly #threads: number;
  readonly #labels: string[];
  readonly #active = new Map<string, ActiveRun>();
  readonly #waker = new Waker();
  readonly #draining = new AbortController();
  #session: Session | undefined;
  #running: Promise<void> | undefined;
  /** Runs that were asked for and may come with the answer. */
  #promised = 0;
  /** Runs whose final state is on its way or accepted: their threads are as good as free. */
  readonly #ending = new Set<string>();
  /** Is there reason to look for runs before the next poll? */
  #look = true;
  #idlePolls = 0;
  /** Ids of claims that no answer came to. */
  readonly #unanswered: string[] = [];
  #nextDueAt: string | null = null;

  /** @throws AGENT_LABELS_INVALID */
  constructor(options: LocalAgentOptions) {
    this.#options = options;
    this.#threads = options.mode === "inline" ? 1 : Math.max(1, options.threads ?? availableParallelism() - 1);
    this.#labels = checkLabels(options.labels ?? [hostname()]);
  }

  get labels(): readonly string[] {
    return this.#labels;
  }

  /** Ids of the runs under way. */
  get activeRuns(): string[] {
    return [...this.#active.keys()];
  }

  /** Registers the agent and starts its loop; resolves when it is registered. @throws SIGNING_KEY_INVALID and what the Cloud throws */
  async start(): Promise<void> {
    if (this.#running) return;
    const session = await this.#open();
    this.#session = session;
    const stop = () => void this.stop();
    this.#options.signal?.addEventListener("abort", stop);
    if (this.#options.signal?.aborted) stop();
    this.#running = this.#loop(session).finally(async () => {
      this.#options.signal?.removeEventListener("abort", stop);
      await this.#close(session);
    });
    this.#running.catch(() => {});
  }

  /** Starts, and resolves when the agent has stopped. @throws what the Cloud throws at the start */
  async run(): Promise<void> {
    await this.start();
    await this.#running;
  }

  /** `drain` with 30 s. */
  stop(): Promise<void> {
    return this.drain({ graceMs: DEFAULT_DRAIN_MS });
  }

  /**
   * Claims nothing more, waits up to `graceMs` for the runs under way, stops the rest hard and gives them back, so that
   * another agent may take them at once. May be called again with a shorter time. Resolves when the agent has stopped.
   */
  async drain({ graceMs }: { graceMs: number }): Promise<void> {
    this.#draining.abort();
    this.#waker.wake();
    if (!this.#session) return;
    const stopped = this.#running ?? Promise.resolve();
    if (await within(stopped, graceMs)) return;
    for (const active of this.#active.values()) active.stop("RUN_STOPPED");
    if (!(await within(stopped, GIVE_BACK_MS))) this.#session.stream.close();
    await stopped;
  }

  /** One look for due runs, as many as there are free threads. Answers how many were taken. */
  async tick(): Promise<number> {
    const claim = this.#claim();
    if (!claim) return 0;
    let answer: ClaimAnswer | undefined;
    try {
      answer = await this.#options.cloud.claimRuns(claim);
    } finally {
      this.#claimed(claim, answer);
    }
    return answer.runs.length;
  }

  async #open(): Promise<Session> {
    const { cloud, name = "agent", mode = "thread", env = [], leaseMs = DEFAULT_LEASE_MS } = this.#options;
    const { requireSignedBy } = this.#options;
    const log = this.#log;
    const trusted = requireSignedBy === undefined ? undefined : await loadTrustedKeys(requireSignedBy);
    const flows = new FlowCache(cloud, trusted);
    const agentId = await cloud.registerAgent({ type: "LocalAgent", name, labels: this.#labels });
    const onCancelling = (flowRunIds: readonly string[]) => this.#cancel(flowRunIds);
    const onGranted = (taskRunIds: readonly string[]) => this.#grant(taskRunIds);
    const stream = new ReportStream({
      cloud,
      agentId,
      claim: (endingRunIds) => {
        for (const flowRunId of endingRunIds) this.#ending.add(flowRunId);
        return this.#claim();
      },
      onClaimed: (claim, answer) => this.#claimed(claim, answer),
      onCancelling,
      onGranted,
      log,
    });
    const pool =
      mode === "inline"
        ? undefined
        : new ThreadPool({
            threads: this.#threads,
            env: threadEnv(env),
            onReplaced: (flowName, leftovers) =>
              log(`A thread of flow "${flowName}" is replaced; its run left behind: ${leftovers.join(", ")}.`),
          });
    const heartbeat = startHeartbeat({
      cloud,
      agentId,
      leaseMs,
      leases: () => [...this.#active.values()].map(({ host }) => host.lease),
      onLost: (flowRunIds) => {
        for (const flowRunId of flowRunIds) this.#active.get(flowRunId)?.stop("RUN_LEASE_LOST");
      },
      onCancelling,
      onGranted,
      log,
    });
    return { agentId, flows, stream, pool, heartbeat, events: this.#listen(agentId) };
  }

  async #close({ stream, pool, heartbeat, events }: Session): Promise<void> {
    this.#draining.abort();
    await heartbeat.stop();
    stream.close();
    await pool?.close();
    await events;
  }

  async #loop({ agentId }: Session): Promise<void> {
    const { once = false, pollMs = POLL_BACK_OFF_MS.at(-1)! } = this.#options;
    this.#log(`Agent ${agentId} waits for runs with labels ${this.#labels.join(", ")}.`);
    let pollAt = 0;
    while (!this.#draining.signal.aborted) {
      if (this.#free() > 0 && (this.#look || performance.now() >= pollAt)) {
        await this.tick().catch((error: Error) =>
          this.#log(`${whatIsWrong(error)}, no runs were claimed: ${error.message}`),
        );
        pollAt = performance.now() + this.#waitMs(pollMs);
      }
      if (once && !this.#look && this.#active.size === 0 && this.#promised === 0) break;
      const waits = this.#free() > 0 ? pollAt - performance.now() : Number.POSITIVE_INFINITY;
      if (!(this.#look && this.#free() > 0)) await this.#waker.wait(Math.max(0, waits));
    }
    while (this.#active.size > 0 || this.#promised > 0) {
      await Promise.all([...this.#active.values()].map(({ ended }) => ended));
      if (this.#promised > 0) await this.#waker.wait(Number.POSITIVE_INFINITY);
    }
  }

  #waitMs(pollMs: number): number {
    const poll = pollWaitMs(this.#idlePolls, pollMs);
    const dueInMs = this.#nextDueAt === null ? -1 : Date.parse(this.#nextDueAt) - Date.now();
    // Due by now and not given out: the Cloud has its reason, or another clock. That is for the polls.
    return dueInMs > 0 ? Math.min(poll, dueInMs) : poll;
  }

  async #listen(agentId: string): Promise<void> {
    const { cloud, flowGroupId } = this.#options;
    const { signal } = this.#draining;
    // A connection that breaks is made anew by the client; here it is one that the Cloud refused. Polling goes on without.
    let failures = 0;
    while (!signal.aborted) {
      const connectedAt = performance.now();
      try {
        for await (const { runDue, cancelling, granted } of cloud.agentEvents(agentId, flowGroupId, signal)) {
          if (granted.length > 0) this.#grant(granted);
          if (cancelling.length > 0) this.#cancel(cancelling);
          if (!runDue) continue;
          this.#look = true;
          this.#waker.wake();
        }
      } catch (error) {
        if (performance.now() - connectedAt > SETTLED_AFTER_MS) failures = 0;
        if (failures === 0) this.#log(`${whatIsWrong(error)}, its events are not heard: ${(error as Error).message}`);
      }
      await sleepUnlessAborted(awayWaitMs(failures++), signal);
    }
  }

  #free(): number {
    return this.#threads - (this.#active.size - this.#ending.size) - this.#promised;
  }

  /** A claim for as many runs as there are free threads, and one claim may have; undefined when there is none. */
  #claim(): Claim | undefined {
    const session = this.#session;
    const limit = Math.min(this.#free(), MAX_CLAIM);
    if (!session || limit <= 0 || this.#draining.signal.aborted) return undefined;
    this.#promised += limit;
    // What is due by now comes with the answer; what gets due later is told by an event.
    this.#look = false;
    const { flowGroupId, leaseMs = DEFAULT_LEASE_MS } = this.#options;
    return {
      agentId: session.agentId,
      labels: this.#labels,
      limit,
      leaseMs,
      claimId: this.#unanswered.pop() ?? newId(),
      ...(flowGroupId === undefined ? {} : { flowGroupId }),
    };
  }

  #claimed(claim: Claim, answer: ClaimAnswer | undefined): void {
    this.#promised -= claim.limit;
    // It may have been taken all the same: asked again under its id, it is answered with the same runs.
    if (!answer && claim.claimId !== undefined) this.#unanswered.push(claim.claimId);
    const taken = answer?.runs.length ?? 0;
    this.#idlePolls = taken > 0 ? 0 : this.#idlePolls + 1;
    // As many as were asked for: there may be more.
    if (taken >= claim.limit) this.#look = true;
    if (answer) {
      this.#nextDueAt = answer.nextDueAt;
      for (const run of answer.runs) this.#begin(run);
    }
    this.#waker.wake();
  }

  #begin(run: ClaimedRun): void {
    const session = this.#session!;
    const { cloud, cancelGraceMs = DEFAULT_CANCEL_GRACE_MS } = this.#options;
    const { agentId, stream, pool, flows } = session;
    const active = startFlowRun(run, {
      cloud,
      agentId,
      stream,
      pool,
      flows,
      cancelGraceMs,
      log: this.#log,
    });
    this.#active.set(run.flowRunId, active);
    void active.ended.then(() => {
      this.#active.delete(run.flowRunId);
      this.#ending.delete(run.flowRunId);
      if (this.#options.once ?? false) this.#look = true;
      this.#waker.wake();
    });
    // Claimed just before the drain began: back at once.
    if (this.#draining.signal.aborted) active.stop("RUN_STOPPED");
  }

  #cancel(flowRunIds: readonly string[]): void {
    for (const flowRunId of flowRunIds) this.#active.get(flowRunId)?.cancel();
  }

  #grant(taskRunIds: readonly string[]): void {
    for (const { host } of this.#active.values()) host.grant(taskRunIds);
  }

  readonly #log = (line: string): void => this.#options.log?.(line);
}

function checkLabels(labels: readonly string[]): string[] {
  if (labels.every((label) => typeof label === "string" && label.trim() !== "")) return normalizeLabels(labels);
  throw new MillraceError(
    "AGENT_LABELS_INVALID",
    `An agent's labels are words that are not empty, and were ${JSON.stringify(labels)}.`,
  );
}

/** Did `promise` resolve within `ms`? */
async function within(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    if (Number.isFinite(ms)) timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
