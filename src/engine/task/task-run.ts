import { newId } from "../../core/ids.js";
import type { StandardSchema } from "../../core/parameter.js";
import { isTerminal, type State } from "../../core/state.js";
import type { PlannedTask } from "../plan.js";
import type { KnownTaskRun } from "../ports.js";
import type { RunningCall } from "./task-call.js";
import { type LoopPosition, type Resumption, standingIn } from "./task-standing.js";
import type { FlatItem, StateGroup } from "./upstream.js";

/**
 * One task run of the flow run under way: a task, the parent of a mapped one, or a child.
 *
 * It waits until `waiting` is 0, is then ready, runs, and is `done` with its final state. A parent is done when it is
 * Mapped, and `complete` when all its children are done; everything else is complete when it is done.
 */
export class TaskRun {
  readonly plan: PlannedTask;
  readonly parent: TaskRun | undefined;
  /** -1 when it is no child. */
  readonly mapIndex: number;
  readonly taskRunId: string;
  /** The version of `state`. */
  version: number;
  /** The last state that was reported or known. */
  state: State | null;
  done: boolean;
  complete = false;
  /** How many upstream events are still to come. */
  waiting = 0;
  /** How often it was tried in this round of its loop, the try under way included. */
  runCount: number;
  /** Undefined in a first round. */
  loop: LoopPosition | undefined;
  /** How it was resumed; undefined until it was, and again when it pauses. */
  resumption: Resumption | undefined;
  /** What its last pause wants of the input, where that pause was in this process. */
  resumeSchema: StandardSchema<unknown> | undefined = undefined;
  /** Its last pause, as its code asked for it. */
  pause: State | undefined = undefined;
  /** A name of the author's making; see the option `taskRunName`. */
  givenName: string | undefined = undefined;
  /** The Cloud has its final state already, from an earlier process: what it does now is told to nobody. */
  unreported = false;

  /** What it returned, once `valueKnown`; for a Mapped parent the list of its children's values. */
  value: unknown = undefined;
  valueKnown: boolean;
  /** The read of its result that is under way. */
  reading: Promise<void> | undefined = undefined;

  children: TaskRun[] | undefined = undefined;
  openChildren = 0;
  /** Children of other tasks that wait for this one's completion. */
  dependents: TaskRun[] | undefined = undefined;
  /** Does it hold one of the queue's places? */
  holdsPlace = false;
  /** The try under way, or the last one. */
  call: RunningCall | undefined = undefined;

  /** Of a parent: what its children share, worked out when the first child needs it. */
  sharedStates: StateGroup | undefined = undefined;
  sharedRuns: ReadonlySet<TaskRun> | undefined = undefined;
  sharedArgs: unknown[] | undefined = undefined;
  /** Was its log told of items that flatten() could not unnest? */
  flattenWarned = false;
  flatItems: Map<number, readonly FlatItem[]> | undefined = undefined;

  constructor(plan: PlannedTask, parent: TaskRun | undefined, mapIndex: number, known: KnownTaskRun | undefined) {
    const state = known?.state ?? null;
    this.plan = plan;
    this.parent = parent;
    this.mapIndex = mapIndex;
    this.taskRunId = known?.taskRunId ?? newId();
    this.version = known?.version ?? 0;
    this.state = state;
    this.done = state !== null && isTerminal(state);
    // A state without a result stands for undefined; a Mapped one has its children's.
    this.valueKnown = this.done && state?.result === undefined && !(plan.task.mapped && state?.type === "Mapped");
    ({ runCount: this.runCount, loop: this.loop, resumption: this.resumption } = standingIn(state));
    // The value of the round before was in the memory of another process: the loop begins anew.
    if (this.loop && plan.task.options.checkpoint === false) {
      this.loop = undefined;
      this.runCount = 0;
    }
  }

  /** Is it the parent of children, or going to be? */
  get isParent(): boolean {
    return this.plan.task.mapped && this.mapIndex < 0;
  }

  get loopCount(): number {
    return this.loop?.count ?? 1;
  }

  /** The value that the round before handed on. */
  get loopResult(): unknown {
    return this.loop?.value;
  }

  get resumed(): boolean {
    return this.resumption !== undefined && !this.resumption.hidden;
  }

  get resumeInput(): unknown {
    return this.resumed ? this.resumption?.input : undefined;
  }

  /** Is where it stands known in this process alone? */
  get isInMemory(): boolean {
    return this.unreported || (this.loop !== undefined && this.plan.task.options.checkpoint === false);
  }

  /** The name that people see, for instance `fetch page[3]`. */
  get name(): string {
    if (this.givenName !== undefined) return this.givenName;
    return this.mapIndex < 0 ? this.plan.task.name : `${this.plan.task.name}[${this.mapIndex}]`;
  }
}

/** The task runs that the Cloud knows, by slug and map index. */
export class KnownTaskRuns {
  readonly #bySlug = new Map<string, Map<number, KnownTaskRun>>();

  constructor(known: readonly KnownTaskRun[]) {
    for (const each of known) {
      const ofTask = this.#bySlug.get(each.taskSlug) ?? new Map<number, KnownTaskRun>();
      this.#bySlug.set(each.taskSlug, ofTask.set(each.mapIndex, each));
    }
  }

  get(taskSlug: string, mapIndex: number): KnownTaskRun | undefined {
    return this.#bySlug.get(taskSlug)?.get(mapIndex);
  }
}
