import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { MillraceError } from "../../src/core/errors.js";
import { parameter } from "../../src/core/parameter.js";
import { makeState } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { CANCEL_GRACE_MS } from "../../src/engine/flow-runner.js";
import type { Reporter } from "../../src/engine/ports.js";
import { FakeClock, finish, Recorder, settled, start } from "./bed.js";

const cancelled = new MillraceError("RUN_CANCELLED", "cancelled by a person");
const inc = task("inc", (value: number) => value + 1);

/** Waits for its signal, and then does what it is told. */
const waits = task("waits", async (then: "throws" | "returns" | "goes on") => {
  const { signal } = taskContext();
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  if (then === "throws") throw signal.reason;
  if (then === "goes on") return new Promise<number>(() => {});
  return 1;
});

t.test("a cancelled run tells its running tasks, and everything unfinished ends Cancelled", async (t) => {
  const { stop, outcome, recorder } = start(() => {
    inc(0);
    inc(waits("throws"));
  });
  await settled();
  stop.abort(cancelled);
  const { state, output } = await outcome;
  t.same(recorder.lines().slice(-3), ["waits-1 Cancelled", "inc-2 Cancelled", "flow Cancelled"]);
  t.equal(recorder.of("inc-1").at(-1)?.state.type, "Success", "what is finished stays so");
  t.equal(state.type, "Cancelled");
  t.equal(output, undefined);
  t.same(recorder.logs, [], "to stop when told so is no error");
});

t.test(
  "a task that finishes when it is told to stop keeps its Success; what stands behind it does not start",
  async (t) => {
    const { stop, outcome, recorder } = start(() => inc(waits("returns")));
    await settled();
    stop.abort(cancelled);
    await outcome;
    t.same(recorder.lines().slice(-3), ["waits-1 Success", "inc-1 Cancelled", "flow Cancelled"]);
  },
);

t.test("code that does not heed its signal is waited for a short grace only", async (t) => {
  const clock = new FakeClock(true);
  const { stop, outcome, recorder } = start(() => waits("goes on"), { clock });
  await settled();
  stop.abort(cancelled);
  await clock.advance(CANCEL_GRACE_MS - 1);
  t.equal(recorder.lines().includes("flow Cancelled"), false);
  await clock.advance(1);
  t.equal((await outcome).state.type, "Cancelled");
  t.equal(clock.sleepers, 0);
});

t.test("a cancelled run does not go on with what waits for a retry", async (t) => {
  const clock = new FakeClock(true);
  const fails = task("fails", { retries: 1, retryDelayMs: 60_000 }, () => {
    throw new Error("x");
  });
  const { stop, outcome, recorder } = start(() => fails(), { clock });
  await settled();
  stop.abort(cancelled);
  await outcome;
  t.same(
    recorder.of("fails-1").map((each) => each.state.type),
    ["Running", "Retrying", "Cancelled"],
  );
  t.equal(clock.sleepers, 0);
});

t.test("a try that runs out of its time while the run is cancelled is not repeated", async (t) => {
  const clock = new FakeClock(true);
  const slow = waits.with({ timeoutMs: 1_000, retries: 5 });
  const { stop, outcome, recorder } = start(() => slow("goes on"), { clock });
  await settled();
  stop.abort(cancelled);
  await clock.advance(1_000);
  await outcome;
  t.same(
    recorder.of("waits-1").map((each) => each.state.type),
    ["Running", "Cancelled"],
  );
});

t.test("a run cancelled before it began starts nothing", async (t) => {
  let ran = false;
  const runs = task("runs", () => {
    ran = true;
  });
  const { stop, outcome, recorder } = start(() => runs());
  stop.abort(cancelled);
  await outcome;
  t.same(recorder.lines(), ["runs-1 Cancelled", "flow Cancelled"]);
  t.equal(ran, false);
});

t.test("children that an earlier agent left are cancelled too", async (t) => {
  const mapped = makeState("Mapped", null, { mapCount: 2 });
  const child = { taskRunId: "child", taskSlug: "inc-1", mapIndex: 0, version: 3, state: makeState("Success", null) };
  const parent = { taskRunId: "parent", taskSlug: "inc-1", mapIndex: -1, version: 1, state: mapped };
  const { stop, outcome, recorder } = start(() => inc.map([1, 2]), { taskRuns: [parent, child] });
  stop.abort(cancelled);
  await outcome;
  t.same(recorder.lines(), ["inc-1[1] Cancelled", "flow Cancelled"]);
});

t.test("any reason but a lost right to report cancels, as an AbortController's own does", async (t) => {
  let reason: unknown;
  const looks = task("looks", async () => {
    const { signal } = taskContext();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    reason = signal.reason;
  });
  const { stop, outcome } = start(() => looks());
  await settled();
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.match(reason, { code: "RUN_CANCELLED", cause: { name: "AbortError" } });
});

for (const code of ["RUN_LEASE_LOST", "RUN_STOPPED"] as const) {
  t.test(`${code} ends the run with that error; nothing is reported any more`, async (t) => {
    const { stop, outcome, recorder } = start(() => {
      inc(waits("throws"));
      inc(waits("returns"));
    });
    await settled();
    const reported = recorder.reports.length;
    stop.abort(new MillraceError(code, "over"));
    await t.rejects(outcome, { code });
    for (let index = 0; index < 5; index += 1) await settled();
    t.equal(recorder.reports.length, reported);
  });

  t.test(`${code} before the begin reports nothing at all`, async (t) => {
    const { stop, outcome, recorder } = start(() => inc(1));
    stop.abort(new MillraceError(code, "over"));
    await t.rejects(outcome, { code });
    await settled();
    t.same(recorder.reports, []);
  });
}

t.test("a cancellation after the end changes nothing", async (t) => {
  const { end, stop, recorder } = await finish(() => inc(1));
  stop.abort(cancelled);
  await settled();
  t.equal(end.state.type, "Success");
  t.equal(recorder.lines().at(-1), "flow Success");
});

/** Fires `reason` so many promises behind the acceptance of the first task run's Running. */
async function stopBehind(promises: number, reason: MillraceError) {
  const events: string[] = [];
  const recorder = new Recorder();
  const code = task("code", (_: number) => {
    events.push("begins");
  });
  const firesSoon = async () => {
    for (let at = 0; at < promises; at += 1) await undefined;
    events.push("stopped");
    bed.stop.abort(reason);
  };
  const reporter: Reporter = {
    taskRun: (change) => {
      if (bed.stop.signal.aborted) events.push(`reports ${change.state.type}`);
      if (change.state.type === "Running") void firesSoon();
      return recorder.taskRun(change);
    },
    flowRun: (change) => {
      if (promises < 0 && !bed.stop.signal.aborted) void firesSoon();
      return recorder.flowRun(change);
    },
    log: () => {},
  };
  const bed = start(() => code(parameter<number>("p", { default: 1 })), { ports: { reporter } });
  await bed.outcome.catch(() => {});
  return events;
}

t.test("whenever a run loses its lease, nothing begins and nothing is reported from then on", async (t) => {
  const lost = new MillraceError("RUN_LEASE_LOST", "somebody else has it");
  let late = 0;
  for (let promises = -1; promises < 12; promises += 1) {
    const events = await stopBehind(promises, lost);
    t.same(events.slice(events.indexOf("stopped") + 1), [], `${promises} promises later`);
    late += events.indexOf("begins") >= 0 && events.indexOf("begins") < events.indexOf("stopped") ? 1 : 0;
  }
  t.ok(late > 0, "the last of them come when the code runs already");
});

t.test("whenever a run is cancelled, nothing begins from then on", async (t) => {
  for (let promises = 0; promises < 12; promises += 1) {
    const events = await stopBehind(promises, cancelled);
    t.equal(events.slice(events.indexOf("stopped") + 1).includes("begins"), false, `${promises} promises later`);
  }
});

t.test("a run that is over leaves no timer of a task's timeout behind", async (t) => {
  for (const reason of [cancelled, new MillraceError("RUN_LEASE_LOST", "somebody else has it")]) {
    const clock = new FakeClock(true);
    const { stop, outcome } = start(() => waits.with({ timeoutMs: 3_600_000 })("goes on"), { clock });
    await settled();
    t.equal(clock.sleepers, 1);
    const ended = outcome.catch(() => {});
    stop.abort(reason);
    await clock.advance(CANCEL_GRACE_MS);
    await ended;
    await settled();
    t.equal(clock.sleepers, 0, reason.code);
  }
});
