import type { ClaimedRun, Lease } from "../client/cloud.js";
import type { FailureRecord } from "../codec/failure.js";
import { toFailure } from "../codec/failure.js";
import type { WireState } from "../codec/state-json.js";
import { MillraceError } from "../core/errors.js";
import { isStateType, isTerminal, type StateType } from "../core/state.js";
import type { HostAnswer, HostQuestion, ReportEntry, ReportReply, RunHost, RunReport } from "../threads/messages.js";
import { endsItsRun, type ReportStream } from "./report-stream.js";

/** A task run as the last accepted report left it. */
export interface SeenTaskRun {
  taskRunId: string;
  taskSlug: string;
  mapIndex: number;
  version: number;
  type: StateType | null;
  /** How often it was tried, where its state says. */
  runCount: number | null;
}

/** Finds the answer to a run's question, with the agent's own rights; the run sees nothing but the answer. @throws why there is none */
export type AnswerQuestion = (question: HostQuestion) => Promise<unknown>;

/** What a host tells its agent. */
export interface HostEvents {
  /** Once, when the Cloud has accepted the flow run's final state. */
  onEnded?: () => void;
  /** Of each task run's state that the Cloud has accepted. */
  onTaskRun?: (taskRun: SeenTaskRun, state: WireState) => void;
}

/**
 * One run's capability: reports go out under this run's lease and no other. It also remembers what was accepted, so that
 * the agent can end the run when its thread no longer does.
 */
export class FlowRunHost implements RunHost {
  readonly lease: Lease;
  readonly #stream: ReportStream;
  readonly #taskRuns = new Map<string, SeenTaskRun>();
  readonly #stop = Promise.withResolvers<FailureRecord>();
  #stopCode: string | null = null;
  readonly #events: HostEvents;
  #underWay: Promise<ReportReply> = Promise.resolve(null);
  /** Task runs that have their slots, and that the run was not told of. */
  #granted = new Set<string>();
  #tellGranted: ((taskRunIds: string[]) => void) | undefined;
  #hasLast = false;
  #begun = false;
  #acceptedState: string | null = null;
  #closed: FailureRecord | undefined;

  readonly #answer: AnswerQuestion;

  constructor(run: ClaimedRun, stream: ReportStream, answer: AnswerQuestion, events: HostEvents = {}) {
    this.#answer = answer;
    this.#events = events;
    this.lease = { flowRunId: run.flowRunId, fence: run.fence };
    this.#stream = stream;
    for (const { state, ...taskRun } of run.taskRuns) {
      const type = isStateType(state?.type) ? state.type : null;
      this.#taskRuns.set(taskRun.taskRunId, { ...taskRun, type, runCount: null });
    }
  }

  /** The type of the flow run's last state that the Cloud has accepted from this host. */
  get acceptedState(): string | null {
    return this.#acceptedState;
  }

  get hasEnded(): boolean {
    return isStateType(this.#acceptedState) && isTerminal({ type: this.#acceptedState });
  }

  /** Has the run reported anything? */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * The report with the flow run's final state is answered at once: nothing on the thread waits for it, and the thread may
   * take the next run meanwhile. What becomes of it is told by {@link settled}; log lines may follow it.
   */
  report(report: RunReport): Promise<ReportReply> {
    if (this.#closed) return Promise.resolve(this.#closed);
    this.#underWay = this.#hasLast
      ? this.#underWay.then((reply) => failureOf(reply) ?? this.#send(report))
      : this.#send(report);
    if (this.#hasLast || !endsItsRun(report)) return this.#underWay;
    this.#hasLast = true;
    return Promise.resolve(null);
  }

  /** Has the run handed over its flow run's final state, accepted or not? */
  get hasLast(): boolean {
    return this.#hasLast;
  }

  /** Resolves when all that was reported is answered: with null, or with why the Cloud did not accept it. */
  async settled(): Promise<FailureRecord | null> {
    return failureOf(await this.#underWay);
  }

  /** These task runs, of this run or of others, have their slots. */
  grant(taskRunIds: readonly string[]): void {
    for (const taskRunId of taskRunIds) if (this.#taskRuns.has(taskRunId)) this.#granted.add(taskRunId);
    this.#tell();
  }

  /** The run asks when it has task runs that wait, and once at a time. */
  #askSlots(): Promise<string[]> {
    const asked = Promise.withResolvers<string[]>();
    this.#tellGranted?.([]);
    this.#tellGranted = asked.resolve;
    this.#tell();
    return asked.promise;
  }

  #tell(): void {
    if (!this.#tellGranted || (this.#granted.size === 0 && !this.#closed)) return;
    this.#tellGranted([...this.#granted]);
    this.#tellGranted = undefined;
    this.#granted = new Set();
  }

  async #send(report: RunReport): Promise<ReportReply> {
    this.#begun = true;
    const flowState = report.states.findLast((entry) => entry.taskRun === undefined)?.state.type;
    const reply = await this.#stream.report(this.lease, report);
    const failure = failureOf(reply);
    if (failure !== null) {
      // Of a refused report, and of one whose answer was lost, nobody here knows how far it was taken: what is known stays,
      // and the Cloud closes the run's task runs when it ends.
      this.#closed ??= failure;
      this.#tell();
      return failure;
    }
    const queued = new Set(queuedOf(reply));
    for (const entry of report.states) this.#remember(entry, queued);
    if (flowState !== undefined) {
      this.#acceptedState = flowState;
      if (this.hasEnded) this.#events.onEnded?.();
    }
    return reply;
  }

  ask(question: HostQuestion): Promise<HostAnswer> {
    if (this.#closed) return Promise.resolve({ failure: this.#closed });
    if (question.about === "slots") return this.#askSlots().then((answer) => ({ answer }));
    return this.#answer(question).then(
      (answer) => ({ answer }),
      (error: unknown) => ({ failure: toFailure(error) }),
    );
  }

  stopped(): Promise<FailureRecord> {
    return this.#stop.promise;
  }

  /** Tells the run to end; the first reason stands. */
  stop(failure: FailureRecord): void {
    this.#stopCode ??= failure.code;
    this.#stop.resolve(failure);
  }

  /** Why the run was told to end, by the code; null when it was not. */
  get stopCode(): string | null {
    return this.#stopCode;
  }

  /** Takes no more reports from the run, and resolves when the one under way was answered. */
  async close(): Promise<void> {
    this.#closed ??= toFailure(new MillraceError("RUN_STOPPED", "The run is over for this thread."));
    this.#tell();
    await this.#underWay;
  }

  /** The task runs that have no final state. */
  unfinished(): SeenTaskRun[] {
    return [...this.#taskRuns.values()].filter(({ type }) => type === null || !isTerminal({ type }));
  }

  #remember({ taskRun, state }: ReportEntry, queued: ReadonlySet<string>): void {
    if (!taskRun || !isStateType(state.type)) return;
    const runCount = typeof state.run_count === "number" ? state.run_count : null;
    const seen = { ...taskRun, version: taskRun.version + 1, type: state.type, runCount };
    if (state.type === "Running" && queued.has(taskRun.taskRunId)) {
      this.#taskRuns.set(taskRun.taskRunId, { ...seen, type: "Queued" });
      return;
    }
    this.#taskRuns.set(taskRun.taskRunId, seen);
    this.#events.onTaskRun?.(seen, state);
  }
}

/** Why a report was not accepted; null when it was. */
export function failureOf(reply: ReportReply): FailureRecord | null {
  return reply === null || "queued" in reply ? null : reply;
}

function queuedOf(reply: ReportReply): readonly string[] {
  return reply !== null && "queued" in reply ? reply.queued : [];
}
