import t from "tap";
import { ReportStream } from "../../src/agent/report-stream.js";
import { FlowRunHost } from "../../src/agent/run-host.js";
import type { ReportAnswer, ReportBatch } from "../../src/client/cloud.js";
import type { RunReport } from "../../src/threads/messages.js";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A host of one run, before a Cloud that answers when the test says so. */
function bed() {
  const calls: { batch: ReportBatch; answer(answer?: Partial<ReportAnswer>): Promise<void> }[] = [];
  const stream = new ReportStream({
    cloud: {
      reportStates: (batch) =>
        new Promise((resolve) => {
          calls.push({
            batch,
            async answer(answer = {}) {
              resolve({ refused: [], cancelling: [], queued: [], granted: [], claimed: undefined, ...answer });
              await turn();
            },
          });
        }),
    },
    agentId: "agent",
    claim: () => undefined,
    onClaimed: () => {},
    onCancelling: () => {},
    onGranted: () => {},
    log: () => {},
  });
  const claimed = {
    flowRunId: "run",
    fence: 1,
    leaseExpiresAt: "2026-11-23T12:00:00.000Z",
    flowId: "flow",
    name: "a run",
    parameters: {},
    scheduledStartAt: "2026-11-23T11:00:00.000Z",
    timesResurrected: 0,
    taskRuns: [],
  };
  let ended = 0;
  const host = new FlowRunHost(claimed, stream, async () => null, {
    onEnded: () => {
      ended += 1;
    },
  });
  return { host, calls, endings: () => ended };
}

const state = (type: string): RunReport => ({ states: [{ state: { type }, at: "now" }], logs: [] });
const line: RunReport = {
  states: [],
  logs: [{ at: "now", level: "INFO", name: "late", message: "one more", taskRunId: null }],
};

/** What a promise has come to, or "open". */
async function outcome<T>(promise: Promise<T>): Promise<T | "open"> {
  await turn();
  return Promise.race([promise, Promise.resolve("open" as const)]);
}

t.test("the thread is let go when its final state is handed over, and the host sees it accepted", async (t) => {
  const { host, calls, endings } = bed();
  const running = host.report(state("Running"));
  t.equal(await outcome(running), "open", "any other state is waited for");
  await calls[0]!.answer();
  t.equal(await running, null);
  t.equal(host.hasLast, false);
  t.equal(await outcome(host.report(state("Success"))), null, "before the Cloud has answered");
  t.equal(host.hasLast, true);
  t.equal(host.hasEnded, false);
  t.equal(await outcome(host.settled()), "open");
  await calls[1]!.answer();
  t.equal(await host.settled(), null);
  t.equal(host.hasEnded, true);
  t.equal(endings(), 1);
});

t.test("a final state that the Cloud refuses is told by settled(), and the run takes no more reports", async (t) => {
  const { host, calls } = bed();
  const handed = host.report(state("Success"));
  t.equal(await outcome(handed), null);
  await calls[0]!.answer({ refused: [{ flowRunId: "run", code: "RUN_CANCELLED", message: "it was cancelled" }] });
  t.match(await host.settled(), { code: "RUN_CANCELLED" });
  t.equal(host.hasEnded, false);
  t.equal(host.acceptedState, null);
  t.match(await host.report(line), { code: "RUN_CANCELLED" });
  t.equal(calls.length, 1);
});

t.test("log lines that follow the final state go after it, and are waited for", async (t) => {
  const { host, calls } = bed();
  await host.report(state("Success"));
  const late = host.report(line);
  t.equal(await outcome(late), "open");
  t.equal(calls.length, 1, "one report of a run at a time");
  await calls[0]!.answer();
  t.equal(calls.length, 2);
  t.match(calls[1]!.batch.runs, [{ logs: [{ message: "one more" }] }]);
  await calls[1]!.answer();
  t.equal(await late, null);
  t.equal(await host.settled(), null);
});
