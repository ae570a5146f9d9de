/* Compiled, never run: each @ts-expect-error marks a line that must not compile. */
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { flow, parameter, type Ref, secret, task, taskContext } from "../../src/index.js";
import { type Equal, isTrue } from "./expect.js";

const double = task("double", (value: number) => value * 2);
const shout = task("shout", (text: string) => text.toUpperCase());
const maybe = task("maybe", (value: number | null) => value ?? 0);

flow("three libraries say what a parameter takes and what tasks get", () => {
  const count = parameter("zod", { schema: z.coerce.number(), default: "1" });
  isTrue<Equal<typeof count, Ref<number>>>();
  const url = parameter("zod url", { schema: z.string().transform((text) => new URL(text)), default: "http://x.org" });
  isTrue<Equal<typeof url, Ref<URL>>>();
  const length = parameter("valibot", { schema: v.pipe(v.string(), v.transform(Number)), default: "1" });
  isTrue<Equal<typeof length, Ref<number>>>();
  const day = parameter("arktype", { schema: type("string.date.iso.parse"), default: "2026-11-23" });
  isTrue<Equal<typeof day, Ref<Date>>>();
  const shape = parameter("shape", { schema: type({ width: "number", "name?": "string" }) });
  isTrue<Equal<typeof shape, Ref<{ width: number; name?: string }>>>();
  // @ts-expect-error the default is what valibot takes: text
  parameter("wrong", { schema: v.pipe(v.string(), v.transform(Number)), default: 1 });
  // @ts-expect-error the default is what arktype takes: text
  parameter("wrong day", { schema: type("string.date.iso.parse"), default: new Date() });
  // @ts-expect-error a number is no text
  shout(length);
});

flow("what need not be given may be null", () => {
  const left = parameter<number>("left", { required: false });
  isTrue<Equal<typeof left, Ref<number | null>>>();
  maybe(left);
  // @ts-expect-error it may be null
  double(left);
  const checked = parameter("checked", { required: false, schema: z.number() });
  isTrue<Equal<typeof checked, Ref<number | null>>>();
  // @ts-expect-error it may be null
  double(checked);
  const withDefault = parameter("with default", { required: false, default: 3 });
  isTrue<Equal<typeof withDefault, Ref<number>>>();
  const required = parameter<number>("required", { required: true });
  double(required);
  parameter("by hand", { jsonSchema: { type: "number" } });
  // @ts-expect-error a JSON Schema is an object
  parameter("by hand", { jsonSchema: "number" });
});

flow("a secret is unknown until the author, or a schema, says what it is", () => {
  const token = secret("TOKEN");
  isTrue<Equal<typeof token, Ref<unknown>>>();
  // @ts-expect-error what is unknown must be said or checked first
  shout(token);
  shout(secret<string>("TOKEN"));
  const pin = secret("PIN", { schema: z.coerce.string() });
  isTrue<Equal<typeof pin, Ref<string>>>();
  shout(pin);
  // @ts-expect-error a pin is text
  double(pin);
});

task("asks", async () => {
  const value = await taskContext().secret("TOKEN");
  isTrue<Equal<typeof value, unknown>>();
  const { today } = taskContext().dates;
  isTrue<Equal<typeof today, string>>();
  // @ts-expect-error the context is for reading
  taskContext().runCount = 2;
});
