import { type } from "arktype";
import t from "tap";
import * as v from "valibot";
import { z } from "zod";
import { toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter, type StandardSchema } from "../../src/core/parameter.js";
import { loadConverters, toJsonSchema, withJsonSchemas } from "../../src/execute/json-schemas.js";
import { compileSchema } from "../../src/server/registration/parameter-schema.js";
import { build } from "../helpers/build.js";

await loadConverters();

const line = { price: 1, name: "x" };
const values: unknown[] = [
  ...[null, true, 0, 1, 2.5, -1, 1e9, "", "a", "ab", "ABC", "  a  ", "12", "2026-11-23", "2026-11-23T10:00:00Z"],
  ...["ada@example.org", [], [1], ["a"], {}, { n: 1 }, { n: "1" }, { n: null }, { a: 1 }, { a: "x" }, { a: "  ab  " }],
  ...[{ a: 1, b: "x" }, { lines: [line] }, { lines: [{ price: "1" }] }, { k: "a", x: 1 }, { k: "b" }, line, [line]],
];

const schemas: Record<string, StandardSchema<unknown>> = {
  "zod text": z.string().min(2),
  "zod coerced number": z.coerce.number(),
  "zod coerced inside": z.object({ n: z.coerce.number(), b: z.coerce.boolean().optional() }),
  "zod coerced date": z.coerce.date(),
  "zod text made an URL": z.string().transform((text) => text.length),
  "zod preprocessed": z.object({ n: z.preprocess((value) => value ?? 1, z.number()) }),
  "zod that catches": z.object({ a: z.number().catch(0) }),
  "zod trimmed": z.object({ a: z.string().trim().max(3) }),
  "zod lower case": z
    .string()
    .toLowerCase()
    .regex(/^[a-z]+$/),
  "zod strict": z.strictObject({ a: z.number() }),
  "zod default": z.object({ a: z.number().default(1), b: z.string().prefault("x") }),
  "zod codec": z.codec(z.iso.datetime(), z.date(), { decode: (s) => new Date(s), encode: (d) => d.toISOString() }),
  "zod e-mail": z.email(),
  "zod union of coerced": z.union([z.coerce.number(), z.literal("x")]),
  "zod discriminated": z.discriminatedUnion("k", [
    z.object({ k: z.literal("a"), x: z.coerce.number() }),
    z.object({ k: z.literal("b") }),
  ]),
  "zod list": z.array(z.object({ price: z.number(), name: z.string().optional() })).min(1),
  "zod lines": z.object({ lines: z.array(z.object({ price: z.number() })) }),
  "zod nullable": z.string().nullable(),
  "valibot text": v.pipe(v.string(), v.minLength(2)),
  "valibot trimmed": v.object({ a: v.pipe(v.string(), v.trim(), v.maxLength(3)) }),
  "valibot that falls back": v.object({ a: v.fallback(v.pipe(v.string(), v.minLength(3)), "x") }),
  "valibot list that falls back": v.array(v.fallback(v.number(), 1)),
  "valibot converted": v.pipe(v.string(), v.transform(Number), v.number()),
  "valibot unknown converted": v.pipe(v.unknown(), v.transform(Number), v.number()),
  "valibot date text": v.pipe(
    v.string(),
    v.isoDate(),
    v.transform((text) => new Date(text)),
  ),
  "valibot variant": v.variant("k", [v.object({ k: v.literal("a"), x: v.number() }), v.object({ k: v.literal("b") })]),
  "valibot strict": v.strictObject({ a: v.number() }),
  "valibot optional": v.object({ a: v.optional(v.number(), 3), n: v.nullish(v.string()) }),
  "valibot integer": v.pipe(v.number(), v.integer(), v.minValue(1)),
  "valibot lines": v.object({ lines: v.array(v.object({ price: v.number() })) }),
  "arktype text": type("string>1"),
  "arktype trimmed": type({ a: "string.trim" }),
  "arktype trimmed and short": type("string")
    .pipe((text) => text.trim())
    .to("string<3"),
  "arktype parsed number": type("string.numeric.parse"),
  "arktype date": type("string.date.iso.parse"),
  "arktype default": type({ a: "number = 1" }),
  "arktype optional": type({ "a?": "number", "n?": "string|null" }),
  "arktype lines": type({ lines: type({ price: "number" }).array() }),
  "arktype integer": type("number.integer>0"),
};

for (const [title, schema] of Object.entries(schemas)) {
  t.test(`${title}: whatever the schema takes, its JSON Schema takes too`, async (t) => {
    const jsonSchema = toJsonSchema(schema);
    const check = compileSchema("p", jsonSchema ?? {});
    for (const value of values) {
      // valibot and arktype take a list for an object; nobody means that.
      if (!title.startsWith("zod") && Array.isArray(value)) continue;
      const { issues } = await schema["~standard"].validate(value);
      if (!issues) t.same(check(value), [], `takes ${JSON.stringify(value)} by ${JSON.stringify(jsonSchema)}`);
    }
    t.pass("and may take more");
  });
}

const refused: Record<string, unknown[]> = {
  "zod text": [1, "a"],
  "zod strict": [{ a: "x" }, { a: 1, b: "x" }],
  "zod lines": [{ lines: [{ price: "1" }] }],
  "zod list": [[], ["a"]],
  "valibot text": [1, "a"],
  "valibot strict": [{ a: "x" }, { a: 1, b: "x" }],
  "valibot lines": [{ lines: [{ price: "1" }] }],
  "valibot integer": [2.5, -1],
  "arktype text": [1, "a"],
  "arktype lines": [{ lines: [{ price: "1" }] }],
  "arktype integer": [2.5, -1],
};

for (const [title, wrong] of Object.entries(refused)) {
  t.test(`${title}: what can be said in JSON Schema is said`, async (t) => {
    const check = compileSchema("p", toJsonSchema(schemas[title]!));
    for (const value of wrong) t.equal(check(value).length, 1, JSON.stringify(value));
  });
}

t.test("a schema that JSON Schema has no words for has none", async (t) => {
  const throws = { version: 1, vendor: "own", validate: (value: unknown) => ({ value }) } as const;
  for (const schema of [
    z.coerce.date(),
    z.map(z.string(), z.number()),
    v.map(v.string(), v.number()),
    type("unknown"),
    { "~standard": throws },
    {
      "~standard": {
        ...throws,
        jsonSchema: {
          input: () => {
            throw new Error("no");
          },
        },
      },
    },
  ])
    t.equal(toJsonSchema(schema), null);
});

t.test("a flow's spec carries the JSON Schemas: the author's own before the library's", async (t) => {
  const flow = build("orders", () => {
    parameter("day", { schema: z.string() });
    parameter("city", { schema: v.string(), jsonSchema: { enum: ["Bern"] } });
    parameter("plain");
    parameter("ark", { schema: type("number") });
  });
  const spec = withJsonSchemas(toFlowSpec(flow), flow);
  t.match(
    spec.parameters.map(({ name, jsonSchema }) => [name, jsonSchema]),
    [
      ["day", { type: "string" }],
      ["city", { enum: ["Bern"] }],
      ["plain", null],
      ["ark", { type: "number" }],
    ],
  );
});
