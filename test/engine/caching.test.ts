import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { buildFlow } from "../../src/core/building.js";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { newId } from "../../src/core/ids.js";
import { type CacheFacts, type CacheValidator, cacheValidators } from "../../src/core/options/cache-validator.js";
import { results } from "../../src/core/options/results.js";
import type { StateHandler } from "../../src/core/options/state-handler.js";
import { parameter } from "../../src/core/parameter.js";
import { secret } from "../../src/core/secret.js";
import type { State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { runFlow } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import { clearCaches } from "../../src/engine/local/memory-results.js";
import type { CacheIndex, EngineOutcome } from "../../src/engine/ports.js";
import { resultStore } from "../../src/storage/results.js";
import { FakeClock } from "./bed.js";

const HOUR = 3_600_000;

interface Ran extends EngineOutcome {
  /** The states of a task run, in order, for instance `load-1` or `load-1[0]`. */
  states: (name: string) => string[];
  /** Its last state. */
  last: (name: string) => State;
  log: string[];
}

interface RunMore {
  parameters?: Record<string, unknown>;
  clock?: FakeClock;
  caches?: CacheIndex;
}

const define = (name: string, build: BuildFlow<unknown>): FlowDefinition => buildFlow(name, {}, build, undefined);

/** A run as `flow.run()` makes it, on a clock that stands still. */
async function run(
  flow: FlowDefinition,
  { parameters = {}, clock = new FakeClock(), caches }: RunMore = {},
): Promise<Ran> {
  const seen: [string, State][] = [];
  const log: string[] = [];
  const ports = localPorts({
    results: resultStore(),
    secrets: { read: async () => "hidden" },
    log: (line) => log.push(`${line.level} ${line.message}`),
    onState: ({ taskSlug, mapIndex, state }) =>
      seen.push([mapIndex < 0 ? String(taskSlug) : `${taskSlug}[${mapIndex}]`, state]),
  });
  const flowRun = {
    flowRunId: newId(),
    flowRunName: "a run",
    flowId: null,
    parameters,
    scheduledStartAt: "2026-01-01T00:00:00.000Z",
    taskRuns: [],
  };
  const outcome = await runFlow(flow, flowRun, { ...ports, clock, ...(caches ? { caches } : {}) });
  const of = (name: string) => seen.filter(([each]) => each === name).map(([, state]) => state);
  return { ...outcome, states: (name) => of(name).map(({ type }) => type), last: (name) => of(name).at(-1)!, log };
}

/** Counts how often a task's code ran. */
function counter(): { calls: number; tick: () => number } {
  const counted = { calls: 0, tick: () => (counted.calls += 1) };
  return counted;
}

t.beforeEach(() => clearCaches());

t.test("a state handler is told of the success, and then of the cached one", async (t) => {
  const moves: string[] = [];
  const told: StateHandler = ({ from, to }) => void moves.push(`${from.type} → ${to.type}`);
  const flow = define("told", () => task("load", { cacheForMs: HOUR, stateHandlers: [told] }, () => 1)());
  await run(flow);
  t.same(moves.splice(0), ["Pending → Running", "Running → Success", "Success → Cached"]);
  await run(flow);
  t.same(moves, ["Pending → Cached"]);
});

t.test("a cached state that a handler refuses is no success, and stands for nothing", async (t) => {
  const refuse: StateHandler = ({ to }) => {
    if (to.type === "Cached" && to.message === "Task run succeeded.") throw new Error("not this one");
  };
  const flow = define("refused", () => task("load", { cacheForMs: HOUR, stateHandlers: [refuse] }, () => 1)());
  for (const round of [1, 2]) t.same((await run(flow)).states("load-1"), ["Running", "Failed"], `run ${round}`);
});

t.test("a result stands for running its task in later runs, as long as it is young enough", async (t) => {
  const { tick } = counter();
  const load = task("load", { cacheForMs: HOUR }, (_seed: number) => ({ call: tick() }));
  const take = task("take", ({ call }: { call: number }) => call * 10);
  const flow = define("cached", () => take(load(parameter<number>("seed", { default: 1 }))));
  const clock = new FakeClock(true);

  const first = await run(flow, { clock });
  t.same(first.states("load-1"), ["Running", "Success", "Cached"]);
  t.same(first.last("load-1").cacheExpiresAt, new Date(clock.now() + HOUR).toISOString());
  t.same(first.last("load-1").cachedParameters, { seed: 1 });
  t.equal(first.output, 10);

  clock.burn(HOUR - 1);
  const second = await run(flow, { clock, parameters: { seed: 2 } });
  t.same(second.states("load-1"), ["Cached"], "its code did not run");
  t.match(second.last("load-1").message, /Cached result of 2026-01-01T00:00:00/);
  t.equal(second.last("load-1").cacheExpiresAt, first.last("load-1").cacheExpiresAt, "its time goes on");
  t.equal(second.output, 10);

  clock.burn(1);
  t.equal((await run(flow, { clock })).output, 20, "its time is over");
});

t.test("a result may stand for ever", async (t) => {
  let calls = 0;
  const load = task("load", { cacheForMs: Number.POSITIVE_INFINITY }, () => {
    calls += 1;
    return calls;
  });
  const flow = define("for ever", () => load());
  t.equal((await run(flow)).last("load-1").cacheExpiresAt, null);
  t.equal((await run(flow)).output, 1);
});

t.test("each run gets a value of its own, whatever another does to it", async (t) => {
  const load = task("load", { cacheForMs: HOUR }, () => ({ rows: [1, 2], at: new Map([["a", new Date(0)]]) }));
  const spoil = task("spoil", (value: { rows: number[] }) => {
    const before = [...value.rows];
    value.rows.push(99);
    return before;
  });
  const flow = define("spoiled", () => spoil(load()));
  t.same((await run(flow)).output, [1, 2]);
  t.same((await run(flow)).output, [1, 2]);
  t.same((await run(flow)).output, [1, 2]);
});

t.test("a value that has no bytes is handed on as it is", async (t) => {
  class Connection {
    readonly open = true;
  }
  const made = new Connection();
  const connect = task("connect", { cacheForMs: HOUR }, () => made);
  const flow = define("instance", () => connect());
  t.equal((await run(flow)).output, made);
  const second = await run(flow);
  t.equal(second.output, made);
  t.same(second.states("connect-1"), ["Cached"]);
});

t.test("a value that is undefined is cached too", async (t) => {
  const { tick } = counter();
  const flow = define("nothing", () => task("nothing", { cacheForMs: HOUR }, () => void tick())());
  await run(flow);
  t.same((await run(flow)).states("nothing-1"), ["Cached"]);
});

t.test("all inputs must be the same, by content and not by order", async (t) => {
  const { tick } = counter();
  const add = task("add", { cacheForMs: HOUR, cacheValidator: cacheValidators.allInputs }, (input: { n: number[] }) => {
    input.n.push(0);
    return tick();
  });
  const flow = define("inputs", () => add(parameter<{ n: number[] }>("input")));
  const outputs: unknown[] = [];
  for (const input of [
    { n: [1], m: 2 },
    { m: 2, n: [1] },
    { n: [2], m: 2 },
    { n: [1], m: 2 },
  ])
    outputs.push((await run(flow, { parameters: { input } })).output);
  t.same(outputs, [1, 1, 2, 1], "what the task did to its input does not count");
});

t.test("parameters and parts decide where the validator says so", async (t) => {
  const { tick } = counter();
  const flowWith = (name: string, cacheValidator: CacheValidator) => {
    const work = task("work", { cacheForMs: HOUR, cacheValidator }, (_a: unknown, _b: unknown) => tick());
    return define(name, () => work(parameter("a"), parameter("b")));
  };
  const rows = [
    { a: 1, b: 1 },
    { a: 1, b: 2 },
    { a: 2, b: 2 },
    { a: 1, b: 1 },
  ];
  const cached = async (name: string, validator: CacheValidator) => {
    const flow = flowWith(name, validator);
    const states: boolean[] = [];
    for (const parameters of rows) states.push((await run(flow, { parameters })).states("work-1")[0] === "Cached");
    return states;
  };
  t.same(await cached("all", cacheValidators.allParameters), [false, false, false, true]);
  t.same(await cached("by name", cacheValidators.partialParametersOnly(["b"])), [false, false, true, true]);
  t.same(await cached("by place", cacheValidators.partialInputsOnly([0])), [false, true, false, true]);
  t.same(await cached("never", cacheValidators.neverUse), [false, false, false, false]);
});

t.test("a cache key is shared by tasks of several flows; without one each task is for itself", async (t) => {
  const { tick } = counter();
  const shared = { cacheForMs: HOUR, cacheKey: "rates" };
  const one = define("one", () => [task("rates", shared, tick)(), task("own", { cacheForMs: HOUR }, tick)()]);
  const two = define("two", () => [task("other name", shared, tick)(), task("own", { cacheForMs: HOUR }, tick)()]);
  t.same((await run(one)).output, [1, 2]);
  t.same((await run(two)).output, [1, 3]);
});

t.test("each child of a mapped task is cached by its own input", async (t) => {
  const { tick } = counter();
  const square = task("square", { cacheForMs: HOUR, cacheValidator: cacheValidators.allInputs }, (n: number) => {
    tick();
    return n * n;
  });
  const flow = define("mapped", () => square.map(parameter<number[]>("list")));
  t.same((await run(flow, { parameters: { list: [1, 2] } })).output, [1, 4]);
  const second = await run(flow, { parameters: { list: [2, 3, 1] } });
  t.same(second.output, [4, 9, 1]);
  t.same(second.states("square-1[0]"), ["Cached"]);
  t.same(second.states("square-1[1]"), ["Running", "Success", "Cached"]);
});

t.test("an input that cannot be compared makes the task run, and is told", async (t) => {
  const { tick } = counter();
  const make = task("make", () => () => 1);
  const call = task("call", { cacheForMs: HOUR, cacheValidator: cacheValidators.allInputs }, (_fn: () => number) =>
    tick(),
  );
  const flow = define("function", () => call(make()));
  await run(flow);
  const second = await run(flow);
  t.equal(second.output, 2);
  t.match(
    second.log.find((line) => line.includes("argument 0 has no hash")),
    /^WARNING .*function/,
  );
  const lax = define("lax", () => task("call", { cacheForMs: HOUR }, (_fn: () => number) => tick())(make()));
  await run(lax);
  t.same((await run(lax)).states("call-1"), ["Cached"], "where inputs do not count, they need no hash");
});

t.test("a secret is no part of what is kept or compared", async (t) => {
  const options = { cacheForMs: HOUR, cacheValidator: cacheValidators.allInputs };
  const use = task("use", options, (_token: unknown, n: number) => n);
  const flow = define("secret", () => use(secret("TOKEN"), 5));
  t.same(Object.keys((await run(flow)).last("use-1").inputHashes!), ["1"]);
  t.same((await run(flow)).states("use-1"), ["Cached"]);
});

t.test("a validator of the author's own sees both sides; one that throws fails the task", async (t) => {
  const seen: CacheFacts[] = [];
  const valid = {
    name: "even",
    isValid: (facts: CacheFacts) => {
      seen.push(facts);
      return Number(facts.parameters.n) % 2 === 0;
    },
  };
  const work = task("work", { cacheForMs: HOUR, cacheValidator: valid }, (n: number) => n);
  const flow = define("own", () => work(parameter<number>("n")));
  t.equal((await run(flow, { parameters: { n: 1 } })).output, 1);
  t.equal((await run(flow, { parameters: { n: 3 } })).output, 3);
  t.equal((await run(flow, { parameters: { n: 4 } })).output, 3, "the newest comes first");
  t.match(seen[0], { cachedParameters: { n: 1 }, parameters: { n: 3 }, cachedInputs: { 0: /^[0-9a-f]{64}$/ } });

  const broken = { name: "broken", isValid: () => JSON.parse("{") as boolean };
  const failing = define("broken", () => task("work", { cacheForMs: HOUR, cacheValidator: broken }, () => 1)());
  t.equal((await run(failing)).state.type, "Success", "nobody asks it while there is nothing");
  const second = await run(failing);
  t.match(second.last("work-1"), { type: "Failed", message: /cache validator "broken" threw/ });
});

t.test("a cached result that is gone is passed over for an older one, and told", async (t) => {
  const { tick } = counter();
  const result = results.local({ folder: t.testdir() });
  const flow = (cacheValidator: CacheValidator) =>
    define("files", () =>
      task("work", { cacheForMs: HOUR, cacheValidator, result }, (_n: number) => tick())(parameter("n")),
    );
  for (const n of [1, 2]) await run(flow(cacheValidators.allParameters), { parameters: { n } });
  const { dir, location } = (await run(flow(cacheValidators.allParameters), { parameters: { n: 2 } })).last("work-1")
    .result!;
  await rm(join(String(dir), String(location)));
  const found = await run(flow(cacheValidators.durationOnly), { parameters: { n: 3 } });
  t.equal(found.output, 1);
  t.match(
    found.log.find((line) => line.includes("passed over")),
    /^WARNING .*ENOENT/,
  );
});

t.test("a cache that cannot be asked does not keep a task from running", async (t) => {
  const caches: CacheIndex = { candidates: () => Promise.reject(new Error("the Cloud is away")), add: () => {} };
  const flow = define("away", () => task("work", { cacheForMs: HOUR }, () => 1)());
  const ran = await run(flow, { caches });
  t.equal(ran.output, 1);
  t.match(ran.log.join("\n"), /WARNING The cache could not be looked at.*the Cloud is away/);
});

t.test("the cache is asked for the task, its key and no older results than may count", async (t) => {
  const asked: unknown[] = [];
  const candidates: CacheIndex["candidates"] = async (of) => {
    asked.push(of);
    return [];
  };
  const caches: CacheIndex = { candidates, add: () => {} };
  const clock = new FakeClock(true);
  const flow = define("asked", () => task("work", { cacheForMs: HOUR, cacheKey: "k" }, () => 1)());
  await run(flow, { caches, clock });
  const sinceAt = new Date(clock.now() - HOUR).toISOString();
  t.same(asked, [{ taskId: flow.tasks[0]!.id, taskSlug: "work-1", cacheKey: "k", sinceAt }]);
});

t.test("a task that does not keep its result is not cached", async (t) => {
  const { tick } = counter();
  const flow = define("unkept", () => task("work", { cacheForMs: HOUR, checkpoint: false }, tick)());
  t.same((await run(flow)).states("work-1"), ["Running", "Success"]);
  t.equal((await run(flow)).output, 2);
});

t.test("clearCaches forgets everything", async (t) => {
  const { tick } = counter();
  const flow = define("cleared", () => task("work", { cacheForMs: HOUR }, tick)());
  await run(flow);
  clearCaches();
  t.equal((await run(flow)).output, 2);
});

t.test("what lies at a task's target stands for running it", async (t) => {
  const folder = t.testdir();
  const { tick } = counter();
  const result = results.local({ folder, serializer: "json" });
  const make = task("make", { target: "{parameters.day}/{inputs.0}.json", result }, (_name: string) => ({ n: tick() }));
  const take = task("take", ({ n }: { n: number }) => n);
  const flow = define("target", () => take(make(parameter<string>("name"))).after(parameter<string>("day")));
  const parameters = { day: "monday", name: "one" };

  const first = await run(flow, { parameters });
  t.same(first.states("make-1"), ["Running", "Success"]);
  t.equal(await readFile(join(folder, "monday", "one.json"), "utf8"), '{"n":1}');
  const second = await run(flow, { parameters });
  t.same(second.states("make-1"), ["Cached"]);
  t.equal(second.last("make-1").message, "Result found at task target monday/one.json");
  t.equal(second.output, 1);
  t.equal((await run(flow, { parameters: { ...parameters, name: "two" } })).output, 2);
  await writeFile(join(folder, "monday", "one.json"), '{"n":70}');
  t.equal((await run(flow, { parameters })).output, 70, "what somebody else put there counts too");
  await rm(join(folder, "monday", "one.json"));
  t.equal((await run(flow, { parameters })).output, 3);
});

t.test("a target that cannot be fails its task before it runs", async (t) => {
  const { tick } = counter();
  const flow = define("bad target", () =>
    task("work", { target: "{parameters.way}.json" }, tick)().after(parameter("way")),
  );
  const ran = await run(flow, { parameters: { way: "../../x" } });
  t.match(ran.last("work-1"), {
    type: "Failed",
    message: /leads out/,
    context: { error: { code: "RESULT_LOCATION_INVALID" } },
  });
  t.equal(tick(), 1, "its code did not run");
});
