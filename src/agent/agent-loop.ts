import type { Claim, ClaimAnswer, ClaimedRun, Cloud } from "../client/cloud.js";
import { MAX_CLAIM } from "../core/claim-limit.js";
import { MillraceError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { normalizeLabels } from "../core/labels.js";
import { whatIsWrong } from "./away.js";
import { POLL_BACK_OFF_MS, pollWaitMs, Waker } from "./back-off.js";
import type { ActiveRun, ExecutorPorts, RunExecutor } from "./run-executor.js";
import { openSession, type Session } from "./session.js";

/** How long a claim lasts without being renewed: how long a run stands still after its agent died. */
export const DEFAULT_LEASE_MS = 30_000;
/** Longer than the engine's own grace (5 s), after which a run that heeds its signal reports itself Cancelled. */
export const DEFAULT_CANCEL_GRACE_MS = 8_000;
/** What `stop()` waits for runs under way. */
export const DEFAULT_DRAIN_MS = 30_000;
/** A drained agent waits so long to give its runs back to a Cloud that is away; their leases end by themselves. */
const GIVE_BACK_MS = 5_000;

/** What every kind of agent takes; all but `cloud` are optional. */
export interface AgentOptions {
  cloud: Cloud;
  /** Default "agent". */
  name?: string;
  /** A run is taken when all of its labels are among these. */
  labels?: readonly string[];
  /** Take runs of this flow group only. */
  flowGroupId?: string;
  /** The longest wait between two polls, in milliseconds. Default 10,000. */
  pollMs?: number;
  /** How long a claim lasts without being renewed, in milliseconds. Default 30,000. */
  leaseMs?: number;
  /** How long a cancelled run may take to end before it is stopped hard, in milliseconds. Default 8,000. */
  cancelGraceMs?: number;
  /** Run what is due and return. Default false. */
  once?: boolean;
  /** Takes the agent's own lines. Default: nobody. */
  log?: (line: string) => void;
  /** Stops the agent as `stop()` does. */
  signal?: AbortSignal;
}

/** What makes an agent one of its kind. */
export interface AgentKind {
  /** Its name in the Cloud, for instance "LocalAgent". */
  type: string;
  labels: readonly string[];
  /** How many runs at once. */
  limit: number;
  /** What the executor cannot do without is looked for before the agent is registered. */
  prepare: () => Promise<(ports: ExecutorPorts) => RunExecutor>;
}

/** What stands while the agent is started. */
interface Standing extends Session {
  agentId: string;
  executor: RunExecutor;
}

/**
 * The loop of every agent. It is idle until `start`; then it claims as many runs as it has room for, when the Cloud says
 * that one is due, when a run ends, and now and then anyway; on `drain` it claims nothing more, and is stopped when the last
 * run has ended or was given up. What becomes of a claimed run is its executor's affair.
 */
export class AgentLoop {
  readonly #options: AgentOptions;
  readonly #kind: AgentKind;
  readonly #labels: string[];
  readonly #active = new Map<string, ActiveRun>();
  readonly #waker = new Waker();
  readonly #draining = new AbortController();
  #session: Standing | undefined;
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
  constructor(options: AgentOptions, kind: AgentKind) {
    this.#options = options;
    this.#kind = kind;
    this.#labels = checkLabels(kind.labels);
  }

  get labels(): readonly string[] {
    return this.#labels;
  }

  /** Ids of the runs under way. */
  get activeRuns(): string[] {
    return [...this.#active.keys()];
  }

  /** Registers the agent and starts its loop; resolves when it is registered. @throws what the executor misses, and what the Cloud throws */
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

  /** One look for due runs, as many as there is room for. Answers how many were taken. */
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

  async #open(): Promise<Standing> {
    const { cloud, name = "agent", leaseMs = DEFAULT_LEASE_MS, flowGroupId } = this.#options;
    const log = this.#log;
    const makeExecutor = await this.#kind.prepare();
    const agentId = await cloud.registerAgent({ type: this.#kind.type, name, labels: this.#labels });
    const lookAgain = () => {
      this.#look = true;
      this.#waker.wake();
    };
    const session = openSession({
      cloud,
      agentId,
      leaseMs,
      flowGroupId,
      active: this.#active,
      claim: (endingRunIds) => {
        for (const flowRunId of endingRunIds) this.#ending.add(flowRunId);
        return this.#claim();
      },
      onClaimed: (claim, answer) => this.#claimed(claim, answer),
      onRunDue: lookAgain,
      log,
    });
    this.#draining.signal.addEventListener("abort", () => session.stopListening());
    const executor = makeExecutor({ cloud, agentId, leaseMs, stream: session.stream, onReady: lookAgain, log });
    try {
      for (const active of (await executor.adopt?.()) ?? []) this.#follow(active);
    } catch (error) {
      await session.close();
      await executor.close();
      throw error;
    }
    return { agentId, executor, ...session };
  }

  async #close({ executor, close }: Standing): Promise<void> {
    this.#draining.abort();
    await close();
    await executor.close();
  }

  async #loop({ agentId }: Standing): Promise<void> {
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

  #free(): number {
    if (this.#session?.executor.isReady?.() === false) return 0;
    return this.#kind.limit - (this.#active.size - this.#ending.size) - this.#promised;
  }

  /** A claim for as many runs as there is room for, and one claim may have; undefined when there is none. */
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
      for (const run of answer.runs) this.#begin(run, claim.claimId);
    }
    this.#waker.wake();
  }

  #begin(run: ClaimedRun, claimId: string | undefined): void {
    const active = this.#session!.executor.start(run, claimId);
    this.#follow(active);
    // Claimed just before the drain began: back at once.
    if (this.#draining.signal.aborted) active.stop("RUN_STOPPED");
  }

  #follow(active: ActiveRun): void {
    const { flowRunId } = active;
    this.#active.set(flowRunId, active);
    void active.ended.then(() => {
      // Given back and claimed again, the run may be here anew.
      if (this.#active.get(flowRunId) === active) {
        this.#active.delete(flowRunId);
        this.#ending.delete(flowRunId);
      }
      if (this.#options.once ?? false) this.#look = true;
      this.#waker.wake();
    });
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
