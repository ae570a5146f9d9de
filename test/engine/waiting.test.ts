import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { signals } from "../../src/core/signal.js";
import { makeState } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { runFlowToState } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import { planOf } from "../../src/engine/plan.js";
import { TaskRun } from "../../src/engine/task/task-run.js";
import { WaitingRoom } from "../../src/engine/waiting-room.js";
import { define, FakeClock, finish, knownAfter, Recorder, settled, start } from "./bed.js";

const MINUTE = 60_000;
const inc = task("inc", (value: number) => value + 1);
const flaky = (retryDelayMs: number, name = "flaky") =>
  task(name, { retries: 1, retryDelayMs }, () => {
    if (taskContext().runCount === 1) throw new Error("once");
    return taskContext().runCount;
  });
const ports = { maxWaitMs: 10 * MINUTE };

t.test("a retry that is due soon is waited for in this process", async (t) => {
  const { end, clock } = await finish(() => flaky(10 * MINUTE)(), { ports });
  t.equal(end.end.kind, "finished");
  t.equal(clock.now() - clock.startedAt, 10 * MINUTE);
});

t.test("a retry that is due later hands the run back until then, and the next process goes on", async (t) => {
  const flow = () => inc(flaky(11 * MINUTE)());
  const { end, recorder, clock } = await finish(flow, { ports });
  t.same(end.end, { kind: "waiting", dueAt: "2026-01-01T00:11:00.000Z" });
  t.equal(clock.now(), clock.startedAt, "nobody waited");
  t.equal(clock.sleepers, 0);
  t.same(recorder.lines(), ["flow Running", "flaky-1 Running", "flaky-1 Retrying"]);

  const taskRuns = knownAfter(recorder.reports);
  const soon = await finish(flow, { ports, taskRuns });
  t.same(soon.end.end, end.end, "taken up too early, it is handed back as it was");
  t.same(soon.recorder.lines(), ["flow Running"]);
  const late = new FakeClock(true);
  await late.advance(11 * MINUTE);
  const { outcome } = start(flow, { ports, taskRuns, clock: late });
  t.equal((await outcome).output, 3);
});

t.test("a run waits here for the short as long as there is something short", async (t) => {
  const { end, clock, recorder } = await finish(
    () => {
      flaky(60 * MINUTE, "long")();
      flaky(5 * MINUTE, "short")();
    },
    { ports },
  );
  t.same(recorder.of("short-1").at(-1)?.state.type, "Success");
  t.same(end.end, { kind: "waiting", dueAt: "2026-01-01T01:00:00.000Z" });
  t.equal(clock.now() - clock.startedAt, 5 * MINUTE);
});

t.test("what waits is counted only when nothing runs any more", async (t) => {
  const clock = new FakeClock(true);
  const slow = task("slow", () => clock.sleep(2 * MINUTE, new AbortController().signal));
  const run = start(
    () => {
      flaky(11 * MINUTE)();
      slow();
    },
    { clock, ports },
  );
  await clock.advance(2 * MINUTE);
  await settled();
  t.equal(clock.sleepers, 1, "9 minutes are left, and those are short");
  await clock.advance(9 * MINUTE);
  t.equal((await run.outcome).end.kind, "finished");
});

t.test("of pauses with a time, the earliest says when the run comes back", async (t) => {
  const until = (hours: number) =>
    task(`until ${hours}`, () => signals.pause(undefined, { until: new Date(Date.UTC(2026, 0, 1, hours)) }));
  const { end } = await finish(
    () => {
      until(5)();
      until(3)();
      task("alone", () => signals.pause())();
    },
    { ports },
  );
  t.same(end.end, { kind: "waiting", dueAt: "2026-01-01T03:00:00.000Z" });
});

t.test("a task run that someone has scheduled for later is waited for", async (t) => {
  const state = makeState("Scheduled", null, { startAt: "2026-01-01T00:05:00.000Z" });
  const taskRuns = [{ taskRunId: "id", taskSlug: "inc-1", mapIndex: -1, version: 1, state }];
  const { clock, end } = await finish(() => inc(1), { taskRuns, ports });
  t.equal(clock.now() - clock.startedAt, 5 * MINUTE);
  t.equal(end.output, 2);
});

t.test("a run that is handed back can still be told that it lost its lease", async (t) => {
  const lost = Object.assign(new Error("lost"), { code: "RUN_LEASE_LOST" });
  const { outcome } = start(() => flaky(60 * MINUTE)(), {
    ports,
    inTurns: true,
    refuse: ({ state }) => (state.type === "Retrying" ? lost : undefined),
  });
  await t.rejects(outcome, { code: "RUN_LEASE_LOST" });
});

t.test("a flow run that is finished is not run again", async (t) => {
  const recorder = new Recorder();
  const state = makeState("Failed", "long ago");
  const run = {
    flowRunId: "id",
    flowRunName: "a run",
    flowId: null,
    parameters: {},
    scheduledStartAt: "2026-01-01T00:00:00.000Z",
    state,
    taskRuns: [],
  };
  const end = await runFlowToState(
    define(() => inc(1)),
    run,
    { ...localPorts(), reporter: recorder },
  );
  t.same(end, { kind: "finished", state });
  t.same(recorder.reports, []);
});

t.test("many wait on one timer, and are called in the order of their times", async (t) => {
  const clock = new FakeClock(true);
  const called: number[] = [];
  const failures: unknown[] = [];
  const room = new WaitingRoom(
    clock,
    (due) => called.push(...due.map((each) => each.mapIndex)),
    (promise) => void promise.catch((error) => failures.push(error)),
  );
  const plan = planOf(define(() => inc(1))).tasks[0]!;
  const order = Array.from({ length: 500 }, (_, index) => (index * 7919) % 500);
  for (const at of order) room.add(new TaskRun(plan, undefined, at, undefined), clock.startedAt + at * 10);
  t.equal(clock.sleepers, 1);
  await clock.advance(2_495);
  t.same(
    called,
    Array.from({ length: 250 }, (_, index) => index),
  );
  t.equal(room.earliest, clock.startedAt + 2_500);
  room.close();
  await settled();
  t.equal(clock.sleepers, 0);
  await clock.advance(10_000);
  t.equal(called.length, 250);
  t.same(failures, []);
});
