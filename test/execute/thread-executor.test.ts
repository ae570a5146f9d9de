import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import type { Executor, TaskCall } from "../../src/core/options/executor.js";
import { loadedCode } from "../../src/execute/load-saved-flow.js";
import { openExecutor } from "../../src/execute/open-executor.js";
import { executors, type Flow, type State } from "../../src/index.js";
import { eventually } from "../helpers/eventually.js";
import { runProgram, userProject } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { executorFlow, watch } from "../suites/executor.js";

await temporaryHome(t);
const executor = executors.threads({ size: 2 });
const ends = (taskRuns: readonly { mapIndex: number; state: State; value: unknown }[]) =>
  taskRuns
    .filter(({ mapIndex }) => mapIndex >= 0)
    .map(({ state, value }) => [state.type, (state.context as { error?: { code: string } })?.error?.code ?? value]);

t.test("a value that cannot cross fails its task with the path, and an inline task may have it", async (t) => {
  const { run } = await watch(await executorFlow("values", "functions"), { executor });
  const found = run.taskRuns.map(({ taskSlug, state, value }) => [taskSlug, state.type, state.message, value]);
  t.match(found, [
    ["give-1", "Success", /./, { a: [Function] }],
    [
      "give-2",
      "Failed",
      /The result of task "give" cannot cross between threads: `a\[0\]` of the value is the function/,
    ],
    ["take-1", "Failed", /The arguments of task "take" cannot cross between threads: `\[0\]\.a\[0\]` of the value/],
    ["give-3", "Success", /./, { a: [1] }],
    ["take-2", "Success", /./, "number"],
    ["take-3", "Success", /./, "function"],
  ]);
});

t.test(
  "what kills a thread fails the task that did it with the cause; its neighbours go on, and the next ones too",
  async (t) => {
    const { run } = await watch(await executorFlow("dies", "dies"), { executor });
    t.same(ends(run.taskRuns), [
      ["Failed", "WORKER_EXITED"],
      ["Success", "live"],
      ["Failed", "WORKER_UNCAUGHT"],
      ["Failed", "WORKER_OUT_OF_MEMORY"],
      ["Failed", "WORKER_UNCAUGHT"],
      ["Success", "live"],
    ]);
    const messages = run.taskRuns.map(({ state }) => state.message);
    t.match(messages[1], /Task "die" ended its worker thread with process\.exit\(3\)/);
    t.match(messages[4], /its limit of 32 MiB/);
    t.match(messages[5], /lost on purpose/);
  },
);

t.test(
  "what a task leaves behind and throws later harms no other task, and its thread is not used again",
  async (t) => {
    const { run } = await watch(await executorFlow("dies", "leaves"), { executor: executors.threads({ size: 1 }) });
    t.equal(run.state.type, "Success");
    t.same(run.output, [1, 1], "the module's own count began anew");
  },
);

t.test("what Millrace itself places in a flow stays in the flow run's thread, where its engine is", async (t) => {
  const { run } = await watch(await executorFlow("own", "own"), { executor, onPause: () => ({ input: 4 }) });
  t.same(
    run.taskRuns.map(({ state }) => state.context).filter((context) => context !== undefined),
    [],
  );
  t.same(run.output, [8, "Success", 8]);
});

t.test("a subflow runs where it says itself, not where its parent does", async (t) => {
  const { run } = await watch(await executorFlow("own", "parent"), {});
  t.equal(run.output, "Success");
});

t.test("a cancelled run gives back the resources that a task on a thread has used", async (t) => {
  const stop = new AbortController();
  const lines: string[] = [];
  const log = ({ message }: { message: string }) => {
    lines.push(message);
    if (message === "hanging") stop.abort();
  };
  const { run } = await watch(await executorFlow("own", "held"), { executor, log, signal: stop.signal });
  t.match(lines, ["hanging", "closed"]);
  t.same(
    run.taskRuns.map(({ taskSlug, state }) => [taskSlug, state.type]),
    [
      ["file.setup-1", "Success"],
      ["hang-1", "Cancelled"],
      ["file.cleanup-1", "Success"],
    ],
  );
});

t.test("a task's time begins when its thread is ready", async (t) => {
  const flow = await executorFlow("waits", "times out");
  const { logs } = await watch(flow, { executor });
  t.match(logs, [{ message: "waiting" }, {}, { message: "told: TASK_TIMED_OUT" }]);
});

/** The tasks of a flow, called by hand. */
async function callsOf(
  flow: Flow,
  size: number,
): Promise<{ executor: Executor; call: (n: number, hardStop?: AbortSignal) => Promise<unknown>; lines: string[] }> {
  const { definition } = flow;
  const opened = await openExecutor(definition, executors.threads({ size }), async () => loadedCode(definition)!);
  const task = definition.tasks[0]!;
  const lines: string[] = [];
  const log = (line: unknown) => lines.push(String(line));
  const logger = { debug: log, info: log, warn: log, error: log };
  const call = async (n: number, hardStop = new AbortController().signal) => {
    const context = {
      taskSlug: task.slug,
      taskName: task.name,
      logger,
      parameters: {},
      signal: new AbortController().signal,
    };
    return opened.call({ fn: task.fn, args: [n], context, hardStop, logPrints: false } as unknown as TaskCall);
  };
  return { executor: opened, call, lines };
}

t.test("a hard stop ends a busy loop with its reason; its neighbour and the next call notice nothing", async (t) => {
  const { executor, call, lines } = await callsOf(await executorFlow("waits", "burns"), 2);
  t.teardown(() => executor.close());
  const [stop, otherStop] = [new AbortController(), new AbortController()];
  const first = call(1, stop.signal);
  const neighbour = call(1, otherStop.signal);
  await eventually(() => lines.length === 2);
  const third = call(0);
  stop.abort(new Error("stopped hard"));
  await t.rejects(first, { message: "stopped hard" });
  t.equal(await third, "spared", "it waited for the place, and got another thread");
  const settled = await Promise.race([neighbour.catch(() => "ended"), call(0)]);
  t.equal(settled, "spared", "the neighbour burns on");
  otherStop.abort(new Error("over"));
  await t.rejects(neighbour, { message: "over" });
  await t.rejects(call(0, AbortSignal.abort(new Error("stopped before"))), { message: "stopped before" });
});

t.test("a closed executor ends what is on its threads, busy loops too, and takes no more calls", async (t) => {
  const { executor, call, lines } = await callsOf(await executorFlow("waits", "burns"), 1);
  const burning = t.rejects(call(1));
  await eventually(() => lines.length === 1);
  const waiting = t.rejects(call(0), { code: "RUN_STOPPED" });
  await executor.close();
  await Promise.all([burning, waiting]);
  await t.rejects(call(0), { code: "RUN_STOPPED" });
  await t.rejects(executor.ready!("burn-1"), { code: "RUN_STOPPED" });
});

const BURN = `
import { executors, flow, task } from "millrace";
import { threadId } from "node:worker_threads";
import { label, type Row } from "./label.ts";
const row = task("row", (n: number): Row => ({ n, at: threadId, text: label(n) }));
export const rows = flow("rows", { executor: executors.threads({ size: 2 }) }, () => row.map([1, 2, 3]));
`;

t.test("a TypeScript file runs its tasks on threads by flow.run(), and by the command", async (t) => {
  const folder = await userProject(t, {
    "rows.ts": BURN,
    "label.ts":
      'export type Row = { n: number; at: number; text: string }; export const label = (n: number) => "row " + n;',
    "main.ts": `import { rows } from "./rows.ts"; const { output } = await rows.run(); console.log(JSON.stringify(output));`,
  });
  const output = JSON.parse(await runProgram(folder, "main.ts")) as { n: number; at: number; text: string }[];
  t.same(
    output.map(({ n, text }) => [n, text]),
    [
      [1, "row 1"],
      [2, "row 2"],
      [3, "row 3"],
    ],
  );
  t.ok(
    output.every(({ at }) => at > 0),
    "none of them on the main thread",
  );
  const bin = join(folder, "node_modules/millrace/bin/millrace.cjs");
  const { stdout } = await promisify(execFile)(process.execPath, [bin, "run", "rows.ts", "--json"], { cwd: folder });
  t.match(stdout, /row 3/);
});

t.test("why threads cannot have a flow's code is the error of its tasks", async (t) => {
  const folder = await userProject(t, {
    "differs.ts": `
      import { executors, flow, task } from "millrace";
      import { isMainThread } from "node:worker_threads";
      const one = task(isMainThread ? "one" : "other", () => 1);
      export const differs = flow("differs", { executor: executors.threads() }, () => one());
      const { state, taskRuns } = await differs.run();
      console.log(taskRuns[0].state.context.error.code);`,
    "throws.ts": `
      import { executors, flow, task } from "millrace";
      import { isMainThread } from "node:worker_threads";
      if (!isMainThread) throw new Error("not here");
      const throws = flow("throws", { executor: executors.threads() }, () => task("one", () => 1)());
      const { taskRuns } = await throws.run({}, { log: () => {} });
      console.log(taskRuns[0].state.context.error.code);`,
  });
  t.equal(await runProgram(folder, "differs.ts"), "TASK_IDS_CHANGED");
  t.equal(await runProgram(folder, "throws.ts"), "FLOW_LOAD_FAILED");
  const code = `
    import { executors, flow, task } from "millrace";
    const typed = flow("typed", () => task("one", () => 1)());
    const { taskRuns } = await typed.run({}, { executor: executors.threads() });
    console.log(taskRuns[0].state.context.error.code);`;
  t.equal(await runProgram(folder, "--input-type=module", "-e", code), "FLOW_SOURCE_UNKNOWN");
});

t.test("a run refuses an executor that is none", async (t) => {
  const flow = await executorFlow("orders", "ordered");
  await t.rejects(flow.run({}, { executor: { kind: "cluster" } as never }), { code: "TASK_OPTIONS_INVALID" });
});

t.test("large values cross as they are, and stay whole on the side that they come from", async (t) => {
  const { run } = await watch(await executorFlow("values", "large"), { executor });
  t.same(run.output, [1_000_000, 1_000_000, 1_000_000]);
});
