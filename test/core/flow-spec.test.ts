import t from "tap";
import type { FlowOptions } from "../../src/core/flow-definition.js";
import { type FlowSpec, hashFlowSpec, sha256, stableText, toFlowSpec } from "../../src/core/flow-spec.js";
import { isJson } from "../../src/core/json.js";
import { cacheValidators } from "../../src/core/options/cache-validator.js";
import { results } from "../../src/core/options/results.js";
import { parameter } from "../../src/core/parameter.js";
import { flatten, unmapped } from "../../src/core/reference.js";
import { diffSpecs } from "../../src/core/spec-diff.js";
import { type TaskOptions, task } from "../../src/core/task.js";
import { triggers } from "../../src/core/trigger.js";
import { build } from "../helpers/build.js";

const split = task("split", { tags: ["b", "a"], retries: 3, retryDelayMs: 5, timeoutMs: 90 }, (text: string) =>
  text.split(","),
);
const glue = task(
  "glue",
  { trigger: triggers.anySuccessful, skipOnUpstreamSkip: false },
  (parts: unknown, by: string) => String(parts) + by,
);

const spec = (body: () => unknown, options: FlowOptions = {}): FlowSpec => toFlowSpec(build("spec", body, options));

t.test("a spec says all of a flow in plain JSON", async (t) => {
  const made = spec(
    () => {
      const text = parameter<string>("text", { description: "what to split" });
      const by = parameter<string | null>("by", { default: null });
      const parts = split.map([text]);
      glue.map(flatten(parts), unmapped(by as never));
    },
    { description: "splits and glues" },
  );
  t.ok(isJson(made), "it survives the wire");
  t.match(made, {
    name: "spec",
    description: "splits and glues",
    parameters: [
      { name: "text", required: true, default: null, description: "what to split" },
      { name: "by", required: false, default: null, description: null },
    ],
    referenceTasks: ["glue-1"],
  });
  t.match(
    made.tasks.find((each) => each.slug === "split-a-b-1"),
    {
      name: "split",
      kind: "task",
      tags: ["a", "b"],
      retries: 3,
      retryDelayMs: 5,
      timeoutMs: 90,
      trigger: "all_successful",
      skipOnUpstreamSkip: true,
      mapped: true,
      bodyHash: sha256(String(split.fn)),
    },
  );
  t.match(
    made.tasks.find((each) => each.slug === "glue-1"),
    { trigger: "any_successful", skipOnUpstreamSkip: false, timeoutMs: null },
  );
  t.same(
    made.edges.filter((each) => each.downstream === "glue-1"),
    [
      { upstream: "split-a-b-1", downstream: "glue-1", key: "0", mapped: true, flattened: true },
      { upstream: "by", downstream: "glue-1", key: "1", mapped: false, flattened: false },
    ],
  );
});

t.test("a spec says how results are kept and reused, and each of it counts", async (t) => {
  const only = (options: TaskOptions, ofFlow: FlowOptions = {}) =>
    spec(() => task("work", options, (text: string) => text)(parameter<string>("text")), ofFlow);
  const ofTask = (made: FlowSpec) => {
    const { cacheForMs, cacheKey, cacheValidator, target, checkpoint, result } = made.tasks.find(
      (each) => each.kind === "task",
    )!;
    return { cacheForMs, cacheKey, cacheValidator, target, checkpoint, result };
  };
  const plain = {
    cacheForMs: null,
    cacheKey: null,
    cacheValidator: "never_use",
    target: null,
    checkpoint: true,
    result: null,
  };
  const inBucket = results.s3({ bucket: "b" });
  const rows: [TaskOptions, FlowOptions, Partial<typeof plain> | object][] = [
    [{}, {}, {}],
    [{ cacheForMs: 500 }, {}, { cacheForMs: 500, cacheValidator: "duration_only" }],
    [
      { cacheForMs: 500, cacheKey: "k", cacheValidator: cacheValidators.partialInputsOnly([0, 1]) },
      {},
      { cacheForMs: 500, cacheKey: "k", cacheValidator: "partial_inputs_only(0, 1)" },
    ],
    [{ target: "{flowName}.json" }, {}, { target: "{flowName}.json" }],
    [{ target: () => "x" }, {}, { target: "(function)" }],
    [{ checkpoint: false }, {}, { checkpoint: false }],
    [{}, { result: inBucket }, { result: "s3" }],
    [{ result: results.local({ serializer: "json" }) }, { result: inBucket }, { result: "local, json" }],
  ];
  for (const [options, ofFlow, fields] of rows) t.same(ofTask(only(options, ofFlow)), { ...plain, ...fields });
  t.equal(new Set(rows.map(([options, ofFlow]) => hashFlowSpec(only(options, ofFlow)))).size, rows.length);
  t.equal(only({}, { result: inBucket }).tasks.find((each) => each.kind === "parameter")?.result, null);
  t.equal(
    hashFlowSpec(only({ result: results.s3({ bucket: "another" }) })),
    hashFlowSpec(only({ result: inBucket })),
    "a bucket may come from the environment",
  );
  t.match(diffSpecs(only({}), only({ cacheForMs: 500 })), [
    { kind: "options changed", after: /cacheForMs 500, cacheValidator "duration_only"/ },
  ]);
});

t.test("the same build gives the same hash", async (t) => {
  const body = () => glue(split("a,b"), "-");
  t.equal(hashFlowSpec(spec(body)), hashFlowSpec(spec(body)));
});

t.test("descriptions and the order in which independent tasks are defined do not count", async (t) => {
  const one = hashFlowSpec(spec(() => [split("a"), glue("b", "c")]));
  t.equal(hashFlowSpec(spec(() => [glue("b", "c"), split("a")])), one);
  t.equal(hashFlowSpec(spec(() => [split("a"), glue("b", "c")], { description: "said otherwise" })), one);
});

t.test("whatever else changes changes the hash", async (t) => {
  const bodies: [string, () => unknown][] = [
    ["as it was", () => glue(split("a"), "-")],
    ["a constant", () => glue(split("b"), "-")],
    ["an added task", () => [glue(split("a"), "-"), split("z")]],
    ["an edge less", () => [glue(["a"], "-"), split("a")]],
    [
      "an order edge",
      () => {
        const s = split("a");
        glue(s, "-").after(s);
      },
    ],
    ["another place", () => glue([split("a")], "-")],
    ["retries", () => glue(split.with({ retries: 4 })("a"), "-")],
    ["a trigger", () => glue.with({ trigger: triggers.allFinished })(split("a"), "-")],
    ["a body", () => glue(task("split", split.options, (text: string) => [text])("a"), "-")],
    ["mapped", () => glue.map(split("a"), unmapped("-"))],
    ["an optional parameter", () => glue(split("a"), parameter<string>("by", { default: "-" }))],
    ["a required parameter", () => glue(split("a"), parameter<string>("by"))],
    ["a parameter that may be null", () => glue(split("a"), parameter("by", { default: null }) as never)],
  ];
  const hashes = bodies.map(([, body]) => hashFlowSpec(spec(body)));
  hashes.forEach((hash, index) => {
    t.equal(hashes.indexOf(hash), index, `${bodies[index]![0]} has a hash of its own`);
  });
});

t.test("stable text tells values apart that JSON does not, and does not mind the order of keys", async (t) => {
  t.equal(stableText({ b: 1, a: [{ d: 1, c: 2 }] }), stableText({ a: [{ c: 2, d: 1 }], b: 1 }));
  class Point {
    x = 1;
  }
  const values = [
    null,
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    5,
    "5",
    5n,
    new Date(5),
    /a/g,
    /a/i,
    new URL("http://a.test/"),
    new Map([["a", 1]]),
    new Set(["a"]),
    new Uint8Array([1]),
    new Int8Array([1]),
    new Uint8Array([1]).buffer,
    new Uint8Array([2]).buffer,
    new SharedArrayBuffer(1),
    new DataView(new ArrayBuffer(1)),
    new URLSearchParams("a=1"),
    new URLSearchParams("a=2"),
    new Headers({ a: "1" }),
    new Headers({ a: "2" }),
    new Error("a"),
    new Error("b"),
    new TypeError("a"),
    new Error("a", { cause: 1 }),
    Object.assign(new Error("a"), { code: "E" }),
    new AggregateError([1], "a"),
    new AggregateError([2], "a"),
    Object(1),
    Object(2),
    Object("1"),
    Object(1n),
    Object(true),
    Object(Symbol("b")),
    0,
    -0,
    { x: 1 },
    new Point(),
    () => 1,
    () => 2,
    Symbol("a"),
    [],
    [undefined],
    {},
  ];
  const texts = values.map(stableText);
  t.equal(new Set(texts).size, values.length, texts.join("\n"));
});

t.test("equal values give equal text, wherever they were made", async (t) => {
  const pairs: (() => unknown)[] = [
    () => new Error("a", { cause: new Map([["b", new Uint8Array([1])]]) }),
    () => new URLSearchParams({ a: "1" }),
    () => new Headers({ b: "2", a: "1" }),
    () => new ArrayBuffer(3),
    () => Object("boxed"),
  ];
  const farAway = (make: () => unknown) => make();
  for (const make of pairs) t.equal(stableText(make()), stableText(farAway(make)));
});

t.test("of an instance, its class's name and its fields count, not what cannot be seen", async (t) => {
  class Secret {
    readonly #inside: number;
    shown = 1;
    constructor(inside: number) {
      this.#inside = inside;
    }
    get inside(): number {
      return this.#inside;
    }
  }
  t.equal(stableText(new Secret(1)), stableText(new Secret(2)));
  t.not(stableText(new Secret(1)), stableText(Object.assign(new Secret(1), { shown: 2 })));
  t.equal(stableText(new WeakMap()), '["object","WeakMap",{}]');
});

t.test("stable text ends for a value that holds itself", async (t) => {
  const circle: unknown[] = [];
  circle.push(circle);
  t.equal(stableText(circle), '[["circle"]]');
});

t.test("JSON is told from what JSON would change", async (t) => {
  for (const value of [null, "", 0, false, [], {}, { a: [{ b: null }] }, Object.create(null)])
    t.ok(isJson(value), JSON.stringify(value));
  const circle: unknown[] = [];
  circle.push(circle);
  for (const value of [
    undefined,
    Number.NaN,
    1n,
    new Date(),
    new Map(),
    () => 1,
    Symbol("a"),
    { a: undefined },
    [undefined],
    circle,
  ]) {
    t.notOk(isJson(value), String(typeof value));
  }
});
