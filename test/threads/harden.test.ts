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
       delete process.env.NODE_OPTIONS;
       const { Worker, SHARE_ENV } = require("node:worker_threads");
       try { post(await (${ask})()); } catch (error) { post(error.code ?? String(error)); }
     });`,
    // As the agent starts its threads: with none of its own options.
    { eval: true, execArgv: [], env: { ...process.env, NODE_OPTIONS: "" } },
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
    'new (await import("node:inspector/promises")).Session().connectToMainThread()',
    '(await import("node:inspector/promises")).open(0)',
    'process.getBuiltinModule("node:inspector").open(0)',
    'require("node:module")._load("inspector").open(0)',
    'process.kill(process.pid, "SIGUSR1")',
    "process.kill(0, 10)",
    "process._kill(process.pid, { valueOf: () => 10 })",
    "process.report.reportOnUncaughtException = true",
    'new Worker("", { eval: true, execArgv: ["--expose-internals"] })',
    'new Worker("", { eval: true, execArgv: ["--experimental-loader=data:text/javascript,"] })',
    'process.env.NODE_OPTIONS = "--expose-internals"; new Worker("", { eval: true, env: SHARE_ENV })',
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

/** Code that starts a thread as `start` says and answers what that posts. */
const inNested = (start: string, ask: string): string => `async () => {
  const code = "const { parentPort, Worker, SHARE_ENV, isMainThread } = require('node:worker_threads');" +
    "(async () => { try { parentPort.postMessage(await (" + ${JSON.stringify(ask)} + ")()); }" +
    "catch (error) { parentPort.postMessage(error.code ?? String(error)); } })()";
  const worker = ${start};
  return new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
}`;

const starts: [string, string][] = [
  ["a thread", "new Worker(code, { eval: true })"],
  ["one with options of its own", 'new Worker(code, { eval: true, execArgv: ["--no-warnings"], env: SHARE_ENV })'],
  ["one made by the prototype's constructor", "new Worker.prototype.constructor(code, { eval: true })"],
  ["one of a subclass", "new (class extends Worker {})(code, { eval: true })"],
  ["one of process.getBuiltinModule", 'new (process.getBuiltinModule("worker_threads").Worker)(code, { eval: true })'],
  ["one of a dynamic import", 'new (await import("node:worker_threads")).Worker(code, { eval: true })'],
  [
    "one of a thread whose built-in methods lie",
    `(Array.prototype[Symbol.iterator] = function* () {}, Array.prototype.push = () => 0,
      String.prototype.indexOf = () => 0, String.prototype.slice = () => "--import",
      new Worker(code, { eval: true, execArgv: [] }))`,
  ],
  ["one told otherwise by NODE_OPTIONS", 'new Worker(code, { eval: true, env: { NODE_OPTIONS: "--import=data:," } })'],
  [
    "one whose starter sets NODE_OPTIONS",
    '(process.env.NODE_OPTIONS = "--no-warnings", new Worker(code, { eval: true }))',
  ],
  [
    "one within one",
    `new Worker(
      "const { Worker, parentPort, workerData } = require('node:worker_threads');" +
        "new Worker(workerData, { eval: true }).once('message', (answer) => parentPort.postMessage(answer));",
      { eval: true, workerData: code },
    )`,
  ],
];

for (const [what, start] of starts) {
  t.test(`${what} that flow code starts is hardened as well`, async (t) => {
    const connect = '() => new (require("node:inspector").Session)().connectToMainThread()';
    t.equal(await inHardThread(t, inNested(start, connect)), "WORKER_FORBIDDEN");
    const report = "() => JSON.stringify(process.report.getReport()).includes('environmentVariables')";
    t.equal(await inHardThread(t, inNested(start, report)), false);
  });
}

t.test("the report shows no environment while other threads run", async (t) => {
  const ask = `async () => {
    const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
    await new Promise((resolve) => worker.once("online", resolve));
    const text = JSON.stringify(process.report.getReport());
    await worker.terminate();
    return [text.includes("threadId"), text.includes("environmentVariables")].join();
  }`;
  t.equal(await inHardThread(t, ask), "true,false");
});

t.test("a nested thread sees its starter's environment and options, and those it is given", async (t) => {
  process.env.HARDEN_TEST_SECRET = "SECRET";
  t.teardown(() => delete process.env.HARDEN_TEST_SECRET);
  const own = (options: string) => `
    (delete process.env.HARDEN_TEST_SECRET, process.env.OWN = "1", new Worker(code, { eval: true, ${options} }))`;
  const ask = "() => [process.env.HARDEN_TEST_SECRET, process.env.OWN, process.env.GIVEN, ...process.execArgv].join()";
  t.equal(await inHardThread(t, inNested(own(""), ask)), ",1,");
  t.equal(await inHardThread(t, inNested(own("env: SHARE_ENV"), ask)), ",1,");
  t.equal(await inHardThread(t, inNested(own("env: { GIVEN: 2 }"), ask)), ",,2");
  t.equal(await inHardThread(t, inNested(own('execArgv: ["--no-warnings"]'), ask)), ",1,,--no-warnings");
});

t.test("the thread of module.register()'s hooks is hardened", async (t) => {
  const hooks = `
    import { Session } from "node:inspector";
    let answer = "connected";
    try { new Session().connectToMainThread(); } catch (error) { answer = error.code; }
    export const resolve = (specifier, context, next) => next(specifier, context);
    export const load = (url, context, next) => url === "data:text/javascript,answer"
      ? { format: "module", shortCircuit: true, source: "export default " + JSON.stringify(answer) }
      : next(url, context);`;
  const url = `data:text/javascript,${encodeURIComponent(hooks)}`;
  const ask = `async () => {
    require("node:module").register(${JSON.stringify(url)});
    return (await import("data:text/javascript,answer")).default;
  }`;
  t.equal(await inHardThread(t, ask), "WORKER_FORBIDDEN");
});

t.test("an object that inherits from Map or WeakMap may have methods of its own", async (t) => {
  const ask = `() => {
    "use strict";
    const list = Object.create(Map.prototype);
    list.get = () => "mine";
    function Weak() {}
    Weak.prototype = Object.create(WeakMap.prototype);
    Weak.prototype.set = () => "mine too";
    Map.prototype.get = () => "nobody's";
    return [list.get(), new Weak().set(), new Map([[1, "kept"]]).get(1)].join(" ");
  }`;
  t.equal(await inHardThread(t, ask), "mine mine too kept");
});
