import t from "tap";
import type { Reference } from "../../src/core/reference.js";
import { task } from "../../src/core/task.js";
import { compile, fill, references } from "../../src/core/template.js";
import { build } from "../helpers/build.js";

/** Two references to fill in. */
function twoReferences(): [Reference, Reference] {
  let made: [Reference, Reference] | undefined;
  const one = task("one", () => 1);
  build("x", () => {
    made = [one(), one()] as unknown as [Reference, Reference];
  });
  return made!;
}

const slugOf = (reference: Reference): string => reference.flowTask.slug;

t.test("references are found in arrays and plain objects, in reading order, with the way to them", async (t) => {
  const [a, b] = twoReferences();
  const value = { first: b, list: [1, [a], { deep: b }], bare: Object.assign(Object.create(null), { a }) };
  t.same(references(value).map(slugOf), ["one-2", "one-1", "one-2", "one-1"]);
  t.same(
    references(value, ["2"]).map((each) => each.path.join(".")),
    ["2.first", "2.list.1.0", "2.list.2.deep", "2.bare.a"],
  );
  t.same(references(a, ["0"]), [{ reference: a, path: ["0"] }]);
});

t.test("anything else is one value and is not looked into", async (t) => {
  const [a] = twoReferences();
  class Holder {
    held = a;
  }
  for (const value of [new Holder(), new Map([["a", a]]), new Set([a]), () => a, "one-1", null, undefined, 5n]) {
    t.same(references(value), []);
    t.equal(fill(value, slugOf), value);
  }
});

t.test("filling puts values in place of references and leaves the rest as it is", async (t) => {
  const [a, b] = twoReferences();
  const rest = { kept: [1, 2] };
  const date = new Date(0);
  const filled = fill({ a, list: [b, 5], rest, date }, slugOf) as { rest: unknown; date: unknown };
  t.same(filled, { a: "one-1", list: ["one-2", 5], rest: { kept: [1, 2] }, date: new Date(0) });
  t.equal(filled.rest, rest, "a part without references is the author's own object");
  t.equal(filled.date, date);
  t.equal(fill(rest, slugOf), rest);
  t.equal(fill(a, slugOf), "one-1");
});

t.test("one template fills many times, each with objects of its own", async (t) => {
  const [a] = twoReferences();
  const template = compile({ value: a });
  t.same(template.references.map(slugOf), ["one-1"]);
  const first = template.fill(() => 1);
  const second = template.fill(() => 2);
  t.same([first, second], [{ value: 1 }, { value: 2 }]);
  t.same(compile({ value: 3 }).references, []);
});

t.test("a value that holds itself is filled, and stays a circle", async (t) => {
  const [a] = twoReferences();
  const circle: Record<string, unknown> = { a };
  circle.self = circle;
  t.same(references(circle).map(slugOf), ["one-1"]);
  const filled = fill(circle, slugOf) as Record<string, unknown>;
  t.equal(filled.a, "one-1");
  t.equal(filled.self, filled);
  t.equal(circle.a, a, "the author's object is as it was");
});

t.test("a key called __proto__ is data", async (t) => {
  const [a] = twoReferences();
  const value = JSON.parse('{"__proto__": {"polluted": true}}') as Record<string, unknown>;
  value.a = a;
  const filled = fill(value, slugOf) as Record<string, unknown>;
  t.same(Object.keys(filled), ["__proto__", "a"]);
  t.equal((filled as { polluted?: boolean }).polluted, undefined);
});
