import { runInNewContext } from "node:vm";
import t from "tap";
import { asInlineJson } from "../../src/codec/inline-json.js";
import { decodeValue, encodeValue } from "../../src/codec/value.js";
import { isMillraceError, MillraceError } from "../../src/core/errors.js";

function withHole(): number[] {
  const list = [1];
  list[2] = 3;
  return list;
}

const again = (value: unknown): unknown => decodeValue(encodeValue(value));

t.test("what tasks return comes back as it was", async (t) => {
  const values: Record<string, unknown> = {
    nothing: null,
    undefined: { a: undefined },
    numbers: [0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53],
    bigint: 12345678901234567890n,
    text: "⚙ \ud800 lone",
    date: new Date(1_700_000_000_000),
    regexp: /a+/giu,
    map: new Map<unknown, unknown>([
      ["a", { b: 1 }],
      [{ key: true }, new Set([1, "x"])],
    ]),
    bytes: Buffer.from([1, 2, 3]),
    floats: new Float64Array([1.5, Number.NaN]),
    view: new DataView(new ArrayBuffer(4)),
    nested: [[[{ deep: [1, [2]] }]]],
    ownProto: JSON.parse('{"__proto__": {"x": 1}}'),
  };
  for (const [name, value] of Object.entries(values)) t.strictSame(again(value), value, name);
  t.same(again(runInNewContext("({ a: [1, { b: 2 }] })")), { a: [1, { b: 2 }] }, "plain data of another realm");
  t.ok(Object.is((again([-0]) as number[])[0], -0));
  t.ok(Buffer.isBuffer(again(Buffer.from("x"))));
  const sparse = again(withHole()) as unknown[];
  t.same([sparse.length, 1 in sparse], [3, false]);
});

t.test("circles and shared parts stay what they are", async (t) => {
  const shared = { n: 1 };
  const value: Record<string, unknown> = { a: shared, b: shared };
  value.self = value;
  const back = again(value) as Record<string, unknown>;
  t.equal(back.self, back);
  t.equal(back.a, back.b);
});

t.test("errors keep name, code, hint, cause and stack, wherever they stand", async (t) => {
  const cause = Object.assign(new Error("no such file"), { code: "ENOENT" });
  const own = new MillraceError("TASK_TIMED_OUT", "too slow", { hint: "be quick" });
  const value: Record<string, unknown> = {
    list: [new TypeError("wrong", { cause })],
    map: new Map([["own", own]]),
    set: new Set([own]),
    plain: { at: new Date(5) },
  };
  value.self = value;
  const back = again(value) as { list: Error[]; map: Map<string, unknown>; set: Set<unknown>; self: unknown };
  t.match(back.list[0], { name: "TypeError", message: "wrong", cause: { message: "no such file", code: "ENOENT" } });
  t.match(back.list[0]!.stack, /value\.test/);
  t.ok(isMillraceError(back.map.get("own"), "TASK_TIMED_OUT"));
  t.equal(back.map.get("own"), [...back.set][0], "one error in two places stays one");
  t.equal(back.self, back);
  t.match(again(new RangeError("alone")), { name: "RangeError", message: "alone" });
  t.match(value.list, [{ name: "TypeError" }], "the value itself is left as it was");
});

class Client {
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }
}

t.test("a value that would lose something is refused with the way to it", async (t) => {
  const refused = (value: unknown, message: RegExp, path: string) =>
    t.throws(() => encodeValue(value), { code: "VALUE_NOT_SERIALIZABLE", message, details: { path } }, String(message));
  refused(
    { rows: [0, 1, 2, { client: new Client("x") }] },
    /`rows\[3\]\.client` .* instance of Client/,
    "rows[3].client",
  );
  refused(() => 1, /^The value is the function/, "");
  refused({ "a b": [function named() {}] }, /function named/, '["a b"][0]');
  refused([Symbol("s")], /Symbol\(s\)/, "[0]");
  refused({ [Symbol("key")]: 1 }, /symbol key Symbol\(key\)/, "");
  refused({ later: Promise.resolve(1) }, /promise/, "later");
  refused({ at: new URL("http://a.b") }, /instance of URL/, "at");
  refused({ headers: new Headers() }, /instance of Headers/, "headers");
  refused({ weak: new WeakMap() }, /instance of WeakMap/, "weak");
  refused({ proxy: new Proxy({}, {}) }, /Proxy/, "proxy");
  refused(new Map([["k", { f: () => 1 }]]), /`k\.f`/, "k.f");
  refused(new Set([new Client("x")]), /instance of Client/, "[0]");
  refused({ shared: new Uint8Array(new SharedArrayBuffer(2)) }, /SharedArrayBuffer/, "shared");
  t.throws(() => encodeValue(Object.assign([1], { f: () => 1 })), { code: "VALUE_NOT_SERIALIZABLE" });
});

t.test("a value nested without end is refused, not a crash", async (t) => {
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level += 1) deep = [deep];
  t.throws(() => encodeValue(deep), { code: "VALUE_NOT_SERIALIZABLE", message: /nested deeper/ });
  let bearable: unknown = 1;
  for (let level = 0; level < 1_000; level += 1) bearable = { in: bearable };
  t.same(again(bearable), bearable);
});

t.test("a sparse array of any length takes no longer than its items", async (t) => {
  const sparse: unknown[] = [];
  sparse[4_000_000_000] = "last";
  t.equal((again(sparse) as unknown[])[4_000_000_000], "last");
});

t.test("bytes that are not a value are refused", async (t) => {
  const bytes = Buffer.from(encodeValue({ a: [1, 2, 3], e: new Error("x") }));
  const survivors: string[] = [];
  const look = (damaged: Buffer, what: string) => {
    try {
      decodeValue(damaged);
      survivors.push(what);
    } catch (error) {
      if (!isMillraceError(error, "VALUE_CORRUPT")) survivors.push(`${what}: ${String(error)}`);
    }
  };
  for (let at = 0; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 4;
    look(damaged, `byte ${at} changed`);
    look(bytes.subarray(0, at), `cut at ${at}`);
  }
  t.same(survivors, []);
});

t.test("small plain JSON is kept as text, and only what reads back the same", async (t) => {
  const kept: unknown[] = [1, "a", true, null, [], {}, [1, [2, { a: "⚙" }]], { a: null, b: [{}] }];
  for (const value of kept) {
    const text = asInlineJson(value, 1_000);
    t.type(text, "string");
    t.same(JSON.parse(text!), value);
  }
  const circle: unknown[] = [];
  circle.push(circle);
  const thrower = {
    get now(): number {
      throw new Error("no");
    },
  };
  const left = [
    undefined,
    -0,
    Number.NaN,
    1n,
    [undefined],
    withHole(),
    Object.assign([1], { extra: 1 }),
    { a: undefined },
    new Date(),
    new Map(),
    new Client("x"),
    { toJSON: () => 1 },
    Object.create(null),
    { inside: [Object.create(null)] },
    Object.defineProperty({ a: 1 }, "hidden", { value: 1 }),
    Object.defineProperty([1], "hidden", { value: 1 }),
    Object.assign([1], { [Symbol("s")]: 1 }),
    { [Symbol("s")]: 1 },
    Buffer.from("x"),
    new Error("x"),
    circle,
    thrower,
  ];
  for (const value of left) t.equal(asInlineJson(value, 1_000), undefined, typeof value);
});

t.test("the limit counts bytes of the text", async (t) => {
  t.equal(asInlineJson("abc", 5), '"abc"');
  t.equal(asInlineJson("abc", 4), undefined);
  t.equal(asInlineJson("⚙⚙", 7), undefined, "a letter may take three bytes");
  t.equal(asInlineJson(Array(1_000_000).fill(1), 8_192), undefined);
});
