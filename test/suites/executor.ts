import type { Test } from "tap";
import type { LogLine } from "../../src/core/context.js";
import type { ExecutorOptions } from "../../src/core/options/executor.js";
import { type StoredFlow, saveModule } from "../../src/deploy/save.js";
import { type Flow, type FlowRun, loadFlow, type RunOptions, type State } from "../../src/index.js";
import { eventually } from "../helpers/eventually.js";
import { fixture } from "../helpers/fixture.js";

/** What every executor promises, tried with flows of `fixtures/executors`. */
export interface ExecutorCase {
  readonly title: string;
  readonly options: ExecutorOptions;
  /** How many task runs may be Running at once. */
  readonly limit: number;
}

const saved = new Map<string, Promise<StoredFlow[]>>();

/** A flow of `fixtures/executors/<module>.ts`, saved and loaded as a deploy and an agent do it. */
export async function executorFlow(module: string, name: string): Promise<Flow> {
  if (!saved.has(module)) saved.set(module, saveModule(fixture(`executors/${module}.ts`)));
  const found = (await saved.get(module)!).find(({ manifest }) => manifest.spec.name === name);
  return loadFlow(found!.location.location);
}

interface Change {
  taskSlug: string | null;
  mapIndex: number;
  state: State;
}

export interface Watched {
  run: FlowRun;
  /** For instance `add-1[0] Running`. */
  moves: string[];
  logs: LogLine[];
  /** The most task runs that were Running at once. */
  most: number;
}

/** Runs the flow and notes what happens. */
export async function watch(
  flow: Flow,
  options: RunOptions,
  parameters: Record<string, unknown> = {},
): Promise<Watched> {
  const moves: string[] = [];
  const logs: LogLine[] = [];
  let running = 0;
  let most = 0;
  const onState = ({ taskSlug, mapIndex, state }: Change) => {
    if (taskSlug === null) return;
    const name = mapIndex < 0 ? taskSlug : `${taskSlug}[${mapIndex}]`;
    if (state.type === "Running") running += 1;
    else if (moves.includes(`${name} Running`)) running -= 1;
    most = Math.max(most, running);
    moves.push(`${name} ${state.type}`);
  };
  const run = await flow.run(parameters, { log: (line) => logs.push(line), ...options, onState });
  return { run, moves, logs, most };
}

/** What keeps the process alive, by kind. */
function openResources(): Map<string, number> {
  const found = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) found.set(kind, (found.get(kind) ?? 0) + 1);
  return found;
}

export function executorSuite(t: Test, { title, options: executor, limit }: ExecutorCase): void {
  const say = (what: string) => `${title}: ${what}`;

  t.test(say("no task begins before what it waits for has ended, and no more run at once than may"), async (t) => {
    const { run, moves, most } = await watch(await executorFlow("orders", "ordered"), { executor });
    t.same(run.output, [3, 10, 6]);
    const at = (move: string) => moves.indexOf(move);
    for (const [before, after] of [
      ["add-1", "add-3"],
      ["square-1[0]", "add-2[0]"],
      ["square-1[1]", "add-2[1]"],
      ["add-2[0]", "sum-1"],
    ]) {
      t.ok(at(`${before} Success`) >= 0 && at(`${before} Success`) < at(`${after} Running`), `${before}, ${after}`);
    }
    t.ok(most <= limit, `${most} at once`);
  });

  t.test(say("1,000 children end, each with its own result"), async (t) => {
    const { run, most } = await watch(await executorFlow("orders", "wide"), { executor });
    t.equal(run.output, 332_833_500);
    t.ok(most <= Math.min(limit, 256), `${most} at once`);
  });

  t.test(say("values come as they were given: Errors with code and cause, Map, Date, Buffer, circles"), async (t) => {
    const { run } = await watch(await executorFlow("values", "values"), { executor });
    const error = [true, "RangeError", "kept", "EKEPT", "TypeError", "ECAUSE"];
    t.same(run.output, [...error, 0, true, "bytes", "bigint", true, true]);
  });

  t.test(say("a thrown error ends its task Failed with name, message and code"), async (t) => {
    const { run } = await watch(await executorFlow("ends", "fails"), { executor });
    const { state } = run.taskRuns[0]!;
    t.match(state, {
      type: "Failed",
      context: { error: { name: "TypeError", message: "thrown on purpose", code: "ETHROWN", stack: /ends\.ts/ } },
    });
  });

  t.test(say("`retryOn` knows the class of what was thrown"), async (t) => {
    const { run } = await watch(await executorFlow("ends", "retries"), { executor });
    const children = run.taskRuns.filter(({ mapIndex }) => mapIndex >= 0);
    t.match(children, [{ state: { type: "Success" }, value: 3 }, { state: { type: "Failed", message: /for good/ } }]);
  });

  t.test(say("signals are signals, thrown or returned, with their values"), async (t) => {
    const { run } = await watch(await executorFlow("ends", "signalled"), { executor });
    const children = run.taskRuns.filter(({ mapIndex }) => mapIndex >= 0);
    t.match(
      children.map(({ state }) => [state.type, state.message]),
      [["Skipped", "not today"], ["Success"], ["Success"]],
    );
    t.same(
      children.map(({ value }) => value),
      [undefined, new Map([["a", 1]]), [1, 2]],
    );
  });

  t.test(say("a task finds its context: ids, parameters, secrets, logger"), async (t) => {
    const options = { executor, secrets: { password: "12345678" }, scheduledStartAt: "2026-01-02T03:04:05.000Z" };
    const { run, logs } = await watch(await executorFlow("looks", "looks"), options, { word: "there" });
    t.match(run.output, [
      {
        flowName: "looks",
        flowRunName: "looks",
        flowId: null,
        projectName: null,
        taskName: "look",
        taskFullName: "look[0]",
        taskSlug: "look-a-b-1",
        taskTags: ["b", "a"],
        mapIndex: 0,
        runCount: 1,
        loopCount: 1,
        resumed: false,
        scheduledStartAt: "2026-01-02T03:04:05.000Z",
        dates: { today: "2026-01-02", yesterdayNodash: "20260101" },
        runningUnderCloud: false,
        parameters: { word: "there" },
        length: 8,
        missing: "SECRET_NOT_DECLARED",
      },
    ]);
    const child = run.taskRuns.find(({ mapIndex }) => mapIndex === 0);
    const lines = logs.map(({ level, name, message, taskRunId }) => ({ level, name, message, taskRunId }));
    const line = { name: "millrace.look", taskRunId: child!.taskRunId };
    t.same(lines, [
      { ...line, level: "INFO", message: "given there" },
      { ...line, level: "WARNING", message: "{ a: [ 1 ] }" },
    ]);
    t.ok(logs.every(({ at }) => !Number.isNaN(Date.parse(at))));
    t.match((await watch(await executorFlow("looks", "prints"), { executor })).logs, [{ message: "printed" }]);
  });

  t.test(say("a cancelled run tells its tasks, and so does a timeout"), async (t) => {
    const stop = new AbortController();
    const logs: string[] = [];
    const log = ({ message }: LogLine) => logs.push(message);
    const running = watch(await executorFlow("waits", "waits"), { executor, signal: stop.signal, log });
    await eventually(() => logs.includes("waiting"));
    stop.abort();
    t.equal((await running).run.state.type, "Cancelled");
    await eventually(() => logs.includes("told: RUN_CANCELLED"));
    const { run } = await watch(await executorFlow("waits", "times out"), { executor, log });
    t.equal(run.taskRuns[0]!.state.type, "TimedOut");
    await eventually(() => logs.includes("told: TASK_TIMED_OUT"));
  });

  t.test(say("nothing is left open when a run has ended"), async (t) => {
    const flow = await executorFlow("orders", "ordered");
    await flow.run({}, { executor });
    const before = openResources();
    await flow.run({}, { executor });
    const more = () => [...openResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    await eventually(() => more().length === 0);
    t.same(more(), []);
  });
}
