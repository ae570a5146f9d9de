import t, { type Test } from "tap";
import { threadEnv } from "../../src/agent/thread-env.js";
import { saveModule } from "../../src/deploy/save.js";
import { executeFlowRun } from "../../src/execute/execute-flow-run.js";
import type { RunRequest } from "../../src/threads/messages.js";
import { ThreadPool } from "../../src/threads/pool.js";
import { fixture } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { RecordingHost } from "../helpers/run-request.js";

await temporaryHome(t);
process.env.MILLRACE_API_TOKEN = "mlr_TOKEN";
process.env.SOME_SECRET = "SECRET";
Object.assign(globalThis, { agentSecret: "SECRET" });
t.teardown(() => {
  delete process.env.MILLRACE_API_TOKEN;
  delete process.env.SOME_SECRET;
});

const stored = await saveModule(fixture("executors/nested.ts"));

/** A run as an agent hands it to a thread. */
function requestFor(flowName: string): RunRequest {
  const { manifest, location, hash } = stored.find((each) => each.manifest.spec.name === flowName)!;
  return {
    flowRunId: "11111111-1111-7111-8111-111111111111",
    flowRunName: "a run",
    flowId: "22222222-2222-7222-8222-222222222222",
    flowName,
    savedFlowFile: location.location,
    savedFlowHash: hash,
    specHash: manifest.specHash,
    parameters: {},
    scheduledStartAt: new Date().toISOString(),
    projectName: "Sales",
    date: null,
    taskRuns: [],
  };
}

/** Runs the flow on a thread of an agent, twice, and answers the last run's host. */
async function runTwice(t: Test, flowName: string, state: string): Promise<RecordingHost> {
  const replaced: string[] = [];
  const pool = new ThreadPool({
    threads: 1,
    env: threadEnv(),
    onReplaced: (_, leftovers) => replaced.push(...leftovers),
  });
  t.teardown(() => pool.close());
  const options = { freshThread: false, maxHeapMb: null, signal: new AbortController().signal };
  let host = new RecordingHost();
  for (let round = 0; round < 2; round++) {
    host = new RecordingHost();
    t.same(await pool.run(requestFor(flowName), host, options), { outcome: "done", state });
    t.same(pool.counts, { busy: 0, idle: 1 });
  }
  t.same(replaced, [], "a run's task threads are gone with it, and its own thread is used again");
  return host;
}

t.test("under an agent tasks are spread over threads of their own", async (t) => {
  const host = await runTwice(t, "squares", "Success");
  t.same(host.logs, ["204 on 2 threads"]);
});

t.test("and so they are when the flow runs inline, on the agent's main thread", async (t) => {
  const host = new RecordingHost();
  t.same(await executeFlowRun(requestFor("squares"), host), { outcome: "done", state: "Success" });
  t.same(host.logs, ["204 on 2 threads"]);
});

t.test("a task's thread has no token, no secret, no port, and no way into the main thread", async (t) => {
  t.same((await runTwice(t, "looks around from tasks", "Success")).logs, ["found: "]);
});

t.test("a task that ends its thread fails alone", async (t) => {
  const host = await runTwice(t, "exits in a task", "Failed");
  const children = host.reports
    .flatMap(({ states }) => states)
    .filter(({ taskRun }) => taskRun && taskRun.mapIndex >= 0);
  const ends = children
    .filter(({ state }) => state.type !== "Running")
    .map(({ taskRun, state }) => [taskRun!.mapIndex, state.type]);
  t.same(ends.sort(), [
    [0, "Success"],
    [1, "Failed"],
    [2, "Success"],
  ]);
  t.match(
    children.find(({ state }) => state.type === "Failed"),
    { state: { message: /Task "exit" ended its worker thread with process\.exit\(4\)/ } },
  );
});
