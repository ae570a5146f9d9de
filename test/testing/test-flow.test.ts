import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { type ExecutorOptions, executors } from "../../src/core/options/executor.js";
import { parameter } from "../../src/core/parameter.js";
import { signals } from "../../src/core/signal.js";
import { task } from "../../src/core/task.js";
import { flow } from "../../src/flow.js";
import { expectEnds, testFlow } from "../../src/testing/index.js";

const HOUR_MS = 3_600_000;

const fetchPage = task("fetch page", { retries: 2, retryDelayMs: HOUR_MS }, async (url: string) => {
  if (taskContext().runCount < 3) throw new Error(`no answer from ${url}`);
  return [url, url];
});
const count = task("count", (lines: string[]) => lines.length);
const pages = flow("pages", () => count(fetchPage(parameter<string>("url", { default: "a" }))));

t.test("a run with retries an hour apart takes no time, and counts it", async (t) => {
  const began = performance.now();
  const run = await testFlow(pages);
  t.ok(performance.now() - began < 5_000);
  t.equal(run.state.type, "Success");
  t.equal(run.output, 2);
  t.ok(run.elapsedMs >= 2 * HOUR_MS, "two waits of an hour");
  t.same(run.types("fetch page-1"), ["Running", "Retrying", "Running", "Retrying", "Running", "Success"]);
  t.same(run.types(), ["Running", "Success"]);
  t.equal(run.logs.filter(({ level }) => level === "ERROR").length, 2);
});

t.test("stubs stand for tasks, by name or by slug, with the task's arguments", async (t) => {
  const run = await testFlow(pages, { parameters: { url: "b" }, stubs: { "fetch page": (url: string) => [url] } });
  expectEnds(run, { url: "Success", "fetch page-1": "Success", "count-1": "Success" });
  t.same(run.value("fetch page-1"), ["b"]);
  t.equal((await testFlow(pages, { stubs: { "count-1": () => 42, "fetch page": () => [] } })).output, 42);
});

t.test("a stub that stands for nothing is refused, and so is a question about a task that is not there", async (t) => {
  await t.rejects(testFlow(pages, { stubs: { "fetch pages": () => [] } }), {
    code: "TEST_TASK_UNKNOWN",
    hint: /fetch page-1/,
  });
  const run = await testFlow(pages);
  t.throws(() => run.value("nothing"), { code: "TEST_TASK_UNKNOWN" });
});

t.test("as many tasks run at once as the flow's executor takes", async (t) => {
  let [running, most] = [0, 0];
  const enter = task("enter", async (_: number) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  });
  const cases: [executor: ExecutorOptions | undefined, most: number][] = [
    [undefined, 4],
    [executors.sequential(), 1],
    [executors.concurrent({ limit: 2 }), 2],
    [executors.threads({ size: 3 }), 3],
  ];
  for (const [executor, wanted] of cases) {
    most = 0;
    await testFlow(flow("crowd", executor ? { executor } : {}, () => enter.map([1, 2, 3, 4])));
    t.equal(most, wanted, executor?.kind ?? "the default");
  }
});

t.test("a difference from what is expected is shown", async (t) => {
  const run = await testFlow(pages);
  t.throws(() => expectEnds(run, { "count-1": "Failed" }), { name: "AssertionError", message: /'Failed'/ });
});

t.test("a timeout is a task's own time, and one that hangs is over when it has passed", async () => {
  const hangs = task("hangs", { timeoutMs: 50 }, () => new Promise(() => {}));
  const run = await testFlow(flow("stuck", () => hangs()));
  expectEnds(run, { "hangs-1": "TimedOut" });
  const slow = task("slow", { timeoutMs: 5_000 }, () => new Promise((resolve) => setTimeout(resolve, 30)));
  expectEnds(await testFlow(flow("slow", () => slow())), { "slow-1": "Success" });
});

t.test("a pause is answered by the test, or leaves the run waiting", async (t) => {
  const asks = task("asks", () => {
    const { resumeInput } = taskContext();
    if (resumeInput === undefined) throw signals.pause("may I?");
    return resumeInput;
  });
  const asking = flow("asking", () => asks());
  const answered = await testFlow(asking, { onPause: ({ message }) => ({ input: `yes to: ${message}` }) });
  t.equal(answered.output, "yes to: may I?");
  const waiting = await testFlow(asking);
  t.match(waiting.end, { kind: "waiting", dueAt: null });
  expectEnds(waiting, { "asks-1": "Paused" });
});

t.test("the run begins when the test says so", async (t) => {
  const when = task("when", () => taskContext().scheduledStartAt);
  const run = await testFlow(
    flow("when", () => when()),
    { startAt: new Date("2030-02-28T23:59:00Z") },
  );
  t.equal(run.output, "2030-02-28T23:59:00.000Z");
  t.ok(run.state.at.startsWith("2030-02-28T23:59:0"));
});
