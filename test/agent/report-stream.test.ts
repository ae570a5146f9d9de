import t from "tap";
import { ReportStream, type ReportStreamOptions } from "../../src/agent/report-stream.js";
import type { Claim, ReportAnswer, ReportBatch } from "../../src/client/cloud.js";
import { type ErrorCode, MillraceError } from "../../src/core/errors.js";
import type { RunReport } from "../../src/threads/messages.js";
import { eventually } from "../helpers/eventually.js";

interface Call {
  batch: ReportBatch;
  claim: Claim | undefined;
  answer(answer?: Partial<ReportAnswer>): Promise<void>;
  fail(code: ErrorCode): Promise<void>;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A stream to a Cloud that answers when the test says so. */
function bed(options: Partial<ReportStreamOptions> = {}) {
  const calls: Call[] = [];
  const lines: string[] = [];
  const stream = new ReportStream({
    cloud: {
      reportStates: (batch, claim) =>
        new Promise((resolve, reject) => {
          calls.push({
            batch,
            claim,
            async answer(answer = {}) {
              resolve({ refused: [], cancelling: [], queued: [], granted: [], claimed: undefined, ...answer });
              await turn();
            },
            async fail(code) {
              reject(new MillraceError(code, `${code} it is`));
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
    log: (line) => lines.push(line),
    ...options,
  });
  return { stream, calls, lines };
}

const lease = (flowRunId: string) => ({ flowRunId, fence: 1 });
const states = (...types: string[]): RunReport => ({
  states: types.map((type) => ({ state: { type }, at: "now" })),
  logs: [],
});
const runsOf = ({ batch }: Call) => batch.runs.map(({ flowRunId }) => flowRunId);

t.test(
  "what comes within a tick travels together; what comes while two are under way gathers in the next",
  async (t) => {
    const { stream, calls } = bed();
    const answers = [stream.report(lease("a"), states("Running")), stream.report(lease("b"), states("Running"))];
    await turn();
    answers.push(stream.report(lease("c"), states("Running")));
    await turn();
    answers.push(stream.report(lease("d"), states("Running")), stream.report(lease("e"), states("Running")));
    await turn();
    t.same(calls.map(runsOf), [["a", "b"], ["c"]]);
    await calls[0]!.answer();
    t.same(runsOf(calls[2]!), ["d", "e"]);
    t.equal(calls[2]!.batch.streamId, calls[0]!.batch.streamId);
    t.not(calls[1]!.batch.streamId, calls[0]!.batch.streamId);
    t.same(
      calls.map(({ batch }) => batch.batch),
      [1, 1, 2],
      "batches of a stream are numbered, one at a time",
    );
    await calls[1]!.answer();
    await calls[2]!.answer();
    t.same(await Promise.all(answers), [null, null, null, null, null]);
  },
);

t.test("a refused run gets its code and message, its neighbours in the batch are accepted", async (t) => {
  const { stream, calls } = bed();
  const answers = ["a", "b"].map((id) => stream.report(lease(id), states("Running")));
  await turn();
  await calls[0]!.answer({ refused: [{ flowRunId: "a", code: "RUN_LEASE_LOST", message: "taken over" }] });
  t.match(await Promise.all(answers), [{ code: "RUN_LEASE_LOST", message: "taken over" }, null]);
});

t.test("while the Cloud is away the same batch is sent again, and everything behind it waits", async (t) => {
  const { stream, calls, lines } = bed();
  const answers = [stream.report(lease("a"), states("Running"))];
  await turn();
  await calls[0]!.fail("CLOUD_UNREACHABLE");
  await eventually(() => calls.length === 2);
  await calls[1]!.fail("UNAUTHENTICATED");
  await eventually(() => calls.length === 3);
  t.same(calls[1]!.batch, calls[0]!.batch);
  t.same(calls[2]!.batch, calls[0]!.batch);
  answers.push(stream.report(lease("b"), states("Running")), stream.report(lease("c"), states("Running")));
  await turn();
  await calls[2]!.answer();
  await calls[3]!.answer();
  t.same(await Promise.all(answers), [null, null, null]);
  t.match(lines, [/^The Cloud is away/, /^The Cloud is back/]);
});

t.test("a line says what is the matter: a token that is not known is no Cloud that is away", async (t) => {
  const { stream, calls, lines } = bed();
  const answer = stream.report(lease("a"), states("Running"));
  await turn();
  await calls[0]!.fail("UNAUTHENTICATED");
  await eventually(() => calls.length === 2);
  await calls[1]!.answer();
  t.equal(await answer, null);
  t.match(lines, [/^The Cloud does not know the agent's token, reports wait/, /^The Cloud is back/]);
});

t.test("a batch that the Cloud cannot take is taken apart: one run's trouble is its own", async (t) => {
  const { stream, calls } = bed();
  const answers = ["a", "b", "c"].map((id) => stream.report(lease(id), states("Running")));
  await turn();
  await calls[0]!.fail("INPUT_INVALID");
  await calls[1]!.answer();
  await calls[2]!.fail("INPUT_INVALID");
  await calls[3]!.answer();
  t.same(calls.map(runsOf), [["a", "b", "c"], ["a"], ["b"], ["c"]]);
  t.same(
    calls.map(({ batch }) => batch.batch),
    [1, 2, 3, 4],
  );
  t.match(await Promise.all(answers), [null, { code: "INPUT_INVALID" }, null]);
});

t.test("the end of a run brings a claim along, and nothing else does", async (t) => {
  const asked: (readonly string[])[] = [];
  const claimed: unknown[] = [];
  const claim: Claim = { agentId: "agent", labels: [], limit: 1, leaseMs: 1 };
  const { stream, calls } = bed({
    claim: (ids) => {
      asked.push(ids);
      return claim;
    },
    onClaimed: (_, answer) => claimed.push(answer),
  });
  void stream.report(lease("a"), states("Running"));
  await turn();
  t.equal(calls[0]!.claim, undefined);
  await calls[0]!.answer();
  void stream.report(lease("a"), states("Success"));
  await turn();
  t.equal(calls[1]!.claim, claim);
  const claimAnswer = { runs: [], nextDueAt: null };
  await calls[1]!.answer({ claimed: claimAnswer });
  void stream.report(lease("b"), states("Failed"));
  await turn();
  await calls[2]!.fail("INPUT_INVALID");
  t.same(asked, [["a"], ["b"]]);
  t.same(claimed, [claimAnswer, undefined], "a claim that failed is told too");
});

t.test("runs that are to be cancelled are told of, before they are told what was refused", async (t) => {
  const told: unknown[] = [];
  const { stream, calls } = bed({ onCancelling: (ids) => told.push(ids) });
  const answer = stream
    .report(lease("a"), states("Running"))
    .then((failure) => told.push(failure !== null && "code" in failure ? failure.code : null));
  await turn();
  const refused = [{ flowRunId: "a", code: "RUN_CANCELLED" as const, message: "it is Cancelling" }];
  await calls[0]!.answer({ cancelling: ["a"], refused });
  await answer;
  t.same(told, [["a"], "RUN_CANCELLED"]);
});

t.test("a large report goes alone", async (t) => {
  const { stream, calls } = bed();
  const many = { states: new Array(1_500).fill({ state: { type: "Running" }, at: "now" }), logs: [] };
  for (const id of ["a", "b", "c"]) void stream.report(lease(id), many);
  await turn();
  await calls[0]!.answer();
  await calls[1]!.answer();
  await calls[2]!.answer();
  t.same(calls.map(runsOf), [["a"], ["b"], ["c"]]);
});

t.test("closing answers what waits, ends the retrying, and takes nothing more", async (t) => {
  const { stream, calls } = bed();
  const away = stream.report(lease("a"), states("Running"));
  await turn();
  void stream.report(lease("b"), states("Running"));
  await turn();
  const waiting = stream.report(lease("c"), states("Running"));
  stream.close();
  t.match(await waiting, { code: "RUN_STOPPED" });
  await calls[0]!.fail("CLOUD_UNREACHABLE");
  t.match(await away, { code: "RUN_STOPPED" });
  t.match(await stream.report(lease("d"), states("Running")), { code: "RUN_STOPPED" });
  await calls[1]!.answer();
  t.equal(calls.length, 2);
});
