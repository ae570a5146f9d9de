import t from "tap";
import { taskContext } from "../../src/core/context.js";
import type { StateChange, StateHandler } from "../../src/core/options/state-handler.js";
import { signals } from "../../src/core/signal.js";
import { makeState, type State } from "../../src/core/state.js";
import { type TaskOptions, task } from "../../src/core/task.js";
import { finish, settled, start } from "./bed.js";

const types = (reports: readonly { state: { type: string } }[]) => reports.map((each) => each.state.type);
const failsOnce = (options: TaskOptions) =>
  task("works", { retries: 1, ...options }, () => {
    if (taskContext().runCount === 1) throw new Error("once");
    return 1;
  });
const moves = (seen: StateChange[]) => seen.map(({ from, to }) => `${from.type} → ${to.type}`);

t.test("handlers are told of every move that counts, before it is reported", async (t) => {
  const seen: StateChange[] = [];
  const reported: number[] = [];
  let count = () => 0;
  const works = failsOnce({
    stateHandlers: [
      async (change) => {
        await settled();
        seen.push(change);
        reported.push(count());
      },
    ],
  });
  const { outcome, recorder } = start(() => works());
  count = () => recorder.of("works-1").length;
  await outcome;
  t.same(moves(seen), ["Pending → Running", "Running → Retrying", "Retrying → Running", "Running → Success"]);
  t.same(reported, [0, 1, 2, 3]);
  t.match(seen[0], {
    flowName: "test",
    flowRunId: "flow run",
    taskSlug: "works-1",
    taskRunId: recorder.of("works-1")[0]?.taskRunId,
    mapIndex: -1,
  });
});

t.test("handlers of a mapped task are told of the parent and of each child", async (t) => {
  const seen: string[] = [];
  const works = task(
    "works",
    { stateHandlers: [({ mapIndex, to }) => void seen.push(`${mapIndex} ${to.type}`)] },
    (v: number) => v,
  );
  await finish(() => works.map([5, 6]));
  t.same(seen.sort(), ["-1 Mapped", "0 Running", "0 Success", "1 Running", "1 Success"]);
});

t.test("a handler's answer counts in place of the state, for the next handler too", async (t) => {
  const seen: (string | null)[] = [];
  const works = task(
    "works",
    {
      stateHandlers: [
        ({ to }) => (to.type === "Success" ? { ...to, message: "first" } : undefined),
        ({ to }) => {
          seen.push(to.message);
          return to.type === "Success" ? { ...to, message: `${to.message}, second` } : to;
        },
      ],
    },
    () => 7,
  );
  const { recorder, end } = await finish(() => works());
  t.same(seen, ["Starting task run.", "first"]);
  t.equal(recorder.of("works-1").at(-1)?.state.message, "first, second");
  t.equal(end.output, 7, "the same result is the same value");
});

t.test("a handler may make a failure of a success, which is retried while retries are left", async (t) => {
  let failed = 0;
  const strict: StateHandler = ({ to }) => {
    if (to.type !== "Success" || failed === 1) return undefined;
    failed += 1;
    return makeState("Failed", "too small");
  };
  const works = task("works", { retries: 1, stateHandlers: [strict] }, () => 1);
  const { recorder, end } = await finish(() => works());
  t.same(types(recorder.of("works-1")), ["Running", "Retrying", "Running", "Success"]);
  t.equal(end.output, 1);
});

t.test("a handler may make a success of a failure; its value is what its result says", async (t) => {
  const kind: StateHandler = ({ to }) => (to.type === "Failed" ? makeState("Success", "never mind") : undefined);
  const breaks = task("breaks", { stateHandlers: [kind] }, () => {
    throw new Error("x");
  });
  const after = task("after", (value: unknown) => [value]);
  const { end, recorder } = await finish(() => after(breaks()));
  t.same(types(recorder.of("breaks-1")), ["Running", "Success"]);
  t.same(end.output, [undefined]);
});

t.test("a handler may end a task before it runs, or let it wait", async (t) => {
  let ran = 0;
  const early = task(
    "early",
    { stateHandlers: [({ to }) => (to.type === "Running" ? makeState("Skipped", "not today") : undefined)] },
    () => {
      ran += 1;
    },
  );
  t.same(types((await finish(() => early())).recorder.of("early-1")), ["Skipped"]);
  t.equal(ran, 0);
  let asked = 0;
  const later: StateHandler = ({ to }) => {
    if (to.type !== "Running") return undefined;
    asked += 1;
    return asked === 1 ? makeState("Scheduled", "at one", { startAt: "2026-01-01T01:00:00.000Z" }) : undefined;
  };
  const { recorder, clock, end } = await finish(() =>
    task("late", { stateHandlers: [later] }, () => taskContext().runCount)(),
  );
  t.same(types(recorder.of("late-1")), ["Scheduled", "Running", "Success"]);
  t.equal(clock.now() - clock.startedAt, 3_600_000);
  t.equal(end.output, 1, "it was no try");
});

const bySignal: [name: string, throws: () => unknown, types: string[]][] = [
  ["skip", () => signals.skip(), ["Running", "Skipped"]],
  ["fail", () => signals.fail("no"), ["Running", "Failed"]],
  ["success", () => signals.success(9), ["Running", "Success"]],
];
for (const [name, throws, expected] of bySignal) {
  t.test(`signals.${name} thrown by a handler is the state`, async (t) => {
    const handler: StateHandler = ({ to }) => {
      if (to.type === "Success") throw throws();
    };
    const { recorder, end } = await finish(() => task("works", { stateHandlers: [handler] }, () => 1)());
    t.same(types(recorder.of("works-1")), expected);
    if (name === "success") t.equal(end.output, 9);
  });
}

const bad: [title: string, handler: StateHandler, message: RegExp][] = [
  [
    "throws an error",
    async () => {
      throw new Error("handler broke");
    },
    /Exception raised while calling state handlers: Error: handler broke/,
  ],
  ["returns something else", (() => "Success") as unknown as StateHandler, /returned something that is no state/],
  [
    "gives a state that cannot stand there",
    () => makeState("Mapped", null, { mapCount: 3 }),
    /gave Mapped in place of/,
  ],
  ["gives Submitted", () => makeState("Submitted", null), /gave Submitted in place of/],
];
for (const [title, handler, message] of bad) {
  t.test(`a handler that ${title} fails the task, and the log says so`, async (t) => {
    const { recorder } = await finish(() => task("works", { stateHandlers: [handler] }, () => 1)());
    t.match(recorder.of("works-1"), [{ state: { type: "Failed", message } }]);
    t.equal(recorder.logs.filter((each) => each.level === "ERROR").length, 1);
  });
}

t.test("onFailure is told once, when the retries are used up; the handlers before it", async (t) => {
  const told: string[] = [];
  const breaks = task(
    "breaks",
    {
      retries: 2,
      stateHandlers: [({ to }) => void told.push(to.type)],
      onFailure: ({ to }) => void told.push(`failed: ${to.message}`),
    },
    () => {
      throw new Error("x");
    },
  );
  const { recorder } = await finish(() => breaks());
  t.same(told, [
    ...["Running", "Retrying", "Running", "Retrying", "Running", "Failed"],
    "failed: Error during execution of task: Error: x",
  ]);
  t.equal(recorder.of("breaks-1").at(-1)?.state.type, "Failed");
  const fine: string[] = [];
  await finish(() => task("fine", { onFailure: () => void fine.push("told") }, () => 1)());
  t.same(fine, []);
});

t.test("onFailure is told of a trigger's failure and of a timeout", async (t) => {
  const told: string[] = [];
  const onFailure: StateHandler = ({ to }) => void told.push(to.type);
  const hangs = task("hangs", { timeoutMs: 5, onFailure }, () => new Promise<number>(() => {}));
  await finish(() => task("below", { onFailure }, (value: number) => value)(hangs()));
  t.same(told, ["TimedOut", "TriggerFailed"]);
});

t.test("a task that ends while its run is cancelled tells its handlers still", async (t) => {
  const told: string[] = [];
  const works = task("works", { stateHandlers: [({ to }) => void told.push(to.type)] }, async () => {
    const { signal } = taskContext();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    return 1;
  });
  const { stop, outcome, recorder } = start(() => works());
  while (recorder.of("works-1").length === 0) await settled();
  await settled();
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.same(told, ["Running", "Success"]);
});

t.test("a cancelled run does not wait for a handler that hangs", async (t) => {
  const hang: StateHandler = ({ to }) => (to.type === "Success" ? new Promise<State>(() => {}) : undefined);
  const { stop, outcome, recorder, clock } = start(() => task("works", { stateHandlers: [hang] }, () => 1)());
  while (recorder.of("works-1").length === 0) await settled();
  await settled();
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.equal(clock.now() - clock.startedAt, 5_000);
});
