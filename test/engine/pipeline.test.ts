import t from "tap";
import { flatten } from "../../src/core/reference.js";
import { makeState, type State, type StateType } from "../../src/core/state.js";
import { type TaskOptions, task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import type { KnownTaskRun } from "../../src/engine/ports.js";
import { finish, MemoryResults } from "./bed.js";

const inc = task("inc", (value: number) => value + 1);
const types = (reports: readonly { state: { type: string } }[]) => reports.map((each) => each.state.type);

function known(slug: string, type: StateType, more: Partial<State> = {}, mapIndex = -1): KnownTaskRun {
  const state = makeState(type, null, more as object);
  return { taskRunId: `${slug}/${mapIndex}`, taskSlug: slug, mapIndex, version: 5, state };
}
const gone = { result: { type: "LocalResult" as const, location: "gone" } };

t.test("upstream skipped comes before values are loaded", async (t) => {
  const two = task("two", (_a: unknown, _b: unknown) => 1);
  const taskRuns = [known("inc-1", "Success", gone), known("inc-2", "Skipped")];
  const { recorder, results } = await finish(() => two(inc(0), inc(1)), { taskRuns });
  t.same(types(recorder.of("two-1")), ["Skipped"]);
  t.same(results.reads, []);
});

t.test("values are loaded before the trigger is asked", async (t) => {
  const two = task("two", { retries: 3 }, (_a: unknown, _b: unknown) => 1);
  const taskRuns = [known("inc-1", "Success", gone), known("inc-2", "Failed")];
  const { recorder } = await finish(() => two(inc(0), inc(1)), { taskRuns });
  t.match(recorder.of("two-1"), [{ state: { type: "Failed", message: /^Failed to retrieve task results/ } }]);
});

t.test("the trigger decides before a target stands in for the task", async (t) => {
  const results = new MemoryResults();
  results.values.set("there", 7);
  const options: TaskOptions = { target: "there" };
  const targeted = task("targeted", options, (value: number) => value);
  const fails = task("fails", (): number => {
    throw new Error("x");
  });
  const blocked = await finish(() => targeted(fails()), { results });
  t.same(types(blocked.recorder.of("targeted-1")), ["TriggerFailed"]);
  const free = await finish(() => targeted(1), { results });
  t.same(types(free.recorder.of("targeted-1")), ["Cached"], "it never runs");
  t.equal(free.end.output, 7);
});

t.test("a Cached state is told to the handlers, and is a success for those below", async (t) => {
  const results = new MemoryResults();
  results.values.set("there", 7);
  const told: string[] = [];
  const targeted = task("targeted", { target: "there", stateHandlers: [({ to }) => void told.push(to.type)] }, () => 1);
  const { end } = await finish(() => inc(targeted()), { results });
  t.same(told, ["Cached"]);
  t.equal(end.output, 8);
});

t.test("a success whose task keeps its results for later is a Success, and then Cached", async (t) => {
  const kept = task("kept", { cacheForMs: 60_000 }, () => 4);
  const { recorder, end } = await finish(() => inc(kept()));
  t.same(types(recorder.of("kept-1")), ["Running", "Success", "Cached"]);
  t.equal(end.output, 5);
  t.equal(recorder.of("kept-1").at(-1)?.state.cacheExpiresAt, "2026-01-01T00:01:00.000Z");
});

t.test("a state underneath Submitted or Queued is the one that counts", async (t) => {
  const retrying = makeState("Retrying", null, { startAt: "2026-01-01T00:00:05.000Z", runCount: 1 });
  const taskRuns = [known("inc-1", "Submitted", { wrapped: retrying })];
  const { recorder, clock } = await finish(() => inc(1), { taskRuns });
  t.equal(recorder.of("inc-1")[0]?.state.runCount, 2);
  t.equal(clock.now() - clock.startedAt, 5_000);
});

t.test("a Scheduled state without a time is due", async (t) => {
  const taskRuns = [known("inc-1", "Scheduled", { startAt: null }), known("inc-2", "Pending")];
  const { end } = await finish(() => [inc(1), inc(2)], { taskRuns });
  t.same(end.output, [2, 3]);
});

t.test("a task run is named by template or function; the name goes with its reports and into its log", async (t) => {
  const template = task("load", { taskRunName: "load {inputs.0} of {flowName}" }, (_day: string) => {
    throw new Error("x");
  });
  const made = task("made", { taskRunName: ({ mapIndex, inputs }) => `number ${mapIndex}: ${inputs[0]}` }, inc.fn);
  const { recorder } = await finish(() => {
    template("monday");
    made.map([7]);
  });
  const names = (name: string) => recorder.of(name).map((each) => each.name);
  t.same(names("load-1"), ["load monday of test", "load monday of test"]);
  t.same(names("made-1[0]"), ["number 0: 7", "number 0: 7"]);
  t.match(recorder.logs, [{ message: /task "load monday of test"/ }]);
});

t.test("a name that cannot be made is told, and stops nothing", async (t) => {
  const broken: TaskOptions["taskRunName"][] = [
    () => {
      throw new Error("no name");
    },
    "{parameters.nobody}",
  ];
  for (const taskRunName of broken) {
    const { recorder, end } = await finish(() => task("works", { taskRunName }, () => 1)());
    t.equal(end.output, 1);
    t.same(
      recorder.of("works-1").map((each) => each.name),
      [undefined, undefined],
    );
    t.match(recorder.logs, [{ level: "WARNING", message: /^The task run keeps the name "works": / }]);
  }
});

t.test("flatten() says in the log what it could not unnest, once for each upstream", async (t) => {
  const mixed = task("mixed", (value: number) => (value % 2 === 0 ? [value, value] : value));
  const { end, recorder } = await finish(() => {
    const lists = mixed.map([1, 2, 3]);
    return [inc.map(flatten(lists as never)), inc.map(flatten(lists as never)), flatten(lists as never)];
  });
  t.same(end.output, [
    [2, 3, 3, 4],
    [2, 3, 3, 4],
    [1, 2, 2, 3],
  ]);
  t.match(recorder.logs, [
    {
      level: "WARNING",
      message: 'flatten(): 2 of the 3 items of "mixed-1" are no lists: they are handed on as they are.',
    },
  ]);
  const number = task("number", () => 5);
  const plain = await finish(() => task("takes", (value: unknown) => value)(flatten(number() as never)));
  t.equal(plain.end.output, 5);
  t.match(plain.recorder.logs, [{ message: /"number-1", which is no list/ }]);
});

t.test("a map over nothing is Mapped without children, and its run succeeds", async (t) => {
  const list = task("list", (): number[] => []);
  const sum = task("sum", { trigger: triggers.allSuccessful }, (values: readonly number[]) => values.length);
  const { end, recorder } = await finish(() => sum(inc.map(inc.map(list()))));
  t.match(recorder.of("inc-1").at(-1)?.state, { type: "Mapped", mapCount: 0 });
  t.match(recorder.of("inc-2").at(-1)?.state, { type: "Mapped", mapCount: 0 });
  t.equal(end.output, 0);
});

t.test("a parent whose upstream failed before it could be mapped over has no children", async (t) => {
  const list = task("list", (): number[] => {
    throw new Error("x");
  });
  const { recorder } = await finish(() => inc.map(list()));
  t.match(recorder.of("inc-1"), [{ state: { type: "Failed", message: "No upstream states can be mapped over." } }]);
  t.same(recorder.of("inc-1[0]"), []);
});

t.test("a Mapped state that does not say how many children it has is counted anew", async (t) => {
  const list = task("list", () => [1, 2]);
  const { end, recorder } = await finish(() => inc.map(list()), { taskRuns: [known("inc-1", "Mapped")] });
  t.same(end.output, [2, 3]);
  t.same(recorder.of("inc-1"), []);
});
