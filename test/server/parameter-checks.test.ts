import t from "tap";
import { deployFlow, type FlowShape, flowRunRow, Refusal, refusalOf, startTestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t);

type Parameters = NonNullable<FlowShape["parameters"]>;

/** A flow of our own with these parameters, and how to ask for a run of it. */
async function flowWith(name: string, parameters: Parameters, shape: FlowShape = {}) {
  const slugs = parameters.map((each) => each.name);
  const flow = await deployFlow(cloud, { name, parameters, tasks: [...slugs, "a-1"], edges: [], ours: true, ...shape });
  const ask = (given?: unknown) => cloud.call("create_flow_run", { flow_id: flow.flowId, parameters: given });
  const run = async (given?: unknown) =>
    JSON.parse(String((await flowRunRow(cloud, (await ask(given)).id)).parameters));
  return { ...flow, ask, run };
}

const orders = {
  type: "object",
  properties: {
    city: { type: "string", minLength: 2 },
    lines: { type: "array", items: { type: "object", properties: { price: { type: "number", minimum: 0 } } } },
  },
  required: ["city"],
  additionalProperties: false,
};

t.test("a value that its JSON Schema refuses makes no run: the path and what was found are told", async (t) => {
  const flow = await flowWith("orders", [{ name: "orders", required: true, json_schema: orders }]);
  const cases: [unknown, RegExp][] = [
    [
      { city: "Oslo", lines: [{ price: 1 }, { price: -2 }] },
      /"orders" at lines\[1\]\.price: must be >= 0, found -2\.$/,
    ],
    [{ city: 5 }, /"orders" at city: must be string, found 5/],
    [{}, /"orders": must have required property 'city', found \{\}/],
    [{ city: "Oslo", colour: 1 }, /must NOT have additional properties: "colour"/],
    ["x".repeat(200), /"orders": must be object, found "x{79}…/],
    [null, /must be object, found null/],
  ];
  for (const [value, message] of cases) {
    const refusal = await refusalOf(flow.ask({ orders: value }));
    t.equal(refusal.code, "PARAMETER_INVALID");
    t.match(refusal.message, /^A parameter of flow "orders" is not valid: /);
    t.match(refusal.message, message);
  }
  t.same(await cloud.rows("SELECT id FROM flow_run WHERE flow_id = ?1", flow.flowId), []);
  t.same(await flow.run({ orders: { city: "Oslo", lines: [] } }), { orders: { city: "Oslo", lines: [] } });
});

t.test("all parameters that are wrong are told at once, as data too", async (t) => {
  const number = { type: "number" };
  const flow = await flowWith("numbers", [
    { name: "a", required: true, json_schema: number },
    { name: "b", required: true, json_schema: { enum: ["x", "y"] } },
  ]);
  const error = await flow.ask({ a: "1", b: "z" }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  t.type(error, Refusal);
  t.match((error as Refusal).failure, {
    message:
      'Parameters of flow "numbers" are not valid: "a": must be number, found "1"; "b": must be equal to one of the allowed values: ["x","y"], found "z".',
    extensions: {
      code: "PARAMETER_INVALID",
      hint: 'See the schema of "a", "b" in the flow.',
      details: [
        { parameter: "a", path: "", message: "must be number", found: '"1"' },
        { parameter: "b", path: "" },
      ],
    },
  });
});

t.test("a flow of our own takes no other names, and says which it has", async (t) => {
  const flow = await flowWith("known", [{ name: "day", default: "today" }]);
  t.match(await refusalOf(flow.ask({ dya: 1 })), {
    code: "PARAMETER_UNKNOWN",
    message: 'Flow "known" has no parameter "dya".',
  });
  const required = await flowWith("needs", [
    { name: "a", required: true },
    { name: "b", required: true },
  ]);
  t.match(await refusalOf(required.ask({})), {
    code: "PARAMETER_MISSING",
    message: 'Flow "needs" needs the parameters "a", "b", and was given none.',
  });
});

t.test("a flow of Prefect's takes what it is given", async (t) => {
  const flow = await flowWith("python", [{ name: "n", default: 1 }], { ours: false });
  t.same(await flow.run({ other: 2 }), { n: 1, other: 2 });
});

t.test("a group's default for a parameter that is gone is left out, and one that is there is checked", async (t) => {
  const flow = await flowWith("grouped", [{ name: "n", required: true, json_schema: { type: "integer" } }]);
  const setDefaults = (defaults: object) =>
    cloud.server.database.write((transaction) =>
      transaction.run(
        "UPDATE flow_group SET default_parameters = ?1 WHERE id = ?2",
        JSON.stringify(defaults),
        flow.flowGroupId,
      ),
    );
  await setDefaults({ n: 3, gone: 1 });
  t.same(await flow.run(), { n: 3 });
  await setDefaults({ n: 3.5 });
  t.match(await refusalOf(flow.ask()), { code: "PARAMETER_INVALID", message: /must be integer, found 3\.5/ });
});

t.test("what need not be given may be left out or null, whatever its schema says", async (t) => {
  const flow = await flowWith("optional", [{ name: "n", json_schema: { type: "integer" } }]);
  t.same(await flow.run({}), {});
  t.same(await flow.run({ n: null }), { n: null });
  t.equal((await refusalOf(flow.ask({ n: "1" }))).code, "PARAMETER_INVALID");
});

t.test("parameters may be called anything", async (t) => {
  const flow = await flowWith("odd", [{ name: "__proto__", required: true, json_schema: { type: "number" } }]);
  t.equal((await refusalOf(flow.ask({}))).code, "PARAMETER_MISSING");
  t.equal((await refusalOf(flow.ask(JSON.parse('{"__proto__":"x"}')))).code, "PARAMETER_INVALID");
  t.same(Object.entries(await flow.run(JSON.parse('{"__proto__":2}'))), [["__proto__", 2]]);
});

t.test("draft-07 and 2020-12 are both understood", async (t) => {
  const flow = await flowWith("drafts", [
    {
      name: "old",
      json_schema: {
        $schema: "http://json-schema.org/draft-07/schema#",
        $id: "same",
        definitions: { n: { type: "number" } },
        items: [{ $ref: "#/definitions/n" }],
      },
    },
    {
      name: "now",
      json_schema: {
        $schema: "https://json-schema.org/draft/2020-12/schema",
        $id: "same",
        $defs: { n: { type: "number" } },
        prefixItems: [{ $ref: "#/$defs/n" }],
      },
    },
  ]);
  t.same(await flow.run({ old: [1], now: [2] }), { old: [1], now: [2] });
  t.match((await refusalOf(flow.ask({ old: ["1"], now: ["2"] }))).message, /"old" at \[0\].*"now" at \[0\]/);
});

t.test("a schema may refer to itself for what lies deeper", async (t) => {
  const tree = {
    type: "object",
    properties: { n: { type: "number" }, below: { type: "array", items: { $ref: "#" } } },
  };
  const flow = await flowWith("tree", [{ name: "tree", json_schema: tree }]);
  t.same(await flow.run({ tree: { n: 1, below: [{ n: 2 }] } }), { tree: { n: 1, below: [{ n: 2 }] } });
  t.match(
    (await refusalOf(flow.ask({ tree: { below: [{ below: [{ n: "3" }] }] } }))).message,
    /at below\[0\]\.below\[0\]\.n/,
  );
});

const deep = (levels: number): object => (levels === 0 ? { type: "string" } : { not: deep(levels - 1) });
const wide = Object.fromEntries(Array.from({ length: 800 }, (_, index) => [`property ${index}`, { type: "string" }]));

const unusable: [string, unknown, RegExp][] = [
  ["that is no object", [1], /it is no object/],
  ["with a type that there is not", { type: "numbr" }, /it\/type must be equal to one of the allowed values/],
  ["with a pattern that is none", { type: "string", pattern: "(" }, /[Ii]nvalid regular expression/],
  ["that refers to another place", { $ref: "https://example.org/other.json" }, /can't resolve reference/],
  ["that refers to nothing", { $ref: "#/$defs/none" }, /can't resolve reference/],
  ["that answers later", { $async: true, type: "string" }, /\$async/],
  ["that is nested too deeply", deep(100), /nested more than 64 deep/],
  ["that is too large", { type: "object", properties: wide, description: "x".repeat(10_000) }, /32768 at most/],
];

for (const [title, schema, message] of unusable) {
  t.test(`a JSON Schema ${title} is refused when the flow is registered`, async (t) => {
    const refusal = await refusalOf(
      deployFlow(cloud, { name: "refused", parameters: [{ name: "p", json_schema: schema }] }),
    );
    t.equal(refusal.code, "PARAMETER_SCHEMA_INVALID");
    t.match(refusal.message, /^The JSON Schema of parameter "p" cannot be used: /);
    t.match(refusal.message, message);
  });
}

t.test("schemas that are too large together are refused", async (t) => {
  const json_schema = { description: "x".repeat(30_000) };
  const parameters = ["a", "b", "c"].map((name) => ({ name, json_schema }));
  const refusal = await refusalOf(deployFlow(cloud, { name: "refused", parameters }));
  t.match(refusal, { code: "PARAMETER_SCHEMA_INVALID", message: /parameter "c".*more than 65536/ });
});

const bomb = {
  $ref: "#/$defs/a0",
  $defs: Object.fromEntries(
    Array.from({ length: 32 }, (_, index) => {
      const next = { $ref: `#/$defs/a${index + 1}` };
      return [`a${index}`, index === 31 ? { type: "string" } : { allOf: [next, next] }];
    }),
  ),
};
const endless: [string, object, unknown][] = [
  ["whose pattern backtracks for ever", { type: "string", pattern: "^(a+)+$" }, `${"a".repeat(60)}!`],
  ["whose references double at each level", bomb, "text"],
  ["that refers to itself", { $ref: "#" }, 1],
];

for (const [title, json_schema, value] of endless) {
  t.test(`a check ${title} is given up once, and not made again`, async (t) => {
    const flow = await flowWith(`endless: ${title}`, [{ name: "p", json_schema }]);
    const startedAt = performance.now();
    t.same(await flow.run({ p: value }), { p: value }, "the engine has its own say later");
    const firstMs = performance.now() - startedAt;
    t.ok(firstMs < 2_000, `${firstMs} ms`);
    const told = cloud.log.filter((line) => line.message.includes(flow.flowId));
    t.match(told, [{ level: "error", message: /The check of parameter "p" of flow "endless.*given up/ }]);
    await flow.run({ p: value });
    t.equal(cloud.log.filter((line) => line.message.includes(flow.flowId)).length, 1);
  });
}
