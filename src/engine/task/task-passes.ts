import { isSignal, type Signal } from "../../core/signal.js";
import {
  isMapped,
  isPaused,
  isResumed,
  isRunning,
  isScheduled,
  isTerminal,
  makeState,
  type State,
  unwrapState,
} from "../../core/state.js";
import { failedToRetrieve } from "../failed-state.js";
import type { SlotSource } from "../ports.js";
import type { Progress } from "../progress.js";
import type { ReadyQueue } from "../ready-queue.js";
import type { Reports } from "../reports.js";
import { SECRET_RESULT } from "../secrets.js";
import { SlotLine } from "../slot-line.js";
import { isHandled, tellTaskHandlers } from "../state-handlers.js";
import type { WaitingRoom } from "../waiting-room.js";
import { needsPreparation, prepareTry } from "./before-try.js";
import { keepCached, toCached } from "./caching.js";
import { fillArguments } from "./fill-arguments.js";
import { triggerPasses, upstreamSkipped } from "./gates.js";
import { makeChildren, mappedState } from "./mapping.js";
import { nextPass, refusePause } from "./next-pass.js";
import { approvalEnd, isLeftAlone } from "./pause.js";
import { endBySignal, endWith, type TaskEnd } from "./task-end.js";
import type { KnownTaskRuns, TaskRun } from "./task-run.js";
import { retryOf, type Surroundings, tryTask, viewOf } from "./task-runner.js";
import { carriedBy, resumptionOf } from "./task-standing.js";
import { type Values, valueSources, widthSources } from "./values.js";

/** What the passes of task runs need of their flow run. */
export interface FlowRunParts {
  readonly around: () => Surroundings;
  readonly known: KnownTaskRuns;
  readonly queue: ReadyQueue;
  readonly progress: Progress;
  readonly reports: Reports;
  readonly values: Values;
  readonly waiting: WaitingRoom;
  readonly slots: SlotSource | undefined;
  /** Takes promises that nobody else awaits. */
  readonly watch: (promise: Promise<unknown>) => void;
  /** Starts what is ready. */
  readonly go: () => void;
  /** May task runs start? */
  readonly isOpen: () => boolean;
  /** Is the run over, or no longer ours? */
  readonly isOver: () => boolean;
  /** For what a task run waits for: when it is done, whatever it made ready is started. */
  readonly during: (work: Promise<unknown>) => void;
}

/** Takes the task runs of one flow run through their passes; task-runner.ts tells the order. */
export class TaskPasses {
  readonly #parts: FlowRunParts;
  readonly #running = new Set<TaskRun>();
  /** Open questions to a person, by the task run that waits for the answer. */
  readonly #questions = new Map<TaskRun, AbortController>();
  readonly #slotLine: SlotLine;
  #leftAlone = 0;

  constructor(parts: FlowRunParts) {
    this.#parts = parts;
    const again = (runs: readonly TaskRun[]) => {
      for (const run of runs) parts.queue.push(run);
      parts.go();
    };
    this.#slotLine = new SlotLine(parts.slots, again, parts.watch);
  }

  /** Those whose code runs. */
  get running(): ReadonlySet<TaskRun> {
    return this.#running;
  }

  /** How many wait for somebody who is not here. */
  get leftAlone(): number {
    return this.#leftAlone;
  }

  /** How many wait for a free slot of a concurrency limit. */
  get inSlotLine(): number {
    return this.#slotLine.length;
  }

  /** The run is over for this process. */
  close(): void {
    this.#slotLine.close();
  }

  /** Begins the next pass of a task run that is ready. */
  start(run: TaskRun): void {
    const state = unwrapState(run.state);
    if (state && isScheduled(state)) {
      if (this.#waits(run, state)) return;
      if (isPaused(state) || isResumed(state)) run.resumption = resumptionOf(state, run.resumeSchema);
    }
    if (run.isParent && state?.type === "Mapped") {
      if (state.mapCount !== undefined) {
        this.#resumeMapped(run, state.mapCount);
        return;
      }
      // Set by someone who did not count: it is mapped anew, and the Cloud's state stands.
      run.unreported = true;
    }
    // Of a flattened list the values say which upstream a child stands under: they come before the gates.
    if (run.parent && run.plan.flattens && this.#load(run, widthSources(run, this.#around.tasks))) return;
    const view = viewOf(run, this.#around);
    const skipped = upstreamSkipped(view);
    if (skipped) {
      this.#enter(run, endWith(skipped));
      return;
    }
    if (this.#load(run, (run.isParent ? widthSources : valueSources)(run, this.#around.tasks))) return;
    if (run.isParent) {
      this.#enter(run, endWith(mappedState(run, this.#around)));
      return;
    }
    const ended = triggerPasses(view);
    if (!ended) this.#parts.during(this.#execute(run));
    else if (isSignal(ended)) this.#parts.during(this.#enterBySignal(run, ended));
    else this.#enter(run, endWith(ended));
  }

  /** An earlier agent had mapped the task: only the children that it did not finish are left. */
  #resumeMapped(run: TaskRun, width: number): void {
    makeChildren(run, width, this.#around.tasks, this.#parts.known);
    this.#parts.queue.release(run);
    this.#parts.progress.finished(run);
  }

  async #execute(run: TaskRun): Promise<void> {
    // The code of the last try may not have heeded its signal yet.
    if (run.call?.overtime) await run.call.overtime;
    const args = fillArguments(run, this.#around.tasks, this.#around.readReference);
    if (needsPreparation(run)) {
      const end = await prepareTry(run, args, this.#around);
      if (end && this.#parts.isOpen()) this.#enter(run, end, args);
      if (end) return;
    }
    if (!this.#parts.isOpen() || !(await this.#enterTry(run, args))) return;
    // Between the acceptance and here other promises had their turn: the run may be over, or lost.
    if (!this.#parts.isOpen()) return;
    this.#running.add(run);
    let end = await tryTask(run, args, this.#around);
    if (isHandled(run.plan.task)) {
      const retry = (failure: TaskEnd) => retryOf(failure, run, this.#around);
      end = await tellTaskHandlers({ run, end, args, retry }, this.#around);
    }
    if (run.plan.task.options.cacheForMs !== undefined) end = await this.#cache(run, end, args);
    this.#running.delete(run);
    // Otherwise too late: the run is over, or no longer ours.
    if (!this.#parts.isOver()) this.#settle(run, end, true);
  }

  /** True when the task run is Running, its handlers agree, and the Cloud has accepted it. */
  async #enterTry(run: TaskRun, args: readonly unknown[]): Promise<boolean> {
    run.runCount += 1;
    let running = makeState("Running", "Starting task run.", {
      at: this.#around.timestamps.now(),
      runCount: run.runCount,
      ...carriedBy(run),
    });
    if (isHandled(run.plan.task)) {
      const end = await tellTaskHandlers({ run, end: endWith(running), args, retry: undefined }, this.#around);
      if (!this.#parts.isOpen()) return false;
      if (!isRunning(end.state)) {
        this.#settle(run, end, true);
        return false;
      }
      running = end.state;
    }
    const before = unwrapState(run.state);
    const answer = await this.#parts.reports.taskRun(run, running);
    if (answer === "queued") this.#waitForSlot(run, before, running.at);
    return answer === "accepted";
  }

  /** The Cloud holds it for Queued, and tells when there is a slot: until then it holds up nobody, and this was no try. */
  #waitForSlot(run: TaskRun, before: State | null, at: string): void {
    run.runCount -= 1;
    run.state = makeState("Queued", null, { at, ...(before ? { wrapped: before } : {}) });
    this.#parts.queue.release(run);
    if (this.#parts.isOpen() && this.#slotLine.add(run)) this.#parts.queue.push(run);
  }

  /** A Success whose task keeps its results for later runs is reported as such, and then becomes a Cached one. */
  async #cache(run: TaskRun, success: TaskEnd, args: readonly unknown[]): Promise<TaskEnd> {
    if (this.#parts.isOver()) return success;
    const state = await toCached(success.state, run, args, this.#around);
    if (state === success.state) return success;
    let end: TaskEnd = { ...success, state };
    if (isHandled(run.plan.task))
      end = await tellTaskHandlers({ run, end, args, retry: undefined, from: success.state }, this.#around);
    // A handler may have made something else of it: then there was no success.
    if (end.state.type !== "Cached" || this.#parts.isOver()) return end;
    void this.#parts.reports.taskRun(run, success.state);
    keepCached(end.state, run, this.#around);
    return end;
  }

  async #enterBySignal(run: TaskRun, signal: Signal): Promise<void> {
    const end = await endBySignal(signal, run, [], this.#around);
    if (this.#parts.isOpen()) this.#enter(run, end);
  }

  /** A task run enters a state outside a try; its handlers are told first. */
  #enter(run: TaskRun, end: TaskEnd, args: readonly unknown[] = []): void {
    if (!isHandled(run.plan.task)) {
      this.#settle(run, end, false);
      return;
    }
    const told = tellTaskHandlers({ run, end, args, retry: undefined }, this.#around);
    this.#parts.during(
      told.then((counts) => {
        if (this.#parts.isOpen()) this.#settle(run, counts, false);
      }),
    );
  }

  #settle(run: TaskRun, end: TaskEnd, tried: boolean): void {
    if (isTerminal(end.state)) {
      this.finish(run, end);
      return;
    }
    if (run.unreported && isLeftAlone(end.state)) {
      this.finish(run, endWith(refusePause(run, this.#around.timestamps.now())));
      return;
    }
    void this.#parts.reports.taskRun(run, nextPass(run, end, tried));
    this.#parts.queue.push(run);
  }

  /** A task run enters its final state; its handlers were told. */
  finish(run: TaskRun, { state, value, known }: TaskEnd): void {
    void this.#parts.reports.taskRun(run, state);
    run.value = value;
    // A secret is read when a task that takes it starts.
    run.valueKnown = known && !isMapped(state) && state.result?.type !== SECRET_RESULT;
    run.call = undefined;
    if (run.isParent && isMapped(state)) makeChildren(run, state.mapCount ?? 0, this.#around.tasks, this.#parts.known);
    this.#parts.queue.release(run);
    this.#parts.progress.finished(run);
  }

  /** True when values must be read first; the task run then begins again, or fails when they cannot be had. */
  #load(run: TaskRun, sources: readonly TaskRun[]): boolean {
    const loading = this.#parts.values.load(sources);
    if (!loading) return false;
    const again = () => this.#parts.queue.push(run);
    const fail = (error: unknown) => {
      if (this.#parts.isOpen()) this.#enter(run, endWith(failedToRetrieve(error, this.#around.timestamps.now())));
    };
    this.#parts.during(loading.then(again, fail));
    return true;
  }

  /** Their time has come. */
  due(runs: readonly TaskRun[]): void {
    for (const run of runs) {
      this.#questions.get(run)?.abort();
      this.#parts.queue.push(run);
    }
    this.#parts.go();
  }

  /** True when the task run's time has not come: it holds up nobody meanwhile. */
  #waits(run: TaskRun, state: State): boolean {
    const { approve, clock } = this.#around.ports;
    const dueAt = isLeftAlone(state) ? undefined : Date.parse(state.startAt ?? "");
    // Without a time it is due; a time that cannot be read is none.
    if (dueAt !== undefined && !(dueAt > clock.now())) return false;
    this.#parts.queue.release(run);
    if (dueAt !== undefined) this.#parts.waiting.add(run, dueAt);
    if (approve && isPaused(state)) this.#parts.during(this.#askPerson(run, state, dueAt !== undefined));
    else if (dueAt === undefined) this.#leftAlone += 1;
    return true;
  }

  async #askPerson(run: TaskRun, paused: State, hasTime: boolean): Promise<void> {
    const question = new AbortController();
    this.#questions.set(run, question);
    const end = await approvalEnd(run, paused, question.signal, this.#around);
    if (this.#questions.get(run) === question) this.#questions.delete(run);
    if (!this.#parts.isOpen() || question.signal.aborted) return;
    if (end !== "wait") this.#enter(run, end);
    else if (!hasTime) this.#leftAlone += 1;
  }

  get #around(): Surroundings {
    return this.#parts.around();
  }
}
