import type { Claim, ClaimAnswer, Cloud, Lease, ReportAnswer, ReportBatch } from "../client/cloud.js";
import { sleepUnlessAborted } from "../client/retry.js";
import { type FailureRecord, toFailure } from "../codec/failure.js";
import { MillraceError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { isStateType, isTerminal } from "../core/state.js";
import type { ReportReply, RunReport } from "../threads/messages.js";
import { isAway, isTrouble, whatIsWrong } from "./away.js";
import { awayWaitMs } from "./back-off.js";

/** States and log lines of one mutation, over all runs; a single run's report may be as large (threads/limits.ts). */
const MAX_BATCH_STATES = 2_000;
const MAX_BATCH_LOGS = 2_000;
/** Text of one mutation, in characters: what Prefect's server takes is 5 MB. */
const MAX_BATCH_CHARS = 3_000_000;

/** How often a batch at which the Cloud fails is sent again, over about 20 s, before it is taken for the batch's own fault. */
const MAX_TROUBLES = 8;

export interface ReportStreamOptions {
  cloud: Pick<Cloud, "reportStates">;
  agentId: string;
  /** Asked with each batch that has the final state of these runs: what to claim in the same round trip. */
  claim: (endingRunIds: readonly string[]) => Claim | undefined;
  /** The answer to that, or undefined when there was none. */
  onClaimed: (claim: Claim, answer: ClaimAnswer | undefined) => void;
  onCancelling: (flowRunIds: readonly string[]) => void;
  /** Told of task runs that waited for a slot and have it. */
  onGranted: (taskRunIds: readonly string[]) => void;
  log: (line: string) => void;
}

interface Waiting {
  lease: Lease;
  report: RunReport;
  answer(reply: ReportReply): void;
}

/** A numbered stream of batches, one of which is under way at a time. */
interface Lane {
  streamId: string;
  batch: number;
  sending: boolean;
}

/**
 * Mutations under way at once. With one, a run's report waits for its neighbour's round trip: 500 runs of 5 tasks on 2 threads
 * ran at 123/s with one lane, 177/s with two, 180/s with three, where a bare round trip took 0.33 ms.
 */
const LANES = 2;

/**
 * The agent's reports to the Cloud: the reports of all runs go together, gathering while earlier ones are under way. While
 * the Cloud is away a batch is sent again and again, under its number, so that the Cloud can tell what it has had;
 * everything behind it waits, and nothing is dropped. A run has one report here at a time, which is what bounds the stream
 * and keeps a run's states in order.
 */
export class ReportStream {
  readonly #options: ReportStreamOptions;
  readonly #lanes: readonly Lane[] = Array.from({ length: LANES }, () => ({
    streamId: newId(),
    batch: 0,
    sending: false,
  }));
  readonly #closing = new AbortController();
  #queue: Waiting[] = [];
  #scheduled = false;
  #away = false;

  constructor(options: ReportStreamOptions) {
    this.#options = options;
  }

  /** Resolves with null, or who is Queued, when the Cloud has accepted all of the report, otherwise with why not. */
  report(lease: Lease, report: RunReport): Promise<ReportReply> {
    if (this.#closing.signal.aborted) return Promise.resolve(closedFailure());
    return new Promise((answer) => {
      this.#queue.push({ lease, report, answer });
      this.#schedule();
    });
  }

  /** Answers what waits with RUN_STOPPED, and takes nothing more. */
  close(): void {
    this.#closing.abort();
    for (const { answer } of this.#queue.splice(0)) answer(closedFailure());
  }

  /** Reports that come within this tick travel together. */
  #schedule(): void {
    if (this.#scheduled || this.#lanes.every(({ sending }) => sending)) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      const free = this.#lanes.find(({ sending }) => !sending);
      if (free) void this.#pump(free);
    });
  }

  async #pump(lane: Lane): Promise<void> {
    lane.sending = true;
    while (this.#queue.length > 0) await this.#deliver(lane, this.#take());
    lane.sending = false;
  }

  /** Sends one batch; one that the Cloud cannot take is taken apart, so that one run's trouble is not its neighbours'. */
  async #deliver(lane: Lane, waiting: readonly Waiting[]): Promise<void> {
    const ending = waiting.filter(({ report }) => endsItsRun(report)).map(({ lease }) => lease.flowRunId);
    const claim = ending.length > 0 ? this.#options.claim(ending) : undefined;
    let answer: ReportAnswer | undefined;
    try {
      answer = await this.#send(lane, waiting, claim);
    } catch (error) {
      if (claim) this.#options.onClaimed(claim, undefined);
      if (waiting.length > 1) for (const each of waiting) await this.#deliver(lane, [each]);
      else for (const each of waiting) each.answer(toFailure(error));
      return;
    }
    // First why, then what: a run that is refused because it is being cancelled is to know that when it hears of it.
    if (answer.cancelling.length > 0) this.#options.onCancelling(answer.cancelling);
    settle(waiting, answer);
    if (answer.granted.length > 0) this.#options.onGranted(answer.granted);
    if (claim) this.#options.onClaimed(claim, answer.claimed);
  }

  async #send(lane: Lane, waiting: readonly Waiting[], claim: Claim | undefined): Promise<ReportAnswer> {
    const { cloud, agentId, log } = this.#options;
    const { signal } = this.#closing;
    lane.batch += 1;
    const runs = waiting.map(({ lease, report }) => ({ ...lease, ...report }));
    const batch: ReportBatch = { agentId, streamId: lane.streamId, batch: lane.batch, runs };
    for (let failures = 0; ; failures++) {
      try {
        const answer = await cloud.reportStates(batch, claim);
        if (this.#away) log("The Cloud is back; runs go on where they stopped.");
        this.#away = false;
        return answer;
      } catch (error) {
        if (!isAway(error) && !(isTrouble(error) && failures < MAX_TROUBLES)) throw error;
        if (signal.aborted) {
          throw new MillraceError("RUN_STOPPED", "The agent stopped while the Cloud was away.", { cause: error });
        }
        if (!this.#away) log(`${whatIsWrong(error)}, reports wait: ${(error as Error).message}`);
        this.#away = true;
        await sleepUnlessAborted(awayWaitMs(failures), signal);
      }
    }
  }

  #take(): Waiting[] {
    let states = 0;
    let logs = 0;
    let chars = 0;
    let count = 0;
    for (const { report } of this.#queue) {
      states += report.states.length;
      logs += report.logs.length;
      chars += estimateChars(report);
      if (count > 0 && (states > MAX_BATCH_STATES || logs > MAX_BATCH_LOGS || chars > MAX_BATCH_CHARS)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }
}

function settle(waiting: readonly Waiting[], { refused, queued }: ReportAnswer): void {
  const inLine = new Set(queued);
  for (const { lease, report, answer } of waiting) {
    const refusal = refused.find(({ flowRunId }) => flowRunId === lease.flowRunId);
    answer(
      refusal
        ? { ...toFailure(new Error(refusal.message)), name: "MillraceError", code: refusal.code, stack: null }
        : queuedOf(report, inLine),
    );
  }
}

function queuedOf({ states }: RunReport, inLine: ReadonlySet<string>): ReportReply {
  if (inLine.size === 0) return null;
  const queued = states.flatMap(({ taskRun }) => (taskRun && inLine.has(taskRun.taskRunId) ? [taskRun.taskRunId] : []));
  return queued.length === 0 ? null : { queued: [...new Set(queued)] };
}

/** Is the last of its states the flow run's final one? */
export function endsItsRun({ states }: RunReport): boolean {
  const last = states.at(-1);
  return (
    last !== undefined &&
    last.taskRun === undefined &&
    isStateType(last.state.type) &&
    isTerminal({ type: last.state.type })
  );
}

/** A state's JSON without its texts is some 300 characters; the texts are counted. */
function estimateChars({ states, logs }: RunReport): number {
  let chars = 0;
  for (const { state } of states) {
    chars += 300 + ((state.message as string | null)?.length ?? 0);
    if (state._result !== undefined || state.context !== undefined)
      chars += JSON.stringify([state._result, state.context]).length;
  }
  for (const { message } of logs) chars += 150 + message.length;
  return chars;
}

function closedFailure(): FailureRecord {
  return toFailure(new MillraceError("RUN_STOPPED", "The agent has stopped."));
}
