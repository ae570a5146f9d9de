import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { MillraceError } from "../../src/core/errors.js";
import { type Signal, signals } from "../../src/core/signal.js";
import { task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { finish } from "./bed.js";

const types = (reports: readonly { state: { type: string } }[]) => reports.map((each) => each.state.type);
const after = task("after", { trigger: triggers.allFinished }, (value: unknown) => value);

const ends: { signal: Signal; type: string; message: string; value?: unknown; logs?: number }[] = [
  { signal: signals.skip("nothing new"), type: "Skipped", message: "nothing new" },
  { signal: signals.skip(), type: "Skipped", message: "The task skipped itself." },
  { signal: signals.success(5), type: "Success", message: "Task run succeeded.", value: 5 },
  { signal: signals.success(5, "early"), type: "Success", message: "early", value: 5 },
  { signal: signals.fail("no"), type: "Failed", message: "no", logs: 1 },
  { signal: signals.fail("no", { rows: 2 }), type: "Failed", message: "no", value: { rows: 2 }, logs: 1 },
  { signal: signals.triggerFail("t"), type: "TriggerFailed", message: "t", logs: 1 },
  { signal: signals.validationFail("v"), type: "ValidationFailed", message: "v", logs: 1 },
];

for (const how of ["throws", "returns", "rejects with"] as const) {
  for (const { signal, type, message, value, logs = 0 } of ends) {
    t.test(`a task that ${how} signals.${signal.kind} ends ${type}: ${message}`, async (t) => {
      const says = task("says", () => {
        if (how === "throws") throw signal;
        return how === "returns" ? signal : Promise.reject(signal);
      });
      const below = after.with({ skipOnUpstreamSkip: false });
      const { recorder, results, end } = await finish(() => below(says()));
      t.same(types(recorder.of("says-1")), ["Running", type]);
      const { state, taskRunId } = recorder.of("says-1").at(-1)!;
      t.equal(state.message, message);
      t.same(results.values.get(taskRunId), value, "the value is kept");
      t.equal(state.result?.location, value === undefined ? undefined : taskRunId);
      t.same(end.output, value, "and handed on, of a failure too");
      t.equal(recorder.logs.length, logs);
    });
  }
}

const wrapped: Record<string, (signal: Signal) => unknown> = {
  "as an error's cause": (signal) => new Error("wrapped", { cause: signal }),
  "deep in a chain of causes": (signal) => new Error("a", { cause: new Error("b", { cause: signal }) }),
  "among the errors of an AggregateError": (signal) => new AggregateError([new Error("x"), signal], "all failed"),
  "as the cause of one of those": (signal) => new AggregateError([new Error("x", { cause: signal })]),
};

for (const [where, wrap] of Object.entries(wrapped)) {
  t.test(`a signal ${where} is honoured`, async (t) => {
    const says = task("says", { retries: 1 }, () => {
      throw wrap(signals.skip("wrapped"));
    });
    const { recorder } = await finish(() => says());
    t.match(recorder.of("says-1").at(-1)?.state, { type: "Skipped", message: "wrapped" });
  });
}

t.test("an error that is its own cause, or whose cause cannot be read, is an error like any other", async (t) => {
  const loop = new Error("round");
  loop.cause = loop;
  const hostile = Object.defineProperty(new Error("hostile"), "cause", {
    get() {
      throw new Error("no");
    },
  });
  for (const error of [loop, hostile]) {
    const { recorder } = await finish(() =>
      task("breaks", () => {
        throw error;
      })(),
    );
    t.equal(recorder.of("breaks-1").at(-1)?.state.type, "Failed");
  }
});

t.test("a catch that takes errors alone lets a signal pass", async (t) => {
  const says = task("says", () => {
    try {
      throw signals.skip("through");
    } catch (error) {
      if (error instanceof Error) return "swallowed";
      throw error;
    }
  });
  const { recorder } = await finish(() => says());
  t.equal(recorder.of("says-1").at(-1)?.state.type, "Skipped");
});

t.test("a signal of another copy of the package is a signal", async (t) => {
  const foreign = { kind: "skip", facts: { message: "foreign" } };
  Object.defineProperty(foreign, Symbol.for("millrace.signal"), { value: true });
  const { recorder } = await finish(() =>
    task("says", () => {
      throw foreign;
    })(),
  );
  t.match(recorder.of("says-1").at(-1)?.state, { type: "Skipped", message: "foreign" });
});

for (const kind of ["fail", "triggerFail", "validationFail"] as const) {
  t.test(`signals.${kind} is retried while retries are left`, async (t) => {
    const says = task("says", { retries: 1 }, () => {
      throw signals[kind]("again");
    });
    const { recorder } = await finish(() => says());
    t.same(types(recorder.of("says-1")).slice(0, 3), ["Running", "Retrying", "Running"]);
    t.match(types(recorder.of("says-1")).at(-1), /Failed$/);
  });
}

t.test("signals.retry tries again though no retries are left, at the time that it says", async (t) => {
  const until = (runCount: number, when?: Parameters<typeof signals.retry>[0]) =>
    task("again", { retryDelayMs: 500 }, () => {
      if (taskContext().runCount < runCount) throw signals.retry(when);
      return taskContext().runCount;
    });
  const plain = await finish(() => until(4)());
  t.equal(plain.end.output, 4);
  t.equal(plain.clock.now() - plain.clock.startedAt, 1_500, "the task's own delay");
  t.match(plain.recorder.of("again-1")[1]?.state, {
    type: "Retrying",
    runCount: 1,
    message: "Retrying Task (after attempt 1, as its code asked for)",
    context: { task_run_count: 1 },
  });
  const delayed = await finish(() => until(2, { delayMs: 60_000, message: "later" })());
  t.equal(delayed.clock.now() - delayed.clock.startedAt, 60_000);
  t.equal(delayed.recorder.of("again-1")[1]?.state.message, "later");
  const dated = await finish(() => until(2, { at: new Date("2026-01-02T00:00:00.000Z") })());
  t.equal(dated.recorder.of("again-1")[1]?.state.startAt, "2026-01-02T00:00:00.000Z");
  t.equal(dated.end.state.type, "Success");
  const past = await finish(() => until(2, { at: new Date(0) })());
  t.equal(past.clock.now(), past.clock.startedAt, "a time that is over is now");
  const far = await finish(() => until(2, { delayMs: 1e300 })());
  t.equal(far.recorder.of("again-1")[1]?.state.startAt, "+275760-09-13T00:00:00.000Z");
});

t.test("a value of a signal that cannot be stored fails its task, as a returned one does", async (t) => {
  for (const signal of [signals.success(() => 1), signals.loop(() => 1), signals.fail("no", () => 1)]) {
    const { recorder } = await finish(() =>
      task("says", () => {
        throw signal;
      })(),
    );
    t.match(recorder.of("says-1").at(-1)?.state, { type: "Failed", message: "The value is a function." });
  }
});

t.test("a signal is refused where it says what cannot be", async (t) => {
  const refused: (() => unknown)[] = [
    () => signals.retry({ delayMs: -1 }),
    () => signals.retry({ delayMs: Number.NaN }),
    () => signals.retry({ at: new Date("x") }),
    () => signals.pause("p", { until: "tomorrow" as unknown as Date }),
  ];
  for (const make of refused) {
    t.throws(make, { code: "TASK_OPTIONS_INVALID" });
    const { recorder } = await finish(() =>
      task("says", () => {
        throw make();
      })(),
    );
    t.match(recorder.of("says-1").at(-1)?.state, {
      type: "Failed",
      context: { error: { code: "TASK_OPTIONS_INVALID" } },
    });
  }
});

t.test("a task that is told to stop and throws a signal that would go on is Cancelled", async (t) => {
  const { start, settled } = await import("./bed.js");
  for (const signal of [signals.retry(), signals.pause(), signals.loop(1)]) {
    const says = task("says", async () => {
      const { signal: stop } = taskContext();
      await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve()));
      throw signal;
    });
    const { stop, outcome, recorder } = start(() => says());
    await settled();
    stop.abort(new MillraceError("RUN_CANCELLED", "by a person"));
    await outcome;
    t.same(types(recorder.of("says-1")), ["Running", "Cancelled"]);
  }
});
