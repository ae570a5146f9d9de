import t from "tap";
import { fromJsonText, toJsonText } from "../../src/codec/json-value.js";

t.test("what JSON has comes back as it was", async (t) => {
  const shared = { a: [1, -2.5, "text", true, null, "\ud800"] };
  for (const value of [shared, [shared, shared], null, "x", 0, {}, [], { ["__proto__"]: 1 }])
    t.strictSame(fromJsonText(toJsonText(value)), value);
  t.strictSame(fromJsonText(toJsonText(Object.assign(Object.create(null), { a: 1 }))), { a: 1 });
});

const itself: Record<string, unknown> = {};
itself.list = [{ itself }];
let deep: unknown = 1;
for (let depth = 0; depth < 2_000; depth += 1) deep = [deep];

const refused: [string, unknown, string, RegExp][] = [
  ["undefined", { rows: [{ name: undefined }] }, "rows[0].name", /is undefined, which JSON cannot carry/],
  ["NaN", [1, Number.NaN], "[1]", /is NaN/],
  ["minus zero", { x: -0 }, "x", /is -0/],
  ["a BigInt", { size: 5n }, "size", /BigInt 5/],
  ["a date", { at: new Date(0) }, "at", /instance of Date/],
  ["a map", [new Map()], "[0]", /instance of Map/],
  ["bytes", { body: Buffer.from("x") }, "body", /instance of Buffer/],
  ["a function", { toJSON: () => "cheat" }, "toJSON", /the function toJSON/],
  ["a symbol", { a: Symbol("s") }, "a", /Symbol\(s\)/],
  ["a symbol key", { a: { [Symbol("k")]: 1 } }, "a", /symbol key/],
  ["a hole", { list: Object.assign(new Array(2), { 0: 1 }) }, "list", /hole at place 1/],
  ["a list with a property", { list: Object.assign([1], { extra: 2 }) }, "list", /further property "extra"/],
  ["an instance", [new (class Point {})()], "[0]", /instance of Point/],
  ["a circle", itself, "list[0].itself", /holds itself/],
  ["the whole value", undefined, "", /^The value is undefined/],
];
for (const [name, value, path, message] of refused) {
  t.test(`what JSON would lose is refused with its path: ${name}`, async (t) => {
    t.throws(() => toJsonText(value), { code: "VALUE_NOT_SERIALIZABLE", message, details: { path }, hint: /v8/ });
  });
}

t.test("a value nested too deep is refused before the stack overflows", async (t) => {
  t.throws(() => toJsonText(deep), { code: "VALUE_NOT_SERIALIZABLE", message: /deeper than 1000/ });
});

t.test("text that is not JSON is told as such", async (t) => {
  t.throws(() => fromJsonText('{"a":'), { code: "VALUE_CORRUPT" });
});
