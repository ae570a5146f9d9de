import t from "tap";
import { buildFlow } from "../../src/core/building.js";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import type { FlowOptions } from "../../src/core/flow-definition.js";
import type { StateChange, StateHandler } from "../../src/core/options/state-handler.js";
import { parameter } from "../../src/core/parameter.js";
import { signals } from "../../src/core/signal.js";
import { makeState, type State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { finish, settled, start } from "./bed.js";

const flow = (options: FlowOptions, build: BuildFlow<unknown>) => buildFlow("test", options, build, undefined);
const one = task("one", () => 1);
const breaks = task("breaks", () => {
  throw new Error("x");
});

t.test("a flow's handlers are told of its moves, and onFailure when it failed", async (t) => {
  const told: string[] = [];
  const stateHandlers: StateHandler[] = [
    ({ from, to, taskSlug, taskRunId, mapIndex, flowRunId }: StateChange) => {
      told.push(`${from.type} → ${to.type}`);
      t.same([taskSlug, taskRunId, mapIndex, flowRunId], [null, null, -1, "flow run"]);
    },
  ];
  const onFailure: StateHandler = async ({ to }) => void told.push(`failed: ${to.message}`);
  await finish(flow({ stateHandlers, onFailure }, () => one()));
  await finish(flow({ stateHandlers, onFailure }, () => breaks()));
  t.same(told, [
    ...["Pending → Running", "Running → Success"],
    ...["Pending → Running", "Running → Failed", "failed: Some reference tasks failed."],
  ]);
});

t.test("parameters that cannot be used are told to them as well", async (t) => {
  const told: string[] = [];
  const onFailure: StateHandler = ({ to }) => void told.push(to.type);
  const { end } = await finish(flow({ onFailure }, () => one().after(parameter("needed"))));
  t.equal(end.state.type, "Failed");
  t.same(told, ["Failed"]);
});

t.test(
  "terminalStateHandler has a say in the final state, given the reference tasks' states, before the handlers",
  async (t) => {
    const seen: string[][] = [];
    const told: string[] = [];
    const { end, recorder } = await finish(
      flow(
        {
          terminalStateHandler: async (state: State, references: readonly State[]) => {
            seen.push([state.type, ...references.map((each) => each.type)]);
            return makeState("Success", "good enough");
          },
          stateHandlers: [({ to }) => void told.push(to.type)],
        },
        () => {
          one();
          breaks();
        },
      ),
    );
    t.same(seen, [["Failed", "Success", "Failed"]]);
    t.same(told, ["Running", "Success"]);
    t.match(end.state, { type: "Success", message: "good enough" });
    t.match(recorder.of("flow").at(-1)?.state, { type: "Success", message: "good enough" });
  },
);

const answers: [title: string, handler: StateHandler, type: string, message: RegExp][] = [
  ["a finished state", () => makeState("Failed", "no"), "Failed", /^no$/],
  [
    "signals.fail",
    () => {
      throw signals.fail("by signal");
    },
    "Failed",
    /^by signal$/,
  ],
  [
    "signals.success",
    () => {
      throw signals.success(undefined, "all well");
    },
    "Success",
    /^all well$/,
  ],
  [
    "signals.validationFail",
    () => {
      throw signals.validationFail("v");
    },
    "ValidationFailed",
    /^v$/,
  ],
  [
    "a signal that a flow run has no state for",
    () => {
      throw signals.pause();
    },
    "Failed",
    /threw signals\.pause\(\), which a flow run has no state for/,
  ],
  [
    "an error",
    () => {
      throw new TypeError("broken");
    },
    "Failed",
    /Exception raised while calling state handlers: TypeError: broken/,
  ],
  ["a state that a flow run never has", () => makeState("Skipped", null), "Failed", /gave Skipped in place of/],
  ["a state that waits", () => makeState("Paused", null), "Failed", /gave Paused in place of/],
];
for (const [title, handler, type, message] of answers) {
  t.test(`a flow's handler that answers its end with ${title} makes it ${type}`, async (t) => {
    const atEnd: StateHandler = (change) => (change.to.type === "Running" ? undefined : handler(change));
    const { end } = await finish(flow({ stateHandlers: [atEnd] }, () => one()));
    t.match(end.state, { type, message });
  });
}

t.test("a handler may end the run before its first task", async (t) => {
  const closed: StateHandler = ({ to }) => (to.type === "Running" ? makeState("Failed", "closed today") : undefined);
  const { recorder, end } = await finish(flow({ stateHandlers: [closed] }, () => one()));
  t.same(recorder.lines(), ["flow Failed"]);
  t.equal(end.state.message, "closed today");
});

t.test("a cancelled run tells its handlers, who have no say, and waits a short while for them at most", async (t) => {
  const told: string[] = [];
  const works = task("works", () => new Promise<void>(() => {}));
  const stateHandlers: StateHandler[] = [
    ({ to }) => {
      told.push(to.type);
      return to.type === "Cancelled" ? new Promise<State>(() => {}) : undefined;
    },
  ];
  const { stop, outcome, recorder } = start(flow({ stateHandlers }, () => works()));
  while (recorder.of("works-1").length === 0) await settled();
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.same(told, ["Running", "Cancelled"]);
  t.equal(recorder.lines().at(-1), "flow Cancelled");
});

t.test("a cancellation ends a run whose last handler hangs", async (t) => {
  const hang: StateHandler = ({ to }) => (to.type === "Success" ? new Promise<State>(() => {}) : undefined);
  const { stop, outcome, recorder } = start(flow({ stateHandlers: [hang] }, () => one()));
  while (recorder.of("one-1").length < 2) await settled();
  await settled();
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.equal(recorder.of("flow").length, 2);
});
