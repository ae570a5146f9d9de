import { readdir } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { buildFlow } from "../../src/core/building.js";
import type { FlowOptions } from "../../src/core/flow-definition.js";
import { newId } from "../../src/core/ids.js";
import { results } from "../../src/core/options/results.js";
import type { StateHandler } from "../../src/core/options/state-handler.js";
import { signals } from "../../src/core/signal.js";
import { makeState, type StateType } from "../../src/core/state.js";
import { type TaskOptions, task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { runFlow } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import type { KnownTaskRun } from "../../src/engine/ports.js";
import { resultStore } from "../../src/storage/results.js";
import { temporaryHome } from "../helpers/home.js";
import { FakeClock, finish, start } from "./bed.js";

/* Single rules of docs/engine.md that belong to none of the subjects that have a file of their own. */

const home = await temporaryHome(t);
const inc = task("inc", (value: number) => value + 1);
const types = (reports: readonly { state: { type: string } }[]) => reports.map((each) => each.state.type);

function known(slug: string, type: StateType): KnownTaskRun {
  return { taskRunId: slug, taskSlug: slug, mapIndex: -1, version: 3, state: makeState(type, null) };
}

t.test("reference tasks of which one was cancelled, and none failed, make a Success that says so", async (t) => {
  const { end } = await finish(() => [inc(1), inc(2)], { taskRuns: [known("inc-1", "Cancelled")] });
  t.match(end.state, { type: "Success", message: "No reference tasks failed." });
});

t.test("of a mapped reference task the children decide", async (t) => {
  const picky = task("picky", (value: number) => {
    if (value === 2) throw new Error("not this one");
  });
  const failed = await finish(() => picky.map([1, 2, 3]));
  t.equal(failed.recorder.of("picky-1").at(-1)?.state.type, "Mapped");
  t.match(failed.end.state, { type: "Failed", message: "Some reference tasks failed." });
  t.equal((await finish(() => picky.map([1, 3]))).end.state.type, "Success");
});

t.test("behind a cancelled task nothing starts, unless it asks for finished ones alone", async (t) => {
  const below = (options: TaskOptions) => task("below", options, (value: unknown) => value);
  const ends = async (options: TaskOptions) => {
    const { recorder } = await finish(() => below(options)(inc(1)), { taskRuns: [known("inc-1", "Cancelled")] });
    return types(recorder.of("below-1")).at(-1);
  };
  t.equal(await ends({}), "TriggerFailed");
  t.equal(await ends({ trigger: triggers.anyFailed }), "TriggerFailed");
  t.equal(await ends({ trigger: triggers.allFinished }), "Success");
});

t.test("what the engine did not foresee ends the run with that error, and nothing more is reported", async (t) => {
  class BrokenClock extends FakeClock {
    broken = false;
    override now(): number {
      if (this.broken) throw new RangeError("the clock is broken");
      return super.now();
    }
  }
  const clock = new BrokenClock();
  const breaks = task("breaks", () => {
    clock.broken = true;
  });
  const { outcome, recorder } = start(() => inc(breaks() as never), { clock });
  await t.rejects(outcome, { name: "RangeError", message: "the clock is broken" });
  t.same(recorder.lines(), ["flow Running", "breaks-1 Running"]);
});

t.test("a skip is no result for later runs", async (t) => {
  const skips = task("skips", { cacheForMs: 60_000 }, () => signals.skip());
  for (const run of [1, 2]) {
    const { recorder } = await finish(() => skips());
    t.same(types(recorder.of("skips-1")), ["Running", "Skipped"], `run ${run}`);
  }
});

t.test("signals.pause thrown by a handler pauses the task, which goes on when it is resumed", async (t) => {
  let asked = 0;
  const handler: StateHandler = ({ to }) => {
    if (to.type !== "Running") return;
    asked += 1;
    if (asked === 1) throw signals.pause("by handler");
  };
  const works = task("works", { stateHandlers: [handler] }, () => 5);
  const left = await finish(() => works());
  t.same(left.end.end, { kind: "waiting", dueAt: null });
  t.match(left.recorder.of("works-1"), [{ state: { type: "Paused", message: "by handler" } }]);
  asked = 0;
  const { recorder, end } = await finish(() => works(), { ports: { approve: async () => ({ input: undefined }) } });
  t.same(types(recorder.of("works-1")), ["Paused", "Resume", "Running", "Success"]);
  t.equal(end.output, 5);
});

t.test(
  "a result goes where the task says, or else the flow; where neither does, flow.run() writes nothing",
  async (t) => {
    const [ofFlow, ofTask] = [t.testdir({}), join(home, "of-task")];
    const run = async (options: FlowOptions, taskOptions: TaskOptions) => {
      const flow = buildFlow("places", options, () => task("work", taskOptions, () => new Map([[1, 2]]))(), undefined);
      const request = {
        flowRunId: newId(),
        flowRunName: "a run",
        flowId: null,
        parameters: {},
        scheduledStartAt: "2026-01-01T00:00:00.000Z",
        taskRuns: [],
      };
      const { taskRuns, output } = await runFlow(flow, request, localPorts({ results: resultStore() }));
      t.same(output, new Map([[1, 2]]));
      return taskRuns[0]?.state.result?.dir;
    };
    const flowResult = { result: results.local({ folder: ofFlow }) };
    t.equal(await run(flowResult, {}), ofFlow);
    t.equal(await run(flowResult, { result: results.local({ folder: ofTask }) }), ofTask);
    t.equal((await readdir(ofFlow)).length, 1, "the task's own place goes before the flow's");
    const before = await readdir(home, { recursive: true });
    t.equal(await run({}, {}), undefined);
    t.same(await readdir(home, { recursive: true }), before);
  },
);
