import { rm } from "node:fs/promises";
import t from "tap";
import { toFailure } from "../../src/codec/failure.js";
import { toWireState } from "../../src/codec/state-json.js";
import { MillraceError } from "../../src/core/errors.js";
import { makeState } from "../../src/core/state.js";
import { executeFlowRun } from "../../src/execute/execute-flow-run.js";
import type { RunHost } from "../../src/threads/messages.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";
import { RecordingHost, requestFor } from "../helpers/run-request.js";

await temporaryHome(t);

t.test("a run goes from its saved flow to its last state, on this thread too", async (t) => {
  const host = new RecordingHost();
  let loaded = 0;
  const reply = await executeFlowRun(await requestFor("hello", { name: "Ada" }), host, () => {
    loaded = host.reports.length + 1;
  });
  t.same(reply, { outcome: "done", state: "Success" });
  t.equal(loaded, 1, "it is told that the flow is loaded before anything is reported");
  t.equal(host.states.at(-1), "Success");
  const entries = host.reports.flatMap(({ states }) => states);
  const shout = entries.find(({ taskRun, state }) => taskRun?.taskSlug === "shout-1" && state.type === "Success");
  t.match(shout, { taskRun: { version: 1 }, state: { _result: { type: "PrefectResult", location: '"HELLO, ADA!"' } } });
});

t.test("a flow that cannot be had is not started, with the reason", async (t) => {
  const host = new RecordingHost();
  const request = await requestFor("counts-runs");
  await rm(request.savedFlowFile);
  const missing = await executeFlowRun(request, host);
  t.match(missing, { outcome: "not started", failure: { code: "SAVED_FLOW_NOT_FOUND" }, lists: null });
  const { savedFlowFile } = await requestFor("sleeps");
  const other = await executeFlowRun({ ...request, savedFlowFile }, host);
  t.match(other, { outcome: "not started", failure: { code: "SAVED_FLOW_CORRUPT" } });
  t.equal(host.reports.length, 0);
});

t.test("other tasks than the Cloud registered: not started, with both lists", async (t) => {
  const host = new RecordingHost();
  const request = await requestFor("hello");
  const reply = await executeFlowRun({ ...request, specHash: "another" }, host);
  t.match(reply, {
    outcome: "not started",
    failure: { code: "TASK_IDS_CHANGED", message: /the Cloud has other tasks/ },
    lists: { manifest: { specHash: request.specHash }, built: { specHash: request.specHash, spec: { name: "hello" } } },
  });
  t.equal(host.reports.length, 0);
});

t.test("a refused report breaks the run off with its reason", async (t) => {
  const failure = toFailure(new MillraceError("RUN_LEASE_LOST", "taken over"));
  const host: RunHost = {
    report: async () => failure,
    ask: () => new Promise(() => {}),
    stopped: () => new Promise(() => {}),
  };
  const reply = await executeFlowRun(await requestFor("hello"), host);
  t.match(reply, { outcome: "broken off", failure: { code: "RUN_LEASE_LOST", message: "taken over" } });
});

t.test("a run that is told to stop is broken off; one that is cancelled reports itself Cancelled", async (t) => {
  for (const code of ["RUN_STOPPED", "RUN_CANCELLED"] as const) {
    const host = new RecordingHost();
    const running = executeFlowRun(await requestFor("sleeps"), host);
    await eventually(() => host.states.includes("sleep-1:Running"));
    host.stop(toFailure(new MillraceError(code, "that is enough")));
    const reply = await running;
    if (code === "RUN_CANCELLED") {
      t.same(reply, { outcome: "done", state: "Cancelled" });
      t.same(host.states.slice(-3).sort(), ["Cancelled", "after-1:Cancelled", "sleep-1:Cancelled"]);
    } else {
      t.match(reply, { outcome: "broken off", failure: { code } });
      t.equal(host.states.at(-1), "sleep-1:Running", "nothing more is reported");
    }
  }
});

t.test("a result that no task needs is not read, though the flow's output is made of it", async (t) => {
  const host = new RecordingHost();
  const request = await requestFor("hello");
  const at = new Date().toISOString();
  for (const run of request.taskRuns) {
    if (run.taskSlug !== "shout-1") continue;
    // Were it read, the log would tell that it cannot be.
    const result = { type: "LocalResult" as const, location: "gone", dir: "/nowhere" };
    run.state = toWireState(makeState("Success", null, { at, result }));
    run.version = 2;
  }
  t.same(await executeFlowRun(request, host), { outcome: "done", state: "Success" });
  t.same(
    host.states.filter((each) => each.startsWith("shout")),
    [],
    "it was finished before",
  );
  t.same(host.logs, []);
});

t.test("parameters that the flow does not know end the run in Failed", async (t) => {
  const host = new RecordingHost();
  const reply = await executeFlowRun(await requestFor("hello", { nobody: 1 }), host);
  t.same(reply, { outcome: "done", state: "Failed" });
  t.match(host.reports.at(-1)?.states.at(-1)?.state, {
    type: "Failed",
    context: { error: { code: "PARAMETER_UNKNOWN" } },
  });
});
