import { isMillraceError, MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { isRunning, isTerminal, makeState, type State, unwrapState } from "../core/state.js";
import { failed } from "./failed-state.js";
import { closeResource, type OpenResource, openResources } from "./open-resources.js";
import { finalFlowState, gatherOutcome } from "./outcome.js";
import { type ParameterEnd, parameterEnds } from "./parameter-ends.js";
import { resolveParameters } from "./parameters.js";
import { type FlowPlan, planOf } from "./plan.js";
import type { EngineEnd, EngineOutcome, EnginePorts, EngineRun } from "./ports.js";
import { Progress } from "./progress.js";
import { ReadyQueue } from "./ready-queue.js";
import { Reports } from "./reports.js";
import { takeBackVolatile } from "./rerun.js";
import { guardSecrets } from "./secrets.js";
import { SlotPatience } from "./slot-patience.js";
import { askTerminalHandler, flowLogger, isFlowHandled, tellFlowHandlers } from "./state-handlers.js";
import { referenceReader } from "./task/fill-arguments.js";
import { warnOfUnflattened } from "./task/flatten-warning.js";
import { makeChildren } from "./task/mapping.js";
import { isoAt } from "./task/retry.js";
import { endWith, taskLogger } from "./task/task-end.js";
import { TaskPasses } from "./task/task-passes.js";
import { KnownTaskRuns, TaskRun } from "./task/task-run.js";
import { cancelled, type Surroundings } from "./task/task-runner.js";
import { expandStates } from "./task/upstream.js";
import { Values } from "./task/values.js";
import { Timestamps } from "./timestamps.js";
import { WaitingRoom } from "./waiting-room.js";

/** How long a cancelled run waits for code that heeds its signal; a thread whose code does not is stopped from outside. */
export const CANCEL_GRACE_MS = 5_000;

/** How long resources may take to be given back when a run is cancelled: with the grace above, less than an agent's 8 s. */
export const GIVE_BACK_GRACE_MS = 2_500;

const CANCELLED = "The flow run was cancelled.";

/**
 * Runs a flow: from its parameters to its final state, or until its task runs wait for longer than `ports.maxWaitMs`.
 * Resolves when the last state, and every one before it, was accepted, and the output and all task runs are put together.
 * Parameters that the flow cannot use end the run Failed before its first task, with the error in the state's context.
 * @throws what the reporter refused a state with, and RUN_LEASE_LOST or RUN_STOPPED from `ports.signal`
 */
export async function runFlow(flow: FlowDefinition, run: EngineRun, ports: EnginePorts): Promise<EngineOutcome> {
  const guarded = guardSecrets(flow, ports);
  const runner = new FlowRunner(flow, run, guarded.ports);
  return guarded.outcome(await runner.gather(await runner.run()));
}

/** The same for who needs the end alone: no result is read for the sake of the output. @throws see {@link runFlow} */
export async function runFlowToState(flow: FlowDefinition, run: EngineRun, ports: EnginePorts): Promise<EngineEnd> {
  const guarded = guardSecrets(flow, ports);
  const end = await new FlowRunner(flow, run, guarded.ports).run();
  return end.kind === "finished" ? { ...end, state: guarded.state(end.state) } : end;
}

/**
 * One flow run. It is `open` until its final state is worked out (`concluding`, while state handlers are asked) and
 * reported (`ended`), or its task runs wait for too long (`ended`, without a final state); or a cancellation comes
 * (`cancelling`: nothing is started, what runs may end), or it has lost its right to report (`aborted`: nothing is started
 * nor reported).
 *
 * Within one call of {@link FlowRunner.#go} everything happens in one tick: the state that a task ended with, and the
 * Running of whatever it lets start.
 */
class FlowRunner {
  readonly #plan: FlowPlan;
  readonly #ports: EnginePorts;
  readonly #known: KnownTaskRuns;
  readonly #tasks: readonly TaskRun[];
  readonly #queue: ReadyQueue;
  readonly #progress: Progress;
  readonly #reports: Reports;
  readonly #values: Values;
  readonly #waiting: WaitingRoom;
  readonly #passes: TaskPasses;
  readonly #patience: SlotPatience;
  readonly #stop = new AbortController();
  readonly #over = new AbortController();
  readonly #done = Promise.withResolvers<EngineEnd>();
  #around: Surroundings;
  #phase: "open" | "concluding" | "cancelling" | "ended" | "aborted" = "open";
  #going = false;
  /** Resources are being given back, as the run is over for this process. */
  #givingBack: Promise<void> | undefined;
  /** Things under way that may make a task run ready, or end one. */
  #busy = 0;
  #state = makeState("Pending", null);

  constructor(flow: FlowDefinition, run: EngineRun, ports: EnginePorts) {
    this.#plan = planOf(flow);
    this.#ports = ports;
    this.#known = new KnownTaskRuns(run.taskRuns);
    this.#tasks = this.#plan.tasks.map((each) => new TaskRun(each, undefined, -1, this.#known.get(each.task.slug, -1)));
    this.#queue = new ReadyQueue(ports.executor.limit);
    this.#progress = new Progress(this.#plan, this.#tasks, this.#queue);
    this.#reports = new Reports(ports.reporter, (error) => this.#abort(error));
    this.#values = new Values(ports.results);
    const watch = (promise: Promise<unknown>) => this.#watch(promise);
    const go = () => this.#go();
    this.#waiting = new WaitingRoom(ports.clock, (due) => this.#passes.due(due), watch);
    this.#patience = new SlotPatience({ ...ports, over: this.#over.signal }, go, watch);
    this.#around = {
      flow,
      run,
      ports,
      timestamps: new Timestamps(ports.clock),
      tasks: this.#tasks,
      readReference: referenceReader(this.#tasks, this.#plan.indexOf, (flattened) =>
        warnOfUnflattened(flattened, this.#around),
      ),
      parameters: {},
      stop: this.#stop.signal,
      over: this.#over.signal,
    };
    this.#passes = new TaskPasses({
      around: () => this.#around,
      known: this.#known,
      queue: this.#queue,
      progress: this.#progress,
      reports: this.#reports,
      values: this.#values,
      waiting: this.#waiting,
      slots: ports.slots,
      isOpen: () => this.#isOpen,
      isOver: () => this.#phase === "ended" || this.#phase === "aborted",
      during: (work) => this.#during(work),
      watch,
      go,
    });
  }

  async run(): Promise<EngineEnd> {
    const { signal } = this.#ports;
    const known = unwrapState(this.#around.run.state ?? null);
    if (known && isTerminal(known)) {
      this.#state = known;
      return { kind: "finished", state: known };
    }
    const onSignal = () => this.#signalled(signal.reason);
    signal.addEventListener("abort", onSignal, { once: true });
    if (signal.aborted) onSignal();
    else this.#during(this.#begin());
    return this.#done.promise.finally(() => signal.removeEventListener("abort", onSignal));
  }

  /** What a run gave that came to its end. */
  gather(end: EngineEnd): Promise<EngineOutcome> {
    return gatherOutcome(end, this.#state, this.#plan, this.#around, this.#values);
  }

  async #begin(): Promise<void> {
    const { flow, run } = this.#around;
    let ends: readonly ParameterEnd[];
    try {
      const parameters = await resolveParameters(flow, run.parameters);
      this.#around = { ...this.#around, parameters: parameters.values };
      ends = await parameterEnds(this.#tasks, parameters, this.#around);
    } catch (error) {
      if (this.#phase === "open") this.#conclude(failed((error as Error).message, error, this.#at()));
      return;
    }
    if (this.#phase !== "open" || !(await this.#enterRunning())) return;
    // Between that and here other promises had their turn.
    if (!this.#isOpen) return;
    for (const each of takeBackVolatile(this.#plan, this.#tasks, this.#known)) {
      taskLogger(each, this.#around).info(`Task "${each.name}" runs again: its value was kept in memory only.`);
    }
    this.#progress.begin();
    for (const { run: parameter, state, value } of ends) {
      parameter.value = value;
      parameter.valueKnown = parameter.plan.task.kind === "parameter";
      if (state) this.#passes.finish(parameter, endWith(state, value));
    }
    this.#go();
  }

  async #enterRunning(): Promise<boolean> {
    const { flow, run } = this.#around;
    const running = makeState("Running", "Running flow.", { at: this.#at() });
    const counts = isFlowHandled(flow)
      ? await tellFlowHandlers(flow, run, this.#state, running, this.#around)
      : running;
    if (this.#phase !== "open") return false;
    if (isRunning(counts)) {
      this.#state = counts;
      void this.#reports.flowRun(counts);
    } else this.#end(counts);
    return isRunning(counts);
  }

  /** Starts what is ready, until nothing is. Never recursive: a task that ends at once is found by the loop under way. */
  #go(): void {
    if (this.#going) return;
    this.#going = true;
    while (this.#phase === "open") {
      const run = this.#queue.take();
      if (!run) break;
      this.#patience.renew();
      if (run.done) this.#queue.release(run);
      else this.#passes.start(run);
    }
    this.#going = false;
    if (this.#phase === "cancelling") this.#endCancelledWhenIdle();
    else if (this.#phase === "open" && this.#progress.allComplete) this.#concludeFromTasks();
    else if (this.#phase === "open" && this.#busy === 0) this.#rest();
  }

  /** Nothing runs and nothing is ready: waits here for what is due soon, or hands the run back until something is due. */
  #rest(): void {
    const { earliest } = this.#waiting;
    const { inSlotLine } = this.#passes;
    if (earliest === undefined && this.#passes.leftAlone === 0 && inSlotLine === 0) {
      this.#abort(new MillraceError("INTERNAL", "A flow run has unfinished tasks, and nothing that they wait for."));
      return;
    }
    const open = openResources(this.#tasks, this.#passes.running);
    // What was set up is in this process alone: it stays here until its time, however long.
    const stays = open.length > 0 || this.#waiting.holdsInMemory;
    if (earliest !== undefined && (stays || earliest - this.#ports.clock.now() <= this.#ports.maxWaitMs)) return;
    if (inSlotLine > 0 && (stays || this.#patience.lasts())) return;
    if (open.length > 0) {
      // Who comes when nobody knows keeps no thread; whoever goes on then sets up anew.
      this.#phase = "concluding";
      this.#givingBack = this.#giveBack(open, false);
      this.#watch(this.#givingBack.then(() => this.#handBack(earliest)));
      return;
    }
    this.#handBack(earliest);
  }

  #handBack(earliest: number | undefined): void {
    if (this.#phase !== "open" && this.#phase !== "concluding") return;
    const dueAt = earliest === undefined ? null : isoAt(earliest);
    const forWhat = this.#passes.inSlotLine > 0 ? "they wait for a slot" : "they wait for someone";
    flowLogger(this.#around.flow, this.#around).info(
      `Flow run RUNNING: terminal tasks are incomplete; ${dueAt === null ? forWhat : `the next is due at ${dueAt}`}.`,
    );
    this.#close("ended");
    this.#resolve({ kind: "waiting", dueAt });
  }

  #concludeFromTasks(): void {
    const referenceTasks = this.#plan.referenceTasks.map((index) => this.#tasks[index]!);
    this.#conclude(finalFlowState(referenceTasks, this.#at()), expandStates(referenceTasks));
  }

  /** @param referenceStates Absent for a run that failed before its tasks. */
  #conclude(state: State, referenceStates?: readonly State[]): void {
    const { flow, run } = this.#around;
    if (!isFlowHandled(flow)) {
      this.#end(state);
      return;
    }
    this.#phase = "concluding";
    const conclude = async () => {
      const asked = referenceStates ? await askTerminalHandler(state, referenceStates, flow, this.#around) : state;
      const counts = await tellFlowHandlers(flow, run, this.#state, asked, this.#around);
      if (this.#phase === "concluding") this.#end(counts);
    };
    this.#during(conclude());
  }

  #signalled(reason: unknown): void {
    const isLost = isMillraceError(reason, "RUN_LEASE_LOST") || isMillraceError(reason, "RUN_STOPPED");
    if (isLost) this.#abort(reason);
    else if (this.#phase === "open" || this.#phase === "concluding") this.#cancel(reason);
  }

  #cancel(reason: unknown): void {
    this.#phase = "cancelling";
    const facts = { cause: reason };
    const error = isMillraceError(reason) ? reason : new MillraceError("RUN_CANCELLED", CANCELLED, facts);
    this.#stop.abort(error);
    for (const run of this.#passes.running) run.call?.stop(error);
    if (this.#passes.running.size === 0) {
      this.#endCancelled();
      return;
    }
    const waited = this.#ports.clock.sleep(CANCEL_GRACE_MS, this.#over.signal);
    this.#watch(waited.then(() => this.#endCancelled()));
  }

  #endCancelledWhenIdle(): void {
    if (this.#passes.running.size === 0) this.#endCancelled();
  }

  #endCancelled(): void {
    if (this.#phase !== "cancelling") return;
    for (const run of this.#passes.running) run.call?.stopHard(this.#stop.signal.reason);
    const open = openResources(this.#tasks, this.#passes.running);
    if (open.length === 0) {
      this.#cancelTasks();
      return;
    }
    // The cancellation may come while they are being given back already, since the run was to wait elsewhere.
    this.#givingBack ??= this.#giveBack(open, true);
    this.#watch(this.#givingBack.then(() => this.#cancelTasks()));
  }

  /** For a while: an open connection must not keep a cancelled run, and its thread. */
  async #giveBack(open: readonly OpenResource[], report: boolean): Promise<void> {
    const giveBack = async () => {
      for (const each of open) {
        const end = await closeResource(each, this.#around);
        if (report && this.#phase === "cancelling" && !each.cleanup.isParent) this.#passes.finish(each.cleanup, end);
      }
    };
    const grace = new AbortController();
    const late = this.#ports.clock.sleep(GIVE_BACK_GRACE_MS, grace.signal).catch(() => {});
    await Promise.race([giveBack(), late]);
    grace.abort();
  }

  #cancelTasks(): void {
    if (this.#phase !== "cancelling") return;
    const at = this.#at();
    const end = (run: TaskRun) => {
      if (!run.state || !isTerminal(run.state)) void this.#reports.taskRun(run, cancelled(at));
    };
    for (const run of this.#tasks) {
      // Children of an earlier agent's Mapped parent that was not taken up yet are to be cancelled too.
      if (run.isParent && run.state?.type === "Mapped" && !run.children)
        makeChildren(run, run.state.mapCount ?? 0, this.#tasks, this.#known);
      end(run);
      run.children?.forEach(end);
    }
    this.#tellCancelled(makeState("Cancelled", CANCELLED, { at }));
  }

  /** The flow's handlers are told, for a short while; a cancellation is a fact, and they have no say in it. */
  #tellCancelled(state: State): void {
    const { flow, run } = this.#around;
    if (!isFlowHandled(flow)) {
      this.#end(state);
      return;
    }
    this.#phase = "ended";
    const told = tellFlowHandlers(flow, run, this.#state, state, this.#around);
    const grace = this.#ports.clock.sleep(CANCEL_GRACE_MS, this.#over.signal);
    this.#watch(Promise.race([told, grace]).then(() => this.#end(state)));
    this.#watch(grace);
  }

  #end(state: State): void {
    this.#state = state;
    this.#close("ended");
    void this.#reports.flowRun(state);
    this.#resolve({ kind: "finished", state });
  }

  #resolve(end: EngineEnd): void {
    this.#reports.whenAllAccepted(() => {
      if (this.#phase === "ended") this.#done.resolve(end);
    });
  }

  #abort(error: unknown): void {
    this.#close("aborted");
    this.#stop.abort(error);
    for (const run of this.#passes.running) run.call?.stopHard(error);
    this.#done.reject(error);
  }

  #close(phase: "ended" | "aborted"): void {
    this.#phase = phase;
    this.#waiting.close();
    this.#passes.close();
    this.#over.abort();
  }

  /** For what a task run waits for: when it is done, whatever it made ready is started. */
  #during(work: Promise<unknown>): void {
    this.#busy += 1;
    const done = () => {
      this.#busy -= 1;
      this.#go();
    };
    this.#watch(work.then(done));
  }

  /** Nothing that runs on its own may fail unseen: what a run did not foresee ends it. */
  #watch(promise: Promise<unknown>): void {
    promise.catch((error: unknown) => {
      const isCalledOff = error === this.#stop.signal.reason || error === this.#over.signal.reason;
      if (!isCalledOff) this.#abort(error);
    });
  }

  get #isOpen(): boolean {
    return this.#phase === "open";
  }

  #at(): string {
    return this.#around.timestamps.now();
  }
}
