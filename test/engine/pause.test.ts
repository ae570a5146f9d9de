import t from "tap";
import { taskContext } from "../../src/core/context.js";
import type { StandardSchema } from "../../src/core/parameter.js";
import { signals } from "../../src/core/signal.js";
import { makeState, type State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import type { Approval, KnownTaskRun, PausedTaskRun } from "../../src/engine/ports.js";
import { FakeClock, finish, knownAfter, MemoryResults, type Recorded, settled, start } from "./bed.js";

const types = (reports: readonly { state: { type: string } }[]) => reports.map((each) => each.state.type);
const never = { ports: { approve: async (): Promise<Approval> => "wait" } };

/** Takes text that is a number; gives the number. */
const numeric: StandardSchema<number> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) =>
      typeof value === "string" && !Number.isNaN(Number(value))
        ? { value: Number(value) }
        : { issues: [{ message: "not a number", path: ["amount"] }] },
  },
};

const asks = (options = {}, schema?: StandardSchema<number>) =>
  task("asks", options, () => {
    const { resumed, resumeInput, runCount } = taskContext();
    if (!resumed) throw signals.pause("How much?", schema ? { schema } : {});
    return [resumeInput, runCount];
  });

/** What the Cloud knows when someone resumes the paused task run: everything that the pause kept, and the input. */
function resumedBy(reports: readonly Recorded[], input?: unknown): KnownTaskRun[] {
  return knownAfter(reports).map((each) => {
    if (each.state?.type !== "Paused") return each;
    const context = { ...each.state.context, ...(input === undefined ? {} : { input }) };
    const state: State = { ...each.state, type: "Resume", startAt: "2026-01-01T00:00:00.000Z", context };
    return { ...each, version: each.version + 1, state };
  });
}

t.test("a pause without anybody here ends the run waiting, with the flow run still Running", async (t) => {
  const after = task("after", (value: unknown) => value);
  const other = task("other", () => 1);
  const { recorder, end } = await finish(() => {
    other();
    return after(asks()());
  });
  t.same(recorder.lines().slice(1).sort(), ["asks-1 Paused", "asks-1 Running", "other-1 Running", "other-1 Success"]);
  t.same(end.end, { kind: "waiting", dueAt: null });
  t.match(end.state, { type: "Running", message: "Running flow." });
  t.equal(end.output, undefined);
  t.match(recorder.of("asks-1").at(-1)?.state, { message: "How much?", startAt: null, context: { task_run_count: 1 } });
  t.match(recorder.logs.at(-1), { level: "INFO", message: /terminal tasks are incomplete; they wait for someone/ });
});

t.test("all states are accepted before a run is handed back", async (t) => {
  const { outcome, recorder } = start(() => asks()(), { inTurns: true });
  let done = false;
  const over = outcome.then(() => {
    done = true;
  });
  while (!recorder.lines().includes("asks-1 Paused")) await settled();
  t.equal(done, false);
  await over;
});

t.test("a resumed task is called anew with the input, and is in the same try", async (t) => {
  const first = await finish(() => asks()());
  const { recorder, end } = await finish(() => asks()(), { taskRuns: resumedBy(first.recorder.reports, { sum: 5 }) });
  t.same(types(recorder.of("asks-1")), ["Running", "Success"]);
  t.same(end.output, [{ sum: 5 }, 1]);
  t.match(recorder.of("asks-1")[0]?.state, { runCount: 1, context: { resumed: true, input: { sum: 5 } } });
});

t.test("a task may be resumed with nothing", async (t) => {
  const first = await finish(() => asks()());
  const { end } = await finish(() => asks()(), { taskRuns: resumedBy(first.recorder.reports) });
  t.same(end.output, [undefined, 1]);
});

t.test("a Resume set by a client that knows nothing of inputs resumes", async (t) => {
  const state = makeState("Resume", null, { startAt: "2026-01-01T00:00:00.000Z" });
  const taskRuns = [{ taskRunId: "id", taskSlug: "asks-1", mapIndex: -1, version: 4, state }];
  t.same((await finish(() => asks()(), { taskRuns })).end.output, [undefined, 1]);
});

t.test("retries of a resumed task keep its input, here and elsewhere", async (t) => {
  const fails = task("fails", { retries: 2, retryDelayMs: 1_000 }, () => {
    const { resumed, resumeInput, runCount } = taskContext();
    if (!resumed) throw signals.pause();
    if (runCount < 3) throw new Error("not yet");
    return [resumeInput, runCount];
  });
  const first = await finish(() => fails());
  const taskRuns = resumedBy(first.recorder.reports, "in");
  const here = await finish(() => fails(), { taskRuns });
  t.same(here.end.output, ["in", 3]);
  const cut = start(() => fails(), { taskRuns, refuse: (_, count) => (count > 3 ? new Error("cut") : undefined) });
  await cut.outcome.catch(() => {});
  t.equal(cut.recorder.reports[2]?.state.type, "Retrying");
  const elsewhere = await finish(() => fails(), { taskRuns: knownAfter(cut.recorder.reports.slice(0, 3)) });
  t.same(elsewhere.end.output, ["in", 3]);
});

t.test("a pause until a time ends at that time, with nothing as its input", async (t) => {
  const until = new Date("2026-01-01T01:00:00.000Z");
  const waits = task("waits", () => {
    const { resumed, resumeInput } = taskContext();
    if (!resumed) throw signals.pause("an hour", { until, schema: numeric });
    return [resumed, resumeInput];
  });
  const { recorder, end, clock } = await finish(() => waits());
  t.same(types(recorder.of("waits-1")), ["Running", "Paused", "Running", "Success"]);
  t.same(end.output, [true, undefined], "nobody came: there is nothing to check");
  t.equal(clock.now(), until.getTime());
});

t.test("manualOnly pauses before the first try, once, and stays passed through retries", async (t) => {
  const manual = task("manual", { trigger: triggers.manualOnly, retries: 1 }, () => {
    if (taskContext().runCount === 1) throw new Error("once");
    return taskContext().runCount;
  });
  const first = await finish(() => manual());
  t.match(first.recorder.of("manual-1"), [{ state: { type: "Paused", message: 'Trigger function is "manual_only"' } }]);
  const { end, recorder } = await finish(() => manual(), { taskRuns: resumedBy(first.recorder.reports) });
  t.same(types(recorder.of("manual-1")), ["Running", "Retrying", "Running", "Success"]);
  t.equal(end.output, 2);
});

t.test("someone here is asked, and the answer resumes the task", async (t) => {
  const questions: Omit<PausedTaskRun, "signal">[] = [];
  const approve = async ({ signal: _, ...question }: PausedTaskRun): Promise<Approval> => {
    questions.push(question);
    return { input: questions.length };
  };
  const { recorder, end } = await finish(() => asks()(), { ports: { approve } });
  t.same(types(recorder.of("asks-1")), ["Running", "Paused", "Resume", "Running", "Success"]);
  t.same(end.output, [1, 1]);
  t.match(questions, [{ taskSlug: "asks-1", mapIndex: -1, name: "asks", message: "How much?", checksInput: false }]);
});

t.test("who answers that the run shall wait, lets it wait", async (t) => {
  const { end, recorder } = await finish(() => asks()(), never);
  t.same(end.end, { kind: "waiting", dueAt: null });
  t.same(types(recorder.of("asks-1")), ["Running", "Paused"]);
});

t.test("a question that fails, fails its task", async (t) => {
  const approve = () => Promise.reject(new Error("no terminal"));
  const { recorder } = await finish(() => asks()(), { ports: { approve } });
  t.match(recorder.of("asks-1").at(-1)?.state, { type: "Failed", message: /failed: Error: no terminal/ });
  t.equal(recorder.logs.filter((each) => each.level === "ERROR").length, 1);
});

t.test("a cancellation calls a question off", async (t) => {
  let signal: AbortSignal | undefined;
  const approve = (question: PausedTaskRun) => {
    signal = question.signal;
    return new Promise<Approval>(() => {});
  };
  const { stop, outcome } = start(() => asks()(), { ports: { approve } });
  while (!signal) await settled();
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.equal(signal.aborted, true);
});

t.test("a pause whose time comes calls its question off; an answer before that ends the pause", async (t) => {
  const until = new Date("2026-01-01T01:00:00.000Z");
  const waits = task("waits", () => {
    const { resumed, resumeInput } = taskContext();
    if (!resumed) throw signals.pause("soon", { until });
    return resumeInput;
  });
  const clock = new FakeClock(true);
  let question: PausedTaskRun | undefined;
  const approve = (asked: PausedTaskRun) => {
    question = asked;
    return new Promise<Approval>(() => {});
  };
  const timed = start(() => waits(), { clock, ports: { approve } });
  while (!question) await settled();
  await clock.advance(3_600_000);
  t.equal((await timed.outcome).output, undefined);
  t.equal(question.signal.aborted, true);

  const early = new FakeClock(true);
  const answered = start(() => waits(), { clock: early, ports: { approve: async () => ({ input: "early" }) } });
  t.equal((await answered.outcome).output, "early");
  t.equal(early.sleepers, 0, "its timer is gone");
});

t.test("what a task is resumed with is checked by the pause's schema, and converted", async (t) => {
  const answers = ["x", undefined, "12"];
  const messages: (string | null)[] = [];
  const approve = async ({ message, checksInput }: PausedTaskRun): Promise<Approval> => {
    t.equal(checksInput, true);
    messages.push(message);
    return { input: answers[messages.length - 1] };
  };
  const { recorder, end } = await finish(() => asks({}, numeric)(), { ports: { approve } });
  t.same(end.output, [12, 1]);
  t.same(types(recorder.of("asks-1")), [
    ...["Running", "Paused", "Resume", "Paused", "Resume", "Paused", "Resume"],
    ...["Running", "Success"],
  ]);
  const refused = "What it was resumed with is not valid: at amount: not a number.";
  t.same(messages, ["How much?", `${refused} How much?`, `${refused} How much?`]);
});

t.test("it is checked as well where the pause was in another process", async (t) => {
  let calls = 0;
  const counted = task("asks", () => {
    calls += 1;
    const { resumed, resumeInput } = taskContext();
    if (!resumed) throw signals.pause("How much?", { schema: numeric });
    return resumeInput;
  });
  const results = new MemoryResults();
  const first = await finish(() => counted(), { results });
  t.match(first.recorder.of("asks-1").at(-1)?.state.context, { checks_input: true });
  const wrong = await finish(() => counted(), { results, taskRuns: resumedBy(first.recorder.reports, "x") });
  t.match(wrong.recorder.of("asks-1").at(-1)?.state, {
    type: "Paused",
    startAt: null,
    message: /not valid: at amount: not a number\. How much\?$/,
    context: { checks_input: true, task_run_count: 1 },
  });
  calls = 0;
  const right = await finish(() => counted(), { results, taskRuns: resumedBy(wrong.recorder.reports, "7") });
  t.equal(right.end.output, 7);
  t.equal(calls, 2, "once to learn the schema, and once with the input");
});
