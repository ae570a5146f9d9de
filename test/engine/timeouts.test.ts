import t from "tap";
import { inTaskContext, taskContext } from "../../src/core/context.js";
import type { Executor, TaskCall } from "../../src/core/options/executor.js";
import { task } from "../../src/core/task.js";
import { HARD_STOP_GRACE_MS } from "../../src/engine/task/task-call.js";
import { FakeClock, settled, start } from "./bed.js";

/** As one on threads: a call ends when it is stopped hard, whatever its code does. */
class StoppingExecutor implements Executor {
  readonly limit = Number.POSITIVE_INFINITY;
  readonly stopped: unknown[] = [];

  call({ fn, args, context, hardStop }: TaskCall): unknown {
    const ends = new Promise((_, reject) => {
      hardStop.addEventListener("abort", () => {
        this.stopped.push(hardStop.reason);
        reject(hardStop.reason);
      });
    });
    return Promise.race([inTaskContext(context, async () => fn(...args)), ends]);
  }

  async close(): Promise<void> {}
}

const TIMEOUT_MS = 1_000;

/** Goes on in its first try until it is stopped, heeding its signal or not. */
const hangs = (heeds: boolean, retries: number, began: number[], clock: FakeClock) =>
  task("hangs", { timeoutMs: TIMEOUT_MS, retries }, () => {
    began.push(clock.now() - clock.startedAt);
    if (began.length > 1) return "second";
    const { signal } = taskContext();
    return new Promise((resolve) => {
      if (heeds) signal.addEventListener("abort", () => resolve("late"));
    });
  });

for (const heeds of [true, false]) {
  t.test(`the next try waits for code that ${heeds ? "heeds its signal" : "must be stopped hard"}`, async (t) => {
    const clock = new FakeClock(true);
    const executor = new StoppingExecutor();
    const began: number[] = [];
    const { outcome, recorder } = start(() => hangs(heeds, 1, began, clock)(), { clock, ports: { executor } });
    await clock.advance(TIMEOUT_MS);
    t.equal(recorder.of("hangs-1").at(-1)?.state.type, heeds ? "Success" : "Retrying", "reported at once");
    if (!heeds) {
      await clock.advance(HARD_STOP_GRACE_MS - 1);
      t.same(executor.stopped, []);
      await clock.advance(1);
      t.match(executor.stopped, [{ code: "TASK_TIMED_OUT" }]);
    }
    t.equal((await outcome).output, "second");
    t.same(began, [0, heeds ? TIMEOUT_MS : TIMEOUT_MS + HARD_STOP_GRACE_MS]);
    t.equal(clock.sleepers, 0);
  });
}

t.test("code that goes on when the run is over is left to the executor's close, and holds no timer", async (t) => {
  const clock = new FakeClock(true);
  const executor = new StoppingExecutor();
  const { outcome } = start(() => hangs(false, 0, [], clock)(), { clock, ports: { executor } });
  await clock.advance(TIMEOUT_MS);
  t.equal((await outcome).state.type, "Failed");
  await settled();
  t.same(executor.stopped, []);
  t.equal(clock.sleepers, 0);
});

t.test("a cancelled run stops code hard when its grace is over", async (t) => {
  const clock = new FakeClock(true);
  const executor = new StoppingExecutor();
  const { stop, outcome } = start(() => task("hangs", () => new Promise(() => {}))(), { clock, ports: { executor } });
  await settled();
  stop.abort();
  await clock.advance(4_999);
  t.same(executor.stopped, []);
  await clock.advance(1);
  await outcome;
  t.match(executor.stopped, [{ code: "RUN_CANCELLED" }]);
});

t.test("a run that lost its lease stops its code hard at once", async (t) => {
  const executor = new StoppingExecutor();
  const lost = Object.assign(new Error("lost"), { code: "RUN_LEASE_LOST" });
  const slow = task("slow", () => new Promise(() => {}));
  const { outcome } = start(
    () => {
      slow();
      task("quick", () => 1)();
    },
    {
      ports: { executor },
      refuse: ({ taskSlug, state }) => (taskSlug === "quick-1" && state.type === "Success" ? lost : undefined),
    },
  );
  await t.rejects(outcome, { code: "RUN_LEASE_LOST" });
  t.equal(executor.stopped.length, 1);
});

t.test("code that blocked the thread beyond its time has timed out, though it returned", async (t) => {
  const clock = new FakeClock(true);
  const blocks = task("blocks", { timeoutMs: TIMEOUT_MS }, () => {
    clock.burn(TIMEOUT_MS);
    return 1;
  });
  const { outcome, recorder } = start(() => blocks(), { clock });
  await outcome;
  t.match(recorder.of("blocks-1").at(-1)?.state, {
    type: "TimedOut",
    message: "Task timed out during execution.",
    context: { error: { code: "TASK_TIMED_OUT" } },
  });
});

t.test("the time is measured from when the executor is ready", async (t) => {
  const clock = new FakeClock(true);
  const executor: Executor = {
    limit: Number.POSITIVE_INFINITY,
    ready: () => clock.sleep(60_000, new AbortController().signal),
    call: ({ fn, args, context }) => inTaskContext(context, () => fn(...args)),
    close: async () => {},
  };
  const { outcome } = start(() => task("works", { timeoutMs: TIMEOUT_MS }, () => 1)(), { clock, ports: { executor } });
  await clock.advance(60_000);
  t.equal((await outcome).output, 1);
});

t.test("a task that waits for its place does not begin once its run is cancelled", async (t) => {
  const place = Promise.withResolvers<void>();
  let calls = 0;
  const executor: Executor = {
    limit: Number.POSITIVE_INFINITY,
    ready: () => place.promise,
    call: () => {
      calls += 1;
    },
    close: async () => {},
  };
  const { stop, outcome, recorder } = start(() => task("works", () => 1)(), { ports: { executor } });
  while (recorder.of("works-1").length === 0) await settled();
  await settled();
  stop.abort();
  place.resolve();
  t.equal((await outcome).state.type, "Cancelled");
  t.equal(calls, 0);
  t.equal(recorder.of("works-1").at(-1)?.state.type, "Cancelled");
});
