import t from "tap";
import { z } from "zod";
import { parameter } from "../../src/core/parameter.js";
import { build, taskOf } from "../helpers/build.js";

t.test("a parameter stands in the flow under its own name", async (t) => {
  const schema = z.string();
  const flow = build("greet", () => parameter("name", { default: "world", schema, description: "whom" }));
  const found = taskOf(flow, "name");
  t.match(found, { kind: "parameter", name: "name", slug: "name", mapped: false, args: [], upstream: [] });
  t.equal(found.fn, undefined);
  t.equal(found.parameter?.schema, schema);
});

t.test("a parameter needs a name", async (t) => {
  for (const name of ["", undefined, 3]) {
    t.throws(() => build("x", () => parameter(name as string)), {
      code: "FLOW_INVALID_NAME",
      message: /A parameter of flow "x"/,
    });
  }
});

t.test("a default is plain JSON", async (t) => {
  for (const value of [new Date(), 5n, () => 1, Number.NaN, new Map(), [undefined]]) {
    t.throws(() => build("x", () => parameter<unknown>("day", { default: value })), {
      code: "TASK_OPTIONS_INVALID",
      message: /Parameter "day": `default` must be plain JSON/,
      hint: /schema/,
    });
  }
  for (const value of [null, 0, "", false, [1], { a: { b: [null] } }]) {
    t.doesNotThrow(() => build("x", () => parameter<unknown>("day", { default: value })), JSON.stringify(value));
  }
});
