import { buildFlow } from "../../src/core/building.js";
import type { LogLine } from "../../src/core/context.js";
import { MillraceError } from "../../src/core/errors.js";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import type { ResultRecord, State } from "../../src/core/state.js";
import { runFlow } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import type {
  Clock,
  EngineOutcome,
  EnginePorts,
  EngineRun,
  KnownTaskRun,
  Reporter,
  ResultStore,
  SecretSource,
  TaskRunChange,
} from "../../src/engine/ports.js";

/** Lets everything run that waits for nothing but promises. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Sleeper {
  dueAt: number;
  wake: () => void;
}

/** A clock that goes to the next sleeper's time as soon as nothing else can happen. With `manual` only {@link advance} moves it. */
export class FakeClock implements Clock {
  readonly startedAt = Date.parse("2026-01-01T00:00:00.000Z");
  #now = this.startedAt;
  #sleepers: Sleeper[] = [];
  #pumping = false;
  readonly #manual: boolean;

  constructor(manual = false) {
    this.#manual = manual;
  }

  get sleepers(): number {
    return this.#sleepers.length;
  }

  now(): number {
    return this.#now;
  }

  /** Time passes while code keeps the thread. */
  burn(ms: number): void {
    this.#now += ms;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const sleeper = { dueAt: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal.addEventListener("abort", () => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper);
        reject(signal.reason);
      });
      if (!this.#manual) void this.#pump();
    });
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settled();
    while (this.#wakeNext(until)) await settled();
    this.#now = until;
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    await settled();
    while (this.#wakeNext(Number.POSITIVE_INFINITY)) await settled();
    this.#pumping = false;
  }

  #wakeNext(until: number): boolean {
    const next = this.#sleepers.reduce<Sleeper | undefined>((a, b) => (a && a.dueAt <= b.dueAt ? a : b), undefined);
    if (!next || next.dueAt > until) return false;
    this.#sleepers = this.#sleepers.filter((each) => each !== next);
    this.#now = Math.max(this.#now, next.dueAt);
    next.wake();
    return true;
  }
}

/** One report as it arrived. */
export interface Recorded extends Omit<TaskRunChange, "taskSlug"> {
  /** Null: the flow run's own. */
  taskSlug: string | null;
  /** Reports made in one turn of the event loop carry the same number. */
  turn: number;
}

export interface RecorderOptions {
  /** Accept a turn's reports together, in the next one, as a stream to a Cloud does. Default: at once. */
  inTurns?: boolean;
  /** The error to refuse a report with. */
  refuse?: (report: Recorded, count: number) => Error | undefined;
  onLog?: (line: LogLine) => void;
}

export class Recorder implements Reporter {
  readonly reports: Recorded[] = [];
  readonly logs: LogLine[] = [];
  readonly #options: RecorderOptions;
  #turn = 0;
  #nextTurn: Promise<void> | undefined;

  constructor(options: RecorderOptions = {}) {
    this.#options = options;
  }

  taskRun(change: TaskRunChange): Promise<void> {
    return this.#take(change);
  }

  flowRun({ state }: { state: State }): Promise<void> {
    return this.#take({ taskRunId: "", taskSlug: null, mapIndex: -1, version: 0, state });
  }

  log(line: LogLine): void {
    this.logs.push(line);
    this.#options.onLog?.(line);
  }

  /** For instance `inc-1[2] Success`, and `flow Running`. */
  lines(): string[] {
    return this.reports.map((each) => `${nameOf(each)} ${each.state.type}`);
  }

  of(name: string): Recorded[] {
    return this.reports.filter((each) => nameOf(each) === name);
  }

  #take(change: Omit<Recorded, "turn">): Promise<void> {
    this.#nextTurn ??= settled().then(() => {
      this.#turn += 1;
      this.#nextTurn = undefined;
    });
    const report = { ...change, turn: this.#turn };
    this.reports.push(report);
    const refusal = this.#options.refuse?.(report, this.reports.length);
    const answered = this.#options.inTurns ? this.#nextTurn : Promise.resolve();
    return refusal ? answered.then(() => Promise.reject(refusal)) : answered;
  }
}

export function nameOf({ taskSlug, mapIndex }: { taskSlug: string | null; mapIndex: number }): string {
  if (taskSlug === null) return "flow";
  return mapIndex < 0 ? taskSlug : `${taskSlug}[${mapIndex}]`;
}

/** Keeps values under the task run's id; refuses functions, as a store of bytes does. */
export class MemoryResults implements ResultStore {
  readonly values = new Map<string, unknown>();
  readonly reads: string[] = [];

  async write(value: unknown, { taskRunId }: { taskRunId: string }): Promise<ResultRecord | undefined> {
    if (value === undefined) return undefined;
    if (typeof value === "function") throw new MillraceError("VALUE_NOT_SERIALIZABLE", "The value is a function.");
    this.values.set(taskRunId, value);
    return { type: "LocalResult", location: taskRunId };
  }

  async find(target: string): Promise<ResultRecord | undefined> {
    return this.values.has(target) ? { type: "LocalResult", location: target } : undefined;
  }

  async read({ location }: ResultRecord): Promise<unknown> {
    this.reads.push(location ?? "");
    if (location !== null && this.values.has(location)) return this.values.get(location);
    throw new MillraceError("RESULT_NOT_FOUND", `There is no result at "${location}".`);
  }
}

export interface BedOptions extends RecorderOptions {
  /** In place of the bed's own. */
  ports?: Partial<EnginePorts>;
  secrets?: SecretSource;
  run?: Partial<EngineRun>;
  parameters?: Record<string, unknown>;
  taskRuns?: readonly KnownTaskRun[];
  results?: MemoryResults;
  clock?: FakeClock;
}

export interface Bed {
  flow: FlowDefinition;
  recorder: Recorder;
  results: MemoryResults;
  clock: FakeClock;
  stop: AbortController;
  outcome: Promise<EngineOutcome>;
}

export const define = (build: BuildFlow<unknown>): FlowDefinition => buildFlow("test", {}, build, undefined);

/** Starts a run of the flow and records what it reports. */
export function start(flow: FlowDefinition | BuildFlow<unknown>, options: BedOptions = {}): Bed {
  const definition = typeof flow === "function" ? define(flow) : flow;
  const recorder = new Recorder(options);
  const results = options.results ?? new MemoryResults();
  const clock = options.clock ?? new FakeClock();
  const stop = new AbortController();
  const ports: EnginePorts = {
    ...localPorts({ signal: stop.signal, ...(options.secrets ? { secrets: options.secrets } : {}) }),
    reporter: recorder,
    results,
    clock,
    ...options.ports,
  };
  const run = {
    flowRunId: "flow run",
    flowRunName: "a run",
    flowId: "flow",
    parameters: options.parameters ?? {},
    scheduledStartAt: "2026-01-01T00:00:00.000Z",
    taskRuns: options.taskRuns ?? [],
    ...options.run,
  };
  return { flow: definition, recorder, results, clock, stop, outcome: runFlow(definition, run, ports) };
}

/** Runs the flow to its end. */
export async function finish(
  flow: FlowDefinition | BuildFlow<unknown>,
  options: BedOptions = {},
): Promise<Bed & { end: EngineOutcome }> {
  const bed = start(flow, options);
  return { ...bed, end: await bed.outcome };
}

/** What a Cloud would know of the task runs after these reports. */
export function knownAfter(reports: readonly Recorded[]): KnownTaskRun[] {
  const known = new Map<string, KnownTaskRun>();
  for (const { taskSlug, taskRunId, mapIndex, version, state } of reports) {
    if (taskSlug !== null) known.set(taskRunId, { taskRunId, taskSlug, mapIndex, version: version + 1, state });
  }
  return [...known.values()];
}
