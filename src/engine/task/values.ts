import { isSuccessful } from "../../core/state.js";
import type { ResultStore } from "../ports.js";
import type { TaskRun } from "./task-run.js";

/** How many stored results are read at once: enough to keep a disk busy, far below the limit of open files. */
const READS_IN_FLIGHT = 32;

/** Brings the values of finished task runs into memory: those of this run are there, those of an earlier one are read. */
export class Values {
  readonly #results: ResultStore;
  readonly #waiting: (() => void)[] = [];
  #reading = 0;

  constructor(results: ResultStore) {
    this.#results = results;
  }

  /**
   * Undefined when all values are there; otherwise a promise of their coming.
   * @throws (the promise) what ResultStore.read throws
   */
  load(runs: readonly TaskRun[]): Promise<unknown> | undefined {
    const missing: TaskRun[] = [];
    let allThere = true;
    for (const run of runs) {
      if (inMemory(run)) continue;
      allThere = false;
      for (const each of run.children ?? [run]) if (!each.valueKnown) missing.push(each);
    }
    return allThere ? undefined : Promise.all(missing.map((each) => this.#read(each)));
  }

  #read(run: TaskRun): Promise<void> {
    // Two downstreams that need it share one read; a read that failed is tried again by the next.
    run.reading ??= this.#readInTurn(run).finally(() => {
      run.reading = undefined;
    });
    return run.reading;
  }

  async #readInTurn(run: TaskRun): Promise<void> {
    if (this.#reading >= READS_IN_FLIGHT) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#reading += 1;
    try {
      run.value = await this.#results.read(run.state!.result!);
      run.valueKnown = true;
    } finally {
      this.#reading -= 1;
      this.#waiting.shift()?.();
    }
  }
}

/** True when the run's value can be taken now; puts a Mapped parent's list together when its children's are all there. */
export function inMemory(run: TaskRun): boolean {
  if (run.valueKnown) return true;
  if (!run.children?.every((child) => child.valueKnown)) return false;
  run.value = run.children.map((child) => child.value);
  run.valueKnown = true;
  return true;
}

/** The finished task runs whose values `run` needs before its arguments can be filled in. */
export function valueSources(run: TaskRun, tasks: readonly TaskRun[]): readonly TaskRun[] {
  const { args, valueUpstreams, itemUpstreams, task } = run.plan;
  const sources = valueUpstreams.map((index) => tasks[index]!);
  if (!task.mapped) return sources;
  for (let at = 0; at < task.args.length; at += 1) {
    const arg = args[at]!;
    if (arg.kind !== "each") continue;
    const upstream = tasks[arg.upstream]!;
    sources.push(arg.flattened ? upstream : (upstream.children?.[run.mapIndex] ?? upstream));
  }
  for (const index of itemUpstreams?.[run.mapIndex] ?? []) sources.push(tasks[index]!);
  return sources;
}

/** Those whose values decide how many children a mapped task has, and which upstream each stands under. */
export function widthSources(run: TaskRun, tasks: readonly TaskRun[]): readonly TaskRun[] {
  const sources: TaskRun[] = [];
  for (const arg of run.plan.args) {
    if (arg.kind !== "each") continue;
    const upstream = tasks[arg.upstream]!;
    if (isSuccessful(upstream.state!) && (arg.flattened || !upstream.children)) sources.push(upstream);
  }
  return sources;
}
