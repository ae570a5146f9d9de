import { isFailed, isFinished, isRunning, isStateType, isSuccessful, isType, type StateType } from "../core/state.js";

/** A task run that has entered a state, or a flow run when `taskSlug` is null. */
export interface RunChange {
  taskSlug: string | null;
  mapIndex: number;
  state: string;
  message: string | null;
  /** ISO 8601. */
  at: string;
  startAt: string | null;
  endAt: string | null;
  /** How often the task has run, this time included; null: the state does not tell. */
  runCount: number | null;
  /** How many children a mapped task has, once it is known. */
  mapCount: number | null;
}

/** One task of the run as people watch it; the children of a mapped task are counted, not listed. */
export interface LiveTask {
  readonly slug: string;
  state: string | null;
  message: string | null;
  startAt: string | null;
  endAt: string | null;
  /** Tries begun before this one. */
  earlierTries: number;
  mapCount: number;
  readonly children: Map<number, string>;
}

/** A flow run as it is watched: put together from changes, which may come twice. */
export class LiveRun {
  readonly title: string;
  state: string | null = null;
  message: string | null = null;
  startAt: string | null = null;
  endAt: string | null = null;
  readonly tasks = new Map<string, LiveTask>();

  constructor(title: string, taskSlugs: readonly string[]) {
    this.title = title;
    for (const slug of taskSlugs) this.#task(slug);
  }

  /** True: something that people see is different now. */
  apply(change: RunChange): boolean {
    if (change.taskSlug === null) return this.#applyToRun(change);
    const task = this.#task(change.taskSlug);
    if (change.mapIndex >= 0) return applyToChild(task, change);
    const known = task.state === change.state && task.message === change.message;
    task.state = change.state;
    task.message = change.message;
    task.startAt = change.startAt ?? task.startAt;
    task.endAt = childCount(task) > 0 ? later(task.endAt, change.endAt) : change.endAt;
    task.earlierTries = earlierTries(change) ?? task.earlierTries;
    task.mapCount = change.mapCount ?? task.mapCount;
    return !known;
  }

  #applyToRun(change: RunChange): boolean {
    const known = this.state === change.state && this.message === change.message;
    this.state = change.state;
    this.message = change.message;
    this.startAt = change.startAt ?? this.startAt;
    this.endAt = change.endAt;
    return !known;
  }

  #task(slug: string): LiveTask {
    const known = this.tasks.get(slug);
    if (known) return known;
    const task: LiveTask = {
      slug,
      state: null,
      message: null,
      startAt: null,
      endAt: null,
      earlierTries: 0,
      mapCount: 0,
      children: new Map(),
    };
    this.tasks.set(slug, task);
    return task;
  }
}

function earlierTries({ runCount, state }: RunChange): number | undefined {
  if (runCount === null) return undefined;
  // A task that waits for its next try has run as often as its state says.
  return state === "Retrying" ? runCount : runCount - 1;
}

function applyToChild(task: LiveTask, change: RunChange): boolean {
  const before = task.children.get(change.mapIndex);
  task.children.set(change.mapIndex, change.state);
  task.startAt = earlier(task.startAt, change.startAt);
  task.endAt = later(task.endAt, change.endAt);
  return before !== change.state;
}

function earlier(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

function later(one: string | null, other: string | null): string | null {
  return earlier(one, other) === one ? (other ?? one) : one;
}

/** The state that stands for a task: its own, or while only its children have begun, theirs. */
export function shownState(task: LiveTask): string | null {
  if (task.state !== null && isFinishedName(task.state) && task.state !== "Mapped") return task.state;
  const total = childCount(task);
  if (total === 0) return task.state;
  const states = [...task.children.values()];
  if (states.length < total || !states.every(isFinishedName)) return "Running";
  if (states.some((state) => is(state, isFailed))) return "Failed";
  return states.every((state) => is(state, isSuccessful)) ? "Success" : "Cancelled";
}

/** As many as the mapped task has said, or as have been seen. */
const childCount = (task: LiveTask): number => Math.max(task.mapCount, task.children.size);

/** `37/120 done, 1 running, 2 failed`; empty for a task that has no children. */
export function childrenText(task: LiveTask): string {
  const total = childCount(task);
  if (total === 0) return "";
  let [done, running, failed, retrying] = [0, 0, 0, 0];
  for (const state of task.children.values()) {
    if (isFinishedName(state)) done += 1;
    if (is(state, isRunning)) running += 1;
    if (is(state, isFailed)) failed += 1;
    if (state === "Retrying") retrying += 1;
  }
  const parts: [number, string][] = [
    [running, "running"],
    [retrying, "retrying"],
    [failed, "failed"],
  ];
  return [
    `${done}/${total} done`,
    ...parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`),
  ].join(", ");
}

export const isFinishedName = (state: string | null): boolean => is(state, isFinished);

function is(state: string | null, question: (state: { type: StateType }) => boolean): boolean {
  return isStateType(state) && question({ type: state });
}

/** Did the run end well? */
export const isSuccessName = (state: string | null): boolean => isStateType(state) && isType(state, "Success");
