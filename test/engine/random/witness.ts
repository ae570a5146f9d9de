import { MillraceError } from "../../../src/core/errors.js";
import { isTerminal, type State, type StateType } from "../../../src/core/state.js";
import { refuseFlowRunMove, refuseTaskRunMove } from "../../../src/core/transitions.js";
import type { FlowRunChange, Reporter, TaskRunChange } from "../../../src/engine/ports.js";
import { nameOf, type Recorded, settled } from "../bed.js";
import type { Watcher } from "./build.js";
import type { ExpectedFlow } from "./model.js";

/** What may follow what, besides the moves that the Cloud allows; a final state stands as "final". */
const FOLLOWERS: Readonly<Record<string, readonly string[]>> = {
  start: ["Running", "Paused", "final"],
  // Of an agent that died.
  Running: ["Retrying", "Looped", "Paused", "final", "Running again"],
  Retrying: ["Running"],
  // A loop's round begins at the top: with the trigger, which may pause again.
  Looped: ["Running", "Paused"],
  Paused: ["Resume", "Running"],
  Resume: ["Running"],
  // Prefect writes a cached result in two steps.
  Success: ["Cached"],
};

/** Watches a flow run over all its agents, and keeps what is not as it must be. */
export class Witness implements Watcher {
  readonly faults: string[] = [];
  calls = 0;
  readonly #expected: ExpectedFlow;
  readonly #limit: number;
  /** Task runs that live in one process, and may run in each. */
  readonly #inMemory: ReadonlySet<string>;
  readonly #cleanups: ReadonlySet<string>;
  readonly #givesBack: boolean;
  /** The states that were accepted, and those whose acceptance the engine was told of. */
  readonly #last = new Map<string, StateType>();
  readonly #told = new Map<string, StateType>();
  readonly #versions = new Map<string, number>();
  #underway = new Set<string>();
  #agent: AgentReporter | undefined;

  /** @param givesBack May agents hand the run back while it waits for someone? */
  constructor(expected: ExpectedFlow, limit: number, givesBack: boolean) {
    this.#cleanups = new Set(expected.flow.tasks.filter((each) => each.isCleanup).map((each) => each.name));
    this.#givesBack = givesBack;
    this.#expected = expected;
    this.#limit = limit;
    this.#inMemory = new Set(expected.flow.tasks.filter((each) => each.inMemory).map((each) => each.name));
  }

  newAgent(options: AgentOptions, loseLease: (reason: MillraceError) => void): AgentReporter {
    this.#underway = new Set();
    this.#agent = new AgentReporter(this, options, loseLease);
    return this.#agent;
  }

  started(taskSlug: string, mapIndex: number, signal: AbortSignal): void {
    const name = nameOf({ taskSlug, mapIndex });
    this.calls += 1;
    // A resource that goes back with its agent is cleaned up outside the flow's order.
    if (this.#cleanups.has(taskSlug) && this.#told.get(name) !== "Running" && this.#givesBack) return;
    if (this.#agent?.knowsItsDeath) this.#fault(`${name} runs though its agent is dead`);
    const runsAgain = this.#inMemory.has(taskSlug) && this.#isOver(name);
    if (this.#isOver(name) && !runsAgain) this.#fault(`${name} runs again though it is ${this.#last.get(name)}`);
    if (this.#told.get(name) !== "Running" && !runsAgain) this.#fault(`${name} runs before its Running was accepted`);
    for (const upstream of this.#expected.runs.get(name)?.waitsFor ?? [])
      if (!this.#isOver(upstream)) this.#fault(`${name} runs before ${upstream} is over`);
    const underway = this.#underway;
    if (underway.has(name)) this.#fault(`${name} runs twice at once`);
    underway.add(name);
    if (underway.size > this.#limit) this.#fault(`${underway.size} run at once: ${[...underway].join(", ")}`);
    signal.addEventListener("abort", () => underway.delete(name), { once: true });
  }

  ended(taskSlug: string, mapIndex: number): void {
    this.#underway.delete(nameOf({ taskSlug, mapIndex }));
  }

  /** A report that the Cloud accepts. */
  accepted({ taskRunId, version, ...report }: Recorded, isFirstOfAgent: boolean): void {
    const name = nameOf(report);
    const { type } = report.state;
    const before = this.#last.get(name);
    this.#last.set(name, type);
    if (report.taskSlug === null) {
      // Each agent says Running again.
      const refused = refuseFlowRunMove(before ?? null, type);
      if (refused) this.#fault(`flow: ${refused}`);
      if (isTerminal(report.state)) this.#checkAllOver();
      return;
    }
    const refused = refuseTaskRunMove(before ?? null, type);
    if (refused) this.#fault(`${name}: ${refused}`);
    const step = isTerminal(report.state) && before !== "Success" ? "final" : type;
    const follows = FOLLOWERS[before ?? "start"] ?? [];
    const again = step === "Running" && before === "Running" && isFirstOfAgent;
    if (!follows.includes(step) && !(again && follows.includes("Running again")))
      this.#fault(`${name}: ${type} behind ${before}`);
    const last = this.#versions.get(taskRunId);
    if (last !== undefined && version !== last + 1) this.#fault(`${name}: version ${version} behind ${last}`);
    this.#versions.set(taskRunId, version);
  }

  /** Somebody outside resumed what paused. */
  resumed(taskRunId: string, name: string): void {
    this.#versions.set(taskRunId, (this.#versions.get(taskRunId) ?? 0) + 1);
    this.#last.set(name, "Resume");
  }

  acceptanceTold(name: string, type: StateType): void {
    this.#told.set(name, type);
  }

  late(name: string, state: State): void {
    this.#fault(`${name} is reported ${state.type} though the lease is lost`);
  }

  #checkAllOver(): void {
    for (const name of this.#expected.runs.keys())
      if (!this.#isOver(name)) this.#fault(`the flow run is over before ${name} is`);
  }

  #isOver(name: string): boolean {
    const type = this.#last.get(name);
    return type !== undefined && isTerminal({ type });
  }

  #fault(text: string): void {
    this.faults.push(text);
  }
}

interface AgentOptions {
  readonly inTurns?: boolean;
  readonly killAfter: number;
  readonly bySignal?: boolean;
}

/** What one agent reports, until it dies. */
export class AgentReporter implements Reporter {
  readonly accepted: Recorded[] = [];
  isDead = false;
  /** A refusal takes its way through promises; a signal fires at once. */
  knowsItsDeath = false;
  readonly #witness: Witness;
  readonly #options: AgentOptions;
  readonly #loseLease: (reason: MillraceError) => void;
  readonly #reportedBefore = new Set<string>();
  #turn = 0;
  #nextTurn: Promise<void> | undefined;

  constructor(witness: Witness, options: AgentOptions, loseLease: (reason: MillraceError) => void) {
    this.#witness = witness;
    this.#options = options;
    this.#loseLease = loseLease;
  }

  taskRun(change: TaskRunChange): Promise<void> {
    return this.#take(change);
  }

  flowRun({ state }: FlowRunChange): Promise<void> {
    return this.#take({ taskRunId: "", taskSlug: null, mapIndex: -1, version: 0, state });
  }

  log(): void {}

  #take(change: Omit<Recorded, "turn">): Promise<void> {
    const name = nameOf(change);
    const { killAfter, bySignal, inTurns } = this.#options;
    if (this.isDead) {
      if (bySignal) this.#witness.late(name, change.state);
      return Promise.reject(new MillraceError("RUN_LEASE_LOST", "The lease is lost."));
    }
    if (!bySignal && this.accepted.length >= killAfter) {
      this.isDead = true;
      void settled().then(() => {
        this.knowsItsDeath = true;
      });
      return Promise.reject(new MillraceError("RUN_LEASE_LOST", "The lease is lost."));
    }
    this.#nextTurn ??= settled().then(() => {
      this.#turn += 1;
      this.#nextTurn = undefined;
    });
    this.accepted.push({ ...change, turn: this.#turn });
    this.#witness.accepted({ ...change, turn: this.#turn }, !this.#reportedBefore.has(name));
    this.#reportedBefore.add(name);
    if (bySignal && this.accepted.length === killAfter) void Promise.resolve().then(() => this.#die());
    const answered = inTurns ? this.#nextTurn : Promise.resolve();
    return answered.then(() => this.#witness.acceptanceTold(name, change.state.type));
  }

  #die(): void {
    this.isDead = true;
    this.knowsItsDeath = true;
    this.#loseLease(new MillraceError("RUN_LEASE_LOST", "The lease is lost."));
  }
}
