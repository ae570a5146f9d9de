import t from "tap";
import { Thread } from "../../src/threads/thread.js";
import { workerFile } from "../../src/threads/worker-file.js";

const file = new URL("./forges-answers.js", import.meta.url);
const never = new AbortController().signal;

for (const kind of ["null", "number", "another task", "twice"]) {
  t.test(`an answer forged on piscina's own port ends the thread, not the process: ${kind}`, async (t) => {
    const thread = new Thread({ file, env: {}, maxHeapMb: null });
    const neighbour = new Thread({ file, env: {}, maxHeapMb: null });
    t.teardown(() => Promise.all([thread.end(), neighbour.end()]));
    await t.rejects(thread.run(kind, { flowName: "forger", transfer: [], signal: never }), { code: "WORKER_PROTOCOL" });
    t.ok(thread.ended);
    t.notOk(neighbour.ended);
  });
}

t.test("a worker file that cannot be loaded rejects the task in place of leaving it waiting", async (t) => {
  const thread = new Thread({ file: new URL("./no-such-worker.js", import.meta.url), env: {}, maxHeapMb: null });
  t.teardown(() => thread.end());
  await t.rejects(thread.run({}, { flowName: "nowhere", transfer: [], signal: never }), {
    code: "WORKER_UNCAUGHT",
    message: /no-such-worker/,
  });
});

t.test("a signal that fires while the thread starts rejects with its reason", async (t) => {
  const thread = new Thread({ file, env: {}, maxHeapMb: null });
  const stop = new AbortController();
  const task = thread.run("null", { flowName: "early", transfer: [], signal: stop.signal });
  stop.abort(new Error("stop before the start"));
  await t.rejects(task, { message: "stop before the start" });
  await thread.end();
});

t.test("the worker file refuses the main thread", async (t) => {
  await t.rejects(import(workerFile("flow-run").href), { code: "MAIN_THREAD_ONLY" });
});
