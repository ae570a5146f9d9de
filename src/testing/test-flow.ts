import { deepStrictEqual } from "node:assert/strict";
import type { LogLine } from "../core/context.js";
import { isOwnFunction } from "../core/control/own-function.js";
import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { newId } from "../core/ids.js";
import type { Executor, TaskCall } from "../core/options/executor.js";
import type { State, StateType } from "../core/state.js";
import type { TaskFunction } from "../core/task.js";
import { inlineExecutor } from "../engine/executors.js";
import { runFlow } from "../engine/flow-runner.js";
import { type LocalPortsOptions, localPorts } from "../engine/local/local-ports.js";
import type { Approval, EngineEnd, EnginePorts, PausedTaskRun } from "../engine/ports.js";
import type { Flow } from "../flow.js";
import { SkippingClock } from "./skipping-clock.js";

/** Options of {@link testFlow}; all of them optional. */
export interface TestFlowOptions {
  parameters?: Record<string, unknown>;
  /**
   * Functions that stand for tasks', by slug (`"fetch page-1"`) or by name (`"fetch page"`). They are called with the task's
   * arguments, and `taskContext()` is what the task would have.
   */
  stubs?: Readonly<Record<string, TaskFunction>>;
  secrets?: Readonly<Record<string, unknown>>;
  /** Answers tasks that pause for someone. Default: nobody is there, and the run ends waiting. */
  onPause?: (paused: PausedTaskRun) => Approval | Promise<Approval>;
  /** When the run starts by its own clock. Default: now. */
  startAt?: Date;
  /** Ends the run Cancelled. */
  signal?: AbortSignal;
}

/** A run of a flow in a test: how it ended, and everything that it went through. */
export interface TestRun<Output = unknown> {
  /** The flow run's last state. */
  readonly state: State;
  /** Finished, or waiting for a time or for someone. */
  readonly end: EngineEnd;
  readonly output: Output | undefined;
  readonly logs: readonly LogLine[];
  /** How long it took by its own clock, in milliseconds: waits are skipped, and counted. */
  readonly elapsedMs: number;
  /** Every state of a task run, in order; a mapped child is `slug[index]`. Without a name, the flow run's own. */
  states(taskRun?: string): readonly State[];
  /** The types of those. */
  types(taskRun?: string): readonly StateType[];
  /** What a task run returned; undefined when it did not. @throws TEST_TASK_UNKNOWN */
  value(taskRun: string): unknown;
  /** The last state's type of every task run. */
  ends(): Readonly<Record<string, StateType>>;
}

/**
 * Runs a flow for a test: no Cloud, no network of Millrace's own, and no waiting, since whenever all tasks wait for a time
 * (a retry's, a pause's), that time comes at once. Does not throw when the flow fails.
 * @throws TEST_TASK_UNKNOWN when a stub stands for no task
 * @example
 * const run = await testFlow(orders, { stubs: { "fetch page": () => ["a", "b"] } });
 * expectEnds(run, { "fetch page-1": "Success", "count-1": "Success" });
 */
export async function testFlow<Output>(flow: Flow<Output>, options: TestFlowOptions = {}): Promise<TestRun<Output>> {
  const { definition } = flow;
  checkStubs(definition, options.stubs ?? {});
  const clock = new SkippingClock(options.startAt?.getTime());
  const history = new Map<string, State[]>();
  const logs: LogLine[] = [];
  const { onPause } = options;
  const portsOf = (of: FlowDefinition, more: LocalPortsOptions, stubs: TestFlowOptions["stubs"] = {}): EnginePorts => ({
    ...localPorts({
      signal: options.signal,
      secrets: options.secrets && secretsOf(options.secrets),
      log: (line) => logs.push(line),
      // By the same clock: a wait in a subflow is skipped too.
      runSubflow: async (child, run, signal) => (await runFlow(child, run, portsOf(child, { signal }))).state,
      ...more,
    }),
    clock,
    executor: stubbed(clock, stubs, limitOf(of)),
    approve: onPause && (async (paused: PausedTaskRun) => onPause(paused)),
  });
  const onState = ({ taskSlug, mapIndex, state }: { taskSlug: string | null; mapIndex: number; state: State }) => {
    const name = taskSlug === null ? FLOW : nameOf(taskSlug, mapIndex);
    const states = history.get(name);
    if (states) states.push(state);
    else history.set(name, [state]);
  };
  try {
    const outcome = await runFlow(
      definition,
      {
        flowRunId: newId(),
        flowRunName: definition.name,
        flowId: null,
        parameters: options.parameters ?? {},
        scheduledStartAt: new Date(clock.now()).toISOString(),
        taskRuns: [],
      },
      portsOf(definition, { onState }, options.stubs),
    );
    const values = new Map(outcome.taskRuns.map((each) => [nameOf(each.taskSlug, each.mapIndex), each.value]));
    return testRun(definition, outcome as { state: State; end: EngineEnd; output: Output }, {
      history,
      values,
      logs,
      elapsedMs: clock.elapsedMs,
    });
  } finally {
    clock.close();
  }
}

/**
 * Compares the last states of a run's task runs with what is expected, and shows the difference. Task runs that are not
 * named may have ended in any way.
 * @throws AssertionError
 * @example
 * expectEnds(run, { "load-1": "Success", "double-1[2]": "Failed" });
 */
export function expectEnds(run: TestRun<unknown>, expected: Readonly<Record<string, StateType>>): void {
  const ends = run.ends();
  deepStrictEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, ends[name]])), { ...expected });
}

/** The flow run's own history. */
const FLOW = "";

const nameOf = (slug: string, mapIndex: number): string => (mapIndex < 0 ? slug : `${slug}[${mapIndex}]`);

interface Recorded {
  history: ReadonlyMap<string, readonly State[]>;
  values: ReadonlyMap<string, unknown>;
  logs: readonly LogLine[];
  elapsedMs: number;
}

function testRun<Output>(
  flow: FlowDefinition,
  { state, end, output }: { state: State; end: EngineEnd; output: Output | undefined },
  { history, values, logs, elapsedMs }: Recorded,
): TestRun<Output> {
  const states = (taskRun?: string) => history.get(taskRun ?? FLOW) ?? [];
  return {
    state,
    end,
    output,
    logs,
    elapsedMs,
    states,
    types: (taskRun) => states(taskRun).map(({ type }) => type),
    value(taskRun) {
      if (!values.has(taskRun)) throw unknownTask(flow, `The run has no task run "${taskRun}"`, [...values.keys()]);
      return values.get(taskRun);
    },
    ends: () =>
      Object.fromEntries(
        [...history].filter(([name]) => name !== FLOW).map(([name, all]) => [name, all.at(-1)!.type] as const),
      ),
  };
}

/** Calls stubs in place of tasks, on this thread; the clock does not skip while one runs. */
function stubbed(clock: SkippingClock, stubs: Readonly<Record<string, TaskFunction>>, limit: number): Executor {
  const { call, ...executor } = inlineExecutor(limit);
  return {
    ...executor,
    call(of: TaskCall) {
      const { taskSlug, taskName } = of.context;
      const name = [taskSlug, taskName].find((each) => Object.hasOwn(stubs, each));
      const fn = name === undefined ? of.fn : stubs[name]!;
      const called = () => call({ ...callFields(of), fn });
      // Our own are done at once, or wait for a subflow whose tasks are seen here too.
      return isOwnFunction(fn) ? called() : clock.whileRunning(called);
    },
  };
}

/** How many task runs the flow's own executor takes at once: in what order they go hangs on it. */
function limitOf({ options: { executor } }: FlowDefinition): number {
  if (executor?.kind === "sequential") return 1;
  return (executor?.kind === "threads" ? executor.size : executor?.limit) ?? Number.POSITIVE_INFINITY;
}

/** A call's fields are getters of its class: a spread would lose them. */
const callFields = ({ args, context, logPrints, hardStop }: TaskCall) => ({ args, context, logPrints, hardStop });

function checkStubs(flow: FlowDefinition, stubs: Readonly<Record<string, TaskFunction>>): void {
  const known = new Set(flow.tasks.filter(({ kind }) => kind === "task").flatMap(({ slug, name }) => [slug, name]));
  const lost = Object.keys(stubs).find((name) => !known.has(name));
  if (lost !== undefined) throw unknownTask(flow, `A stub stands for "${lost}"`, [...known]);
}

function unknownTask(flow: FlowDefinition, what: string, known: readonly string[]): MillraceError {
  return new MillraceError("TEST_TASK_UNKNOWN", `${what}, and flow "${flow.name}" has no such task.`, {
    hint: `It has: ${known.join(", ")}.`,
  });
}

function secretsOf(secrets: Readonly<Record<string, unknown>>) {
  return {
    async read(name: string): Promise<unknown> {
      if (Object.hasOwn(secrets, name)) return secrets[name];
      throw new MillraceError("SECRET_NOT_FOUND", `The test gives no secret "${name}".`, {
        hint: "Name it in the `secrets` of testFlow().",
      });
    },
  };
}
