import { once } from "node:events";
import { Worker } from "node:worker_threads";
import t, { type Test } from "tap";

/** Runs `ask` in a thread that has been hardened, and answers what it gave or the code of what it threw. */
async function inHardThread(t: Test, ask: string): Promise<unknown> {
  const file = new URL("../../src/threads/harden.js", import.meta.url);
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     import(${JSON.stringify(file.href)}).then(async ({ hardenThread }) => {
       const post = parentPort.postMessage.bind(parentPort);
       hardenThread();
       try { post(await (${ask})()); } catch (error) { post(error.code ?? String(error)); }
     });`,
    { eval: true },
  );
  t.teardown(() => worker.terminate());
  const [answer] = await once(worker, "message");
  return answer;
}

t.test("what reaches past a thread is refused with WORKER_FORBIDDEN", async (t) => {
  const asked = [
    'require("node:inspector").open(0)',
    'new (require("node:inspector").Session)().connect()',
    'new (require("node:inspector").Session)().connectToMainThread()',
    'require("node:v8").setFlagsFromString("--expose-gc")',
    'process.binding("fs")',
    'process._linkedBinding("fs")',
    'process.report.writeReport("report.json")',
    '(await import("node:inspector")).open(0)',
  ];
  for (const ask of asked)
    t.equal(await inHardThread(t, `async () => { ${ask}; return "it worked"; }`), "WORKER_FORBIDDEN", ask);
});

t.test("the process's report does not show its environment", async (t) => {
  t.equal(await inHardThread(t, '() => "environmentVariables" in process.report.getReport()'), false);
});

t.test("objects may still have methods of the names that are locked", async (t) => {
  const answer = await inHardThread(
    t,
    `() => {
      "use strict";
      const own = () => 1;
      own.apply = () => "mine";
      class Port extends EventTarget {}
      const port = new Port();
      port.addEventListener = () => "mine too";
      return [own.apply(), port.addEventListener(), Math.max.apply(null, [1, 2]), own.call()].join(" ");
    }`,
  );
  t.equal(answer, "mine mine too 2 1");
});
