import t from "tap";
import { executeFlowRun } from "../../src/execute/execute-flow-run.js";
import type { RunRequest, WireTaskRun } from "../../src/threads/messages.js";
import { temporaryHome } from "../helpers/home.js";
import { RecordingHost, requestFor } from "../helpers/run-request.js";

await temporaryHome(t);

/** What the Cloud knows of the task runs after what the host was told. */
function knownTo(host: RecordingHost, request: RunRequest): WireTaskRun[] {
  const known = new Map(request.taskRuns.map((each) => [each.taskRunId, each]));
  for (const { taskRun, state } of host.reports.flatMap(({ states }) => states)) {
    if (taskRun) known.set(taskRun.taskRunId, { ...taskRun, version: taskRun.version + 1, state });
  }
  return [...known.values()];
}

t.test("a run that waits for someone is handed back, and goes on from what the Cloud knows", async (t) => {
  const host = new RecordingHost();
  const request = await requestFor("asks-person");
  t.same(await executeFlowRun(request, host), { outcome: "waiting", dueAt: null });
  t.same(host.states, ["Running", "quote-1:Running", "quote-1:Success", "order-1:Running", "order-1:Paused"]);
  t.match(host.reports.at(-1)?.states.at(-1), { state: { message: "How many at 120 euros?", start_time: null } });

  const untouched = new RecordingHost();
  const again = await executeFlowRun({ ...request, taskRuns: knownTo(host, request) }, untouched);
  t.same(again, { outcome: "waiting", dueAt: null }, "taken up before anyone came, it waits on");
  t.same(untouched.states, ["Running"]);

  const taskRuns = knownTo(host, request).map((each): WireTaskRun => {
    if (each.state?.type !== "Paused") return each;
    const context = { ...(each.state.context as object), input: 2 };
    return { ...each, state: { ...each.state, type: "Resume", start_time: new Date().toISOString(), context } };
  });
  const resumed = new RecordingHost();
  t.same(await executeFlowRun({ ...request, taskRuns }, resumed), { outcome: "done", state: "Success" });
  t.same(resumed.states, [
    ...["Running", "order-1:Running", "order-1:Success"],
    ...["grow-1:Running", "grow-1:Looped", "grow-1:Running", "grow-1:Looped", "grow-1:Running", "grow-1:Success"],
    "Success",
  ]);
  const end = resumed.reports
    .flatMap(({ states }) => states)
    .find(({ taskRun, state }) => taskRun?.taskSlug === "grow-1" && state.type === "Success");
  t.match(end?.state._result, { location: "1920" });
});
