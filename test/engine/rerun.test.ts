import t from "tap";
import { taskContext } from "../../src/core/context.js";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { signals } from "../../src/core/signal.js";
import { makeState } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { define, finish, knownAfter, MemoryResults, start } from "./bed.js";

let ran: string[] = [];
const open = task("open", { checkpoint: false }, (value: number) => {
  ran.push("open");
  return { value, query: () => value };
});
const use = task("use", (connection: { query(): number }) => {
  ran.push("use");
  return connection.query();
});
const inc = task("inc", (value: number) => {
  ran.push("inc");
  return value + 1;
});

/** Runs the flow until `cut` reports were accepted, and then again with what the Cloud knows. */
async function takenUp(build: BuildFlow<unknown> | FlowDefinition, cut: number) {
  const results = new MemoryResults();
  const refuse = (_: unknown, count: number) => (count > cut ? new Error("cut") : undefined);
  const first = start(build, { results, refuse });
  await first.outcome.catch(() => {});
  ran = [];
  return finish(build, { results, taskRuns: knownAfter(first.recorder.reports.slice(0, cut)) });
}

t.test("a result that is not kept is handed on in memory", async (t) => {
  const { end, results, recorder } = await finish(() => use(open(5)));
  t.equal(end.output, 5);
  t.equal(recorder.of("open-1").at(-1)?.state.result, undefined);
  t.equal(results.values.size, 1);
});

t.test(
  "a run taken up elsewhere runs such a task again for the tasks that need it, and reports nothing of it",
  async (t) => {
    // flow Running, open Running, open Success, use Running.
    const { end, recorder } = await takenUp(() => use(open(5)), 4);
    t.same(ran, ["open", "use"]);
    t.same(recorder.lines(), ["flow Running", "use-1 Running", "use-1 Success", "flow Success"]);
    t.equal(end.output, 5);
    t.match(recorder.logs, [{ level: "INFO", message: 'Task "open" runs again: its value was kept in memory only.' }]);
  },
);

t.test("when nobody needs it any more it does not run again", async (t) => {
  // … use Success, inc Running.
  const { end, recorder } = await takenUp(() => inc(use(open(5))), 6);
  t.same(ran, ["inc"]);
  t.equal(end.output, 6);
  t.same(recorder.logs, []);
});

t.test("in a chain of them, all run again that lead to what is needed", async (t) => {
  const wrap = task("wrap", { checkpoint: false }, (connection: { query(): number }) => {
    ran.push("wrap");
    return { query: () => connection.query() * 2 };
  });
  const { end } = await takenUp(() => use(wrap(open(5))), 6);
  t.same(ran, ["open", "wrap", "use"]);
  t.equal(end.output, 10);
});

t.test("children whose values are gone run again; those that failed stay as they are", async (t) => {
  const each = task("each", { checkpoint: false }, (value: number) => {
    ran.push(`each ${value}`);
    if (value === 2) throw new Error("x");
    return () => value;
  });
  const call = task("call", (fn: () => number) => fn());
  const flow = () => call.map(each.map([1, 2, 3]));
  // flow Running, each Mapped, [0] to [2] Running, call Mapped and their ends.
  const first = await finish(flow);
  const known = knownAfter(first.recorder.reports.filter((at) => at.taskSlug !== "call-1" || at.mapIndex < 0));
  ran = [];
  const { recorder } = await finish(flow, { taskRuns: known });
  t.same(ran.sort(), ["each 1", "each 3"]);
  t.same(
    recorder.lines().filter((line) => line.startsWith("each")),
    [],
  );
  t.same(
    [0, 1, 2].map((index) => recorder.of(`call-1[${index}]`).at(-1)?.state.type),
    ["Success", "TriggerFailed", "Success"],
  );
});

t.test("a task that fails when it runs again fails those that need it", async (t) => {
  let times = 0;
  const once = task("once", { checkpoint: false }, () => {
    times += 1;
    if (times > 1) throw new Error("no second one");
    return { query: () => 1 };
  });
  const { end, recorder } = await takenUp(() => use(once()), 4);
  t.equal(end.state.type, "Failed");
  t.equal(recorder.of("use-1").at(-1)?.state.type, "TriggerFailed");
  t.same(recorder.of("once-1"), []);
});

t.test("a task that pauses when it runs again fails: nobody could resume it", async (t) => {
  let times = 0;
  const pauses = task("pauses", { checkpoint: false }, () => {
    times += 1;
    if (times > 1) throw signals.pause("again?");
    return { query: () => 1 };
  });
  const { end, recorder } = await takenUp(() => use(pauses()), 4);
  t.equal(end.end.kind, "finished");
  t.equal(recorder.of("use-1").at(-1)?.state.type, "TriggerFailed");
});

t.test("a task runs again for the sake of one child, in whose item of a list it stands", async (t) => {
  const state = makeState("Success", null);
  const taskRuns = [{ taskRunId: "id", taskSlug: "open-1", mapIndex: -1, version: 3, state }];
  const { recorder } = await finish(() => use.map([open(3)]), { taskRuns });
  t.equal(recorder.of("use-1[0]").at(-1)?.state.type, "Success");
});

t.test("a task that runs again waits for its retry here, however long: elsewhere it would wait anew", async (t) => {
  const slow = task("slow", { checkpoint: false, retries: 1, retryDelayMs: 3_600_000 }, () => {
    if (taskContext().runCount === 1) throw new Error("once");
    return { query: () => 1 };
  });
  const state = makeState("Success", null);
  const taskRuns = [{ taskRunId: "id", taskSlug: "slow-1", mapIndex: -1, version: 3, state }];
  const { end, clock } = await finish(() => use(slow()), { taskRuns, ports: { maxWaitMs: 0 } });
  t.equal(end.end.kind, "finished");
  t.equal(clock.now() - clock.startedAt, 3_600_000);
});

t.test("a task that sets something up runs again though its result was kept", async (t) => {
  const flow = define(() => use(open.with({ checkpoint: true, slug: "set-up" })(5)));
  const tasks = flow.tasks.map((each) =>
    each.slug === "set-up" ? Object.assign(each, { resetOnResume: true }) : each,
  );
  t.equal(tasks.length, 2);
  const state = makeState("Success", null, { result: { type: "LocalResult", location: "old" } });
  const results = new MemoryResults();
  results.values.set("old", { query: () => -1 });
  ran = [];
  const taskRuns = [{ taskRunId: "id", taskSlug: "set-up", mapIndex: -1, version: 3, state }];
  const { end } = await finish(flow, { results, taskRuns });
  t.same(ran, ["open", "use"]);
  t.equal(end.output, 5);
  t.same(results.reads, []);
});
