import { type } from "arktype";
import t from "tap";
import { z } from "zod";
import type { BuildFlow } from "../../src/core/flow-builder.js";
import { parameter, type SchemaOutcome, type StandardSchema } from "../../src/core/parameter.js";
import { task } from "../../src/core/task.js";
import { resolveParameters } from "../../src/engine/parameters.js";
import { define, finish } from "./bed.js";

const schema = (validate: (value: unknown) => SchemaOutcome<unknown> | Promise<SchemaOutcome<unknown>>) =>
  ({ "~standard": { version: 1, vendor: "test", validate } }) satisfies StandardSchema<unknown>;
const evenLater = schema(async (value) => (Number(value) % 2 === 0 ? { value } : { issues: [{ message: "is odd" }] }));

const accepted: { title: string; build: BuildFlow<unknown>; given?: Record<string, unknown>; values: object }[] = [
  { title: "a value is taken as it is given", build: () => parameter("a"), given: { a: [1] }, values: { a: [1] } },
  { title: "a default stands in", build: () => parameter("a", { default: 1 }), values: { a: 1 } },
  {
    title: "a default stands in for undefined",
    build: () => parameter("a", { default: 1 }),
    given: { a: undefined },
    values: { a: 1 },
  },
  {
    title: "null is a value",
    build: () => parameter<unknown>("a", { default: 1 }),
    given: { a: null },
    values: { a: null },
  },
  {
    title: "a schema converts",
    build: () => parameter("a", { schema: z.coerce.number() }),
    given: { a: "4" },
    values: { a: 4 },
  },
  {
    title: "a schema may take its time",
    build: () => parameter("a", { schema: evenLater }),
    given: { a: 4 },
    values: { a: 4 },
  },
];

for (const { title, build, given, values } of accepted) {
  t.test(title, async (t) => {
    t.strictSame({ ...(await resolveParameters(define(build), given ?? {})).values }, values);
  });
}

const throws = schema(() => {
  throw new Error("cannot look");
});
const refused: {
  title: string;
  build: BuildFlow<unknown>;
  given?: Record<string, unknown>;
  code: string;
  message: RegExp;
}[] = [
  {
    title: "a parameter without a value",
    build: () => parameter("a"),
    code: "PARAMETER_MISSING",
    message: /Flow "test" needs the parameter "a"/,
  },
  {
    title: "a parameter named as something of Object",
    build: () => parameter("toString"),
    code: "PARAMETER_MISSING",
    message: /"toString"/,
  },
  {
    title: "a name that the flow does not declare",
    build: () => parameter("a", { default: 1 }),
    given: { b: 1 },
    code: "PARAMETER_UNKNOWN",
    message: /no parameter "b"/,
  },
  {
    title: "a value that its schema refuses",
    build: () => parameter("a", { schema: z.object({ n: z.number() }) }),
    given: { a: { n: "x" } },
    code: "PARAMETER_INVALID",
    message: /parameter of flow "test" is not valid: "a" at n: .*, found "x"/,
  },
  {
    title: "a value that a schema refuses later",
    build: () => parameter("a", { schema: evenLater }),
    given: { a: 3 },
    code: "PARAMETER_INVALID",
    message: /is odd/,
  },
  {
    title: "a value whose schema throws",
    build: () => parameter("a", { schema: throws }),
    given: { a: 3 },
    code: "PARAMETER_INVALID",
    message: /cannot look/,
  },
  {
    title: "a value that a schema of arktype refuses as a whole",
    build: () => parameter("a", { schema: type("'dry' | 'real'") }),
    given: { a: "foo" },
    code: "PARAMETER_INVALID",
    message: /"a": must be "dry" or "real".*, found "foo"/,
  },
  {
    title: "a default that its schema refuses",
    build: () => parameter<unknown>("a", { default: 3, schema: evenLater }),
    code: "PARAMETER_INVALID",
    message: /is odd/,
  },
];

for (const { title, build, given, code, message } of refused) {
  t.test(`${title} is refused with ${code}`, async (t) => {
    await t.rejects(resolveParameters(define(build), given ?? {}), { code, message, hint: /./ });
  });

  t.test(`${title} ends the run Failed before its first task`, async (t) => {
    let ran = false;
    const { end, recorder } = await finish(
      () => {
        build({ flowName: "test", referenceTasks: () => {} });
        task("runs", () => {
          ran = true;
        })();
      },
      given ? { parameters: given } : {},
    );
    t.equal(ran, false);
    t.same(recorder.lines(), ["flow Failed"]);
    t.match(end.state, { type: "Failed", message, context: { error: { code } } });
  });
}

t.test("the parameter's state holds what was given, and tasks get what the schema made of it", async (t) => {
  const asUrl = z.string().transform((text) => new URL(text));
  const host = task("host", (url: URL) => url.host);
  const { end, recorder, results } = await finish(() => host(parameter("url", { schema: asUrl })), {
    parameters: { url: "http://example.org/x" },
  });
  t.equal(end.output, "example.org");
  t.equal(results.values.get(recorder.of("url")[0]?.taskRunId ?? ""), "http://example.org/x");
});

t.test("a parameter that cannot be stored fails as a task does", async (t) => {
  const call = task("call", (f: unknown) => f);
  const { end, recorder } = await finish(() => call(parameter("f")), { parameters: { f: () => 1 } });
  t.match(
    recorder.of("f").map((each) => each.state),
    [{ type: "Failed", message: "The value is a function." }],
  );
  t.equal(recorder.of("call-1").at(-1)?.state.type, "TriggerFailed");
  t.equal(end.state.type, "Failed");
});
