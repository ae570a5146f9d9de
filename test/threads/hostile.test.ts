import t, { type Test } from "tap";
import { threadEnv } from "../../src/agent/thread-env.js";
import { toFailure } from "../../src/codec/failure.js";
import { MillraceError } from "../../src/core/errors.js";
import { ThreadPool } from "../../src/threads/pool.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";
import { RecordingHost, requestFor } from "../helpers/run-request.js";

await temporaryHome(t);
process.env.MILLRACE_API_TOKEN = "mlr_TOKEN";
process.env.SOME_SECRET = "SECRET";
Object.assign(globalThis, { agentSecret: "SECRET" });
t.teardown(() => {
  delete process.env.MILLRACE_API_TOKEN;
  delete process.env.SOME_SECRET;
});

/** Runs the flow three times on one thread, beside a neighbour, and answers the last run's log. */
async function logOf(t: Test, fixture: string): Promise<string[]> {
  const pool = new ThreadPool({ threads: 2, env: threadEnv() });
  t.teardown(() => pool.close());
  const options = { freshThread: false, maxHeapMb: null, signal: new AbortController().signal };
  const beside = new RecordingHost();
  const neighbour = pool.run(await requestFor("sleeps"), beside, options);
  await eventually(() => beside.states.includes("sleep-1:Running"));
  let host = new RecordingHost();
  for (let round = 0; round < 3; round++) {
    host = new RecordingHost();
    const reply = await pool.run(await requestFor(fixture), host, options);
    t.same(reply, { outcome: "done", state: "Success" });
  }
  t.same(pool.counts, { busy: 1, idle: 1 }, "all three on one thread");
  beside.stop(toFailure(new MillraceError("RUN_CANCELLED", "the test is over")));
  t.same(await neighbour, { outcome: "done", state: "Cancelled" }, "the neighbour ran on, and still listens");
  return host.logs;
}

t.test(
  "a flow that looks for ports, secrets, the inspector and bindings, also from further threads, finds none",
  async (t) => {
    t.same(await logOf(t, "hostile-looks-around"), ["found: "]);
  },
);

t.test("a flow that listens in on every prototype is never handed a port", async (t) => {
  t.same(await logOf(t, "hostile-patches"), ["ports: 0"]);
});

t.test("what a flow sends by all other ways does nothing", async (t) => {
  t.same(await logOf(t, "hostile-sends"), ["sent: "]);
});
