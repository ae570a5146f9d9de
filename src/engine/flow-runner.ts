import { isMillraceError, MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { isTerminal, isType, makeState, type State } from "../core/state.js";
import { failed, failedToRetrieve } from "./failed-state.js";
import { referenceReader } from "./fill-arguments.js";
import { makeChildren, mapWidth } from "./mapping.js";
import { finalFlowState, gatherOutcome } from "./outcome.js";
import { type ParameterEnd, parameterEnds } from "./parameter-ends.js";
import { resolveParameters } from "./parameters.js";
import { type FlowPlan, planOf } from "./plan.js";
import type { EngineOutcome, EnginePorts, EngineRun } from "./ports.js";
import { Progress } from "./progress.js";
import { ReadyQueue } from "./ready-queue.js";
import { Reports } from "./reports.js";
import { KnownTaskRuns, TaskRun, unwrap } from "./task-run.js";
import { cancelled, passGatesOf, type Surroundings, tryTask } from "./task-runner.js";
import { Timestamps } from "./timestamps.js";
import { Values, valueSources, widthSources } from "./values.js";

/** How long a cancelled run waits for code that heeds its signal; a thread whose code does not is stopped from outside. */
export const CANCEL_GRACE_MS = 5_000;

const CANCELLED = "The flow run was cancelled.";

/**
 * Runs a flow: from its parameters to its final state. Resolves when that state, and every one before it, was accepted,
 * and the output and all task runs are put together.
 * Parameters that the flow cannot use end the run Failed before its first task, with the error in the state's context.
 * @throws what the reporter refused a state with, and RUN_LEASE_LOST or RUN_STOPPED from `ports.signal`
 */
export async function runFlow(flow: FlowDefinition, run: EngineRun, ports: EnginePorts): Promise<EngineOutcome> {
  const runner = new FlowRunner(flow, run, ports);
  return runner.gather(await runner.run());
}

/** The same for who needs the final state alone: no result is read for the sake of the output. @throws see {@link runFlow} */
export function runFlowToState(flow: FlowDefinition, run: EngineRun, ports: EnginePorts): Promise<State> {
  return new FlowRunner(flow, run, ports).run();
}

/**
 * One flow run. It is `open` until its final state is reported (`ended`), a cancellation comes (`cancelling`: nothing is
 * started, what runs may end), or it has lost its right to report (`aborted`: nothing is started nor reported).
 *
 * Within one call of {@link FlowRunner.#go} everything happens in one tick: the state that a task ended with, and the
 * Running of whatever it lets start.
 */
class FlowRunner {
  readonly #plan: FlowPlan;
  readonly #ports: EnginePorts;
  readonly #known: KnownTaskRuns;
  readonly #tasks: readonly TaskRun[];
  readonly #queue = new ReadyQueue();
  readonly #progress: Progress;
  readonly #reports: Reports;
  readonly #values: Values;
  readonly #running = new Set<TaskRun>();
  readonly #stop = new AbortController();
  readonly #done = Promise.withResolvers<State>();
  #around: Surroundings;
  #phase: "open" | "cancelling" | "ended" | "aborted" = "open";
  #going = false;

  constructor(flow: FlowDefinition, run: EngineRun, ports: EnginePorts) {
    this.#plan = planOf(flow);
    this.#ports = ports;
    this.#known = new KnownTaskRuns(run.taskRuns);
    this.#tasks = this.#plan.tasks.map((each) => new TaskRun(each, undefined, -1, this.#known.get(each.task.slug, -1)));
    this.#progress = new Progress(this.#plan, this.#tasks, this.#queue);
    this.#reports = new Reports(ports.reporter, (error) => this.#abort(error));
    this.#values = new Values(ports.results);
    const readReference = referenceReader(this.#tasks, this.#plan.indexOf);
    const timestamps = new Timestamps(ports.clock);
    this.#around = {
      flow,
      run,
      ports,
      timestamps,
      tasks: this.#tasks,
      readReference,
      parameters: {},
      stop: this.#stop.signal,
    };
  }

  run(): Promise<State> {
    const { signal } = this.#ports;
    const onSignal = () => this.#signalled(signal.reason);
    signal.addEventListener("abort", onSignal, { once: true });
    if (signal.aborted) onSignal();
    else this.#watch(this.#begin());
    return this.#done.promise.finally(() => signal.removeEventListener("abort", onSignal));
  }

  /** What a finished run gave. */
  gather(state: State): Promise<EngineOutcome> {
    return gatherOutcome(state, this.#plan, this.#around, this.#values);
  }

  async #begin(): Promise<void> {
    const { flow, run } = this.#around;
    let ends: readonly ParameterEnd[];
    try {
      const parameters = await resolveParameters(flow, run.parameters);
      this.#around = { ...this.#around, parameters: parameters.values };
      ends = await parameterEnds(this.#tasks, parameters, this.#around);
    } catch (error) {
      if (this.#phase === "open") this.#end(failed((error as Error).message, error, this.#at()));
      return;
    }
    if (this.#phase !== "open") return;
    void this.#reports.flowRun(makeState("Running", "Running flow.", { at: this.#at() }));
    this.#progress.begin();
    for (const { run: parameter, state, value } of ends) {
      parameter.value = value;
      parameter.valueKnown = true;
      if (state) this.#finish(parameter, state, value);
    }
    this.#go();
  }

  /** Starts what is ready, until nothing is. Never recursive: a task that ends at once is found by the loop under way. */
  #go(): void {
    if (this.#going) return;
    this.#going = true;
    while (this.#phase === "open") {
      const run = this.#queue.take();
      if (!run) break;
      if (!run.done) this.#start(run);
    }
    this.#going = false;
    if (this.#phase === "open" && this.#progress.allComplete) {
      this.#end(
        finalFlowState(
          this.#plan.referenceTasks.map((index) => this.#tasks[index]!),
          this.#at(),
        ),
      );
    }
  }

  #start(run: TaskRun): void {
    const waitMs = dueIn(run, this.#ports.clock.now());
    if (waitMs > 0) this.#startLater(run, waitMs);
    else if (run.isParent && run.state?.type === "Mapped") this.#resumeMapped(run, run.state);
    // Of a flattened list the values say which upstream a child stands under: they come before the gates.
    else if (run.parent && run.plan.flattens && this.#load(run, widthSources(run, this.#tasks))) return;
    else {
      const ended = passGatesOf(run, this.#around);
      if (ended) this.#finish(run, ended, undefined);
      else if (run.isParent) this.#map(run);
      else if (!this.#load(run, valueSources(run, this.#tasks))) this.#watch(this.#execute(run));
    }
  }

  /** A mapped task gets its children; the ones that wait for nothing are started by the loop under way. */
  #map(run: TaskRun): void {
    if (this.#load(run, widthSources(run, this.#tasks))) return;
    const width = mapWidth(run, this.#tasks);
    const at = this.#at();
    if (typeof width === "string") {
      this.#finish(run, makeState("Failed", width, { at }), undefined);
    } else {
      makeChildren(run, width, this.#tasks, this.#known);
      this.#finish(run, makeState("Mapped", "Ready to proceed with mapping.", { at, mapCount: width }), undefined);
    }
  }

  /** An earlier agent had mapped the task: only the children that it did not finish are left. */
  #resumeMapped(run: TaskRun, mapped: State): void {
    this.#makeKnownChildren(run, mapped);
    this.#progress.finished(run);
  }

  #makeKnownChildren(parent: TaskRun, { mapCount }: State): void {
    makeChildren(parent, mapCount ?? 0, this.#tasks, this.#known);
  }

  async #execute(run: TaskRun): Promise<void> {
    run.runCount += 1;
    const running = makeState("Running", "Starting task run.", { at: this.#at(), runCount: run.runCount });
    if (!(await this.#reports.taskRun(run, running)) || this.#phase !== "open") return;
    this.#running.add(run);
    const { state, value } = await tryTask(run, this.#around);
    this.#running.delete(run);
    // Too late: the run is over, or no longer ours.
    if (this.#isOver()) return;
    if (state.type === "Retrying") {
      void this.#reports.taskRun(run, state);
      this.#queue.release(run);
      this.#queue.push(run);
    } else {
      this.#finish(run, state, value);
    }
    this.#go();
    if (this.#isCancelling() && this.#running.size === 0) this.#endCancelled();
  }

  #finish(run: TaskRun, state: State, value: unknown): void {
    void this.#reports.taskRun(run, state);
    run.value = value;
    run.valueKnown = state.type !== "Mapped";
    this.#queue.release(run);
    this.#progress.finished(run);
  }

  /** True when values must be read first; the task run then begins again, or fails when they cannot be had. */
  #load(run: TaskRun, sources: readonly TaskRun[]): boolean {
    const loading = this.#values.load(sources);
    if (!loading) return false;
    const again = () => {
      this.#queue.release(run);
      this.#queue.push(run);
    };
    const fail = (error: unknown) => {
      if (this.#phase === "open") this.#finish(run, failedToRetrieve(error, this.#at()), undefined);
    };
    this.#watch(loading.then(again, fail).then(() => this.#go()));
    return true;
  }

  #startLater(run: TaskRun, waitMs: number): void {
    // Waiting for a retry's time, a child takes up no place in the window.
    this.#queue.release(run);
    const waited = this.#ports.clock.sleep(waitMs, this.#stop.signal).then(() => {
      this.#queue.push(run);
      this.#go();
    });
    this.#watch(waited);
  }

  #signalled(reason: unknown): void {
    const isLost = isMillraceError(reason, "RUN_LEASE_LOST") || isMillraceError(reason, "RUN_STOPPED");
    if (isLost) this.#abort(reason);
    else if (this.#phase === "open") this.#cancel(reason);
  }

  #cancel(reason: unknown): void {
    this.#phase = "cancelling";
    const facts = { cause: reason };
    this.#stopCode(isMillraceError(reason) ? reason : new MillraceError("RUN_CANCELLED", CANCELLED, facts));
    if (this.#running.size === 0) {
      this.#endCancelled();
      return;
    }
    const grace = new AbortController();
    const endGrace = () => grace.abort();
    this.#done.promise.then(endGrace, endGrace);
    const waited = this.#ports.clock.sleep(CANCEL_GRACE_MS, grace.signal);
    this.#watch(waited.then(() => this.#endCancelled(), endGrace));
  }

  #endCancelled(): void {
    if (!this.#isCancelling()) return;
    const at = this.#at();
    const end = (run: TaskRun) => {
      if (!run.state || !isTerminal(run.state)) void this.#reports.taskRun(run, cancelled(at));
    };
    for (const run of this.#tasks) {
      // Children of an earlier agent's Mapped parent that was not taken up yet are to be cancelled too.
      if (run.isParent && run.state?.type === "Mapped" && !run.children) this.#makeKnownChildren(run, run.state);
      end(run);
      run.children?.forEach(end);
    }
    this.#end(makeState("Cancelled", CANCELLED, { at }));
  }

  #end(state: State): void {
    this.#phase = "ended";
    void this.#reports.flowRun(state);
    this.#reports.whenAllAccepted(() => {
      if (this.#phase === "ended") this.#done.resolve(state);
    });
  }

  #abort(error: unknown): void {
    this.#phase = "aborted";
    this.#stopCode(error);
    this.#done.reject(error);
  }

  #stopCode(reason: unknown): void {
    this.#stop.abort(reason);
    for (const run of this.#running) run.signal?.abort(reason);
  }

  /** Nothing that runs on its own may fail unseen: what a run did not foresee ends it. */
  #watch(promise: Promise<unknown>): void {
    promise.catch((error: unknown) => {
      if (error !== this.#stop.signal.reason) this.#abort(error);
    });
  }

  /** A question, so that the compiler does not take the phase of before an await for the one behind it. */
  #isCancelling(): boolean {
    return this.#phase === "cancelling";
  }

  #isOver(): boolean {
    return this.#phase === "ended" || this.#phase === "aborted";
  }

  #at(): string {
    return this.#around.timestamps.now();
  }
}

/** How long a task run that is due at a certain time must wait, in milliseconds. */
function dueIn(run: TaskRun, now: number): number {
  const state = unwrap(run.state);
  if (!state?.startAt || !isType(state.type, "Scheduled")) return 0;
  return Date.parse(state.startAt) - now;
}
