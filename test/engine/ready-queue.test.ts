import t from "tap";
import { inlineExecutor } from "../../src/engine/executors.js";
import { runFlow } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import { type BuildFlow, task, taskContext } from "../../src/index.js";
import { define, FakeClock, Recorder } from "./bed.js";

/** Runs the flow with so many places, and answers its task runs in the order in which they began, and the most at once. */
async function order(
  limit: number,
  build: BuildFlow<unknown>,
): Promise<{ began: string[]; most: number; state: string }> {
  const recorder = new Recorder();
  const run = {
    flowRunId: "flow run",
    flowRunName: "a run",
    flowId: null,
    parameters: {},
    scheduledStartAt: "2026-01-01T00:00:00.000Z",
    taskRuns: [],
  };
  const ports = { ...localPorts(), reporter: recorder, clock: new FakeClock(), executor: inlineExecutor(limit) };
  const { state } = await runFlow(define(build), run, ports);
  let most = 0;
  let running = 0;
  for (const { state } of recorder.reports.filter(({ taskSlug }) => taskSlug !== null)) {
    if (state.type === "Running") running += 1;
    else if (running > 0 && state.type !== "Mapped") running -= 1;
    most = Math.max(most, running);
  }
  const began = recorder.lines().filter((line) => line.endsWith(" Running") && !line.startsWith("flow"));
  return { began: began.map((line) => line.replace(" Running", "")), most, state: state.type };
}

const name = (slug: string) => task(slug, { slug }, (...given: unknown[]) => given.length);

t.test("with one place task runs begin in the order in which the flow was written", async (t) => {
  const { began, most } = await order(1, () => {
    const a = name("a")();
    const b = name("b")();
    const c = name("c")(a);
    return [name("d")(b), name("e")(c)];
  });
  t.same(began, ["a", "b", "c", "d", "e"]);
  t.equal(most, 1);
});

t.test("children come at the place of the map that begins their chain, depth first", async (t) => {
  const { began } = await order(1, () => {
    const before = name("before")();
    const first = name("first").map([1, 2]);
    const between = name("between")();
    const second = name("second").map(first);
    return [before, between, name("last")(second), name("other").map([1])];
  });
  t.same(began, ["before", "first[0]", "second[0]", "first[1]", "second[1]", "between", "last", "other[0]"]);
});

t.test("what waits for its retry lets others pass, and comes back to its place", async (t) => {
  const flaky = task("flaky", { retries: 1, retryDelayMs: 1_000 }, () => {
    if (taskContext().runCount === 1) throw new Error("once");
  });
  const { began, state } = await order(1, () => [flaky(), name("a")(), name("b")()]);
  t.same(began, ["flaky-1", "a", "b", "flaky-1"]);
  t.equal(state, "Success");
  const atOnce = await order(1, () => [flaky.with({ retryDelayMs: 0 })(), name("a")()]);
  t.same(atOnce.began, ["flaky-1", "flaky-1", "a"]);
});

t.test("no more task runs are under way than there are places, and all of them come to their end", async (t) => {
  const wait = task("wait", async (n: number) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (n === 13) throw new Error("one of them fails");
    return n;
  });
  const list = Array.from({ length: 40 }, (_, index) => index);
  for (const limit of [1, 2, 7]) {
    const { began, most, state } = await order(limit, () => wait.map(wait.map(list)));
    t.equal(began.length, 79, "the failed one's child does not begin");
    t.equal(most, limit);
    t.equal(state, "Failed");
  }
  t.equal(
    (await order(Number.POSITIVE_INFINITY, () => wait.map(Array(300).fill(1)))).most,
    256,
    "a window for children",
  );
});
