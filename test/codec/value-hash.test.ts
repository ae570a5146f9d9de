import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import t from "tap";
import { asInlineJson } from "../../src/codec/inline-json.js";
import { decodeValue, encodeValue } from "../../src/codec/value.js";
import { hashValue } from "../../src/codec/value-hash.js";
import { examples } from "./hash-examples.js";

const run = promisify(execFile);
const printer = fileURLToPath(new URL("./print-hashes.js", import.meta.url));
const circle = (name: string): Record<string, unknown> => {
  const one: Record<string, unknown> = { name };
  one.self = one;
  return one;
};

/** Cached results live as long as these stay: a change of one makes every earlier result of such a value useless. */
const golden: Record<string, string> = {
  nothing: "1a949f04586ab4b65558ae91e93384d6",
  null: "8e0ba1bd1b031954b68205d10760485f",
  text: "136ce47b3e2665100e580154738071b8",
  numbers: "6d587488edda4201101dd5a469944397",
  BigInt: "1ad3878ac592c4f35104505f1e9b64e5",
  truth: "621ea8d211d7c1cfad0a244de5d0de1e",
  keys: "0b30e0f59a9fd6bc831fa1f69184f7d3",
  day: "2c5e4f620e6484078906ef6c54e51a30",
  "no day": "9fe31d870e6dfe615704ad7efd0c802d",
  pattern: "b2481dc09c8437661c2b85bbefd5749f",
  map: "6f0699d43c910c3ef432f3bbdec22853",
  set: "e3fc057a8e4116a0dec4fa2f43465eae",
  bytes: "c768d6f1524eb23404ffa1107c1e18da",
  doubles: "17dcccaa5fac71ad5ba627d56d64092f",
  buffer: "6c2e8f49b827f27bad826c1c1759f123",
  view: "bfe7af02eb77449f89c78ae63e33a84e",
  boxed: "e5199f7d72fe738202a3feabcf2b28cf",
  error: "df2f3ab7771761076931483f1f253367",
  sparse: "826f0faf6c8d4ced3e4ec6fee800bdf6",
  rows: "dff3cbb05cae0fe7ab2fa53c6a793570",
  loop: "5fc3dd7b37099a6b41f06780beb57816",
};

t.test("the hashes are those that earlier versions wrote", async (t) => {
  t.same(Object.fromEntries(examples.map(([name, value]) => [name, hashValue(value).slice(0, 32)])), golden);
  t.match(hashValue("x"), /^[0-9a-f]{64}$/);
});

t.test("no two of the examples have one hash", async (t) => {
  const hashes = examples.map(([, value]) => hashValue(value));
  t.equal(new Set(hashes).size, examples.length);
});

/** Processes in which a hash that leans on something outside the value would come out differently. */
const elsewhere: [string, string, string[], NodeJS.ProcessEnv][] = [
  ["the same Node", process.execPath, [], {}],
  ["a Swedish user in Samoa", process.execPath, [], { LANG: "sv_SE.UTF-8", LC_ALL: "sv_SE.UTF-8", TZ: "Pacific/Apia" }],
  [
    "a Turkish default locale, no compiler",
    process.execPath,
    ["--icu-data-dir=.", "--jitless"],
    { LC_ALL: "tr_TR.UTF-8" },
  ],
  ...otherNodes().map((file): [string, string, string[], NodeJS.ProcessEnv] => [
    `another Node on the PATH`,
    file,
    [],
    // This Node's options may be none of that one's.
    { NODE_OPTIONS: "" },
  ]),
];

for (const [name, file, flags, env] of elsewhere) {
  t.test(`other processes give the same hashes: ${name}`, async (t) => {
    const { stdout } = await run(file, [...flags, printer], { env: { ...process.env, ...env } });
    const printed = JSON.parse(stdout) as { node: string; hashes: Record<string, string> };
    t.comment(`Node ${printed.node}`);
    t.same(printed.hashes, Object.fromEntries(examples.map(([each, value]) => [each, hashValue(value)])));
  });
}

function otherNodes(): string[] {
  const name = process.platform === "win32" ? "node.exe" : "node";
  const files = new Set((process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name)));
  files.delete(process.execPath);
  return [...files].filter((file) => existsSync(file));
}

const equal: [string, unknown, unknown][] = [
  ["keys in another order", { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
  [
    "maps in another order",
    new Map([
      ["a", 1],
      ["b", 2],
    ]),
    new Map([
      ["b", 2],
      ["a", 1],
    ]),
  ],
  ["sets in another order", new Set([1, "1", { x: 1 }]), new Set([{ x: 1 }, "1", 1])],
  [
    "maps with objects as keys",
    new Map([
      [{ a: 1 }, 1],
      [{ b: 1 }, 2],
    ]),
    new Map([
      [{ b: 1 }, 2],
      [{ a: 1 }, 1],
    ]),
  ],
  ["an object shared and one copied", ((each) => [each, each])({ a: [1] }), [{ a: [1] }, { a: [1] }]],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ["a Buffer and a Uint8Array", Buffer.from([1, 2, 3]), new Uint8Array([1, 2, 3])],
  ["a part of a buffer and the same bytes alone", new Uint8Array([9, 1, 2, 9]).subarray(1, 3), new Uint8Array([1, 2])],
  ["NaN of two kinds", 0 / 0, Number("x")],
  ["errors that differ in their stack", new RangeError("x"), (() => new RangeError("x"))()],
  ["circles", circle("a"), circle("a")],
  ["a circle told from one round further in", circle("a"), { name: "a", self: circle("a") }],
  ["circles through sets in another order", ringOfSet(["a", "b"]), ringOfSet(["b", "a"])],
];

for (const [name, one, other] of equal) {
  t.test(`equal values have one hash: ${name}`, async (t) => t.equal(hashValue(one), hashValue(other)));
}

const different: [string, unknown, unknown][] = [
  ["a number and its text", 1, "1"],
  ["a BigInt and a number", 1n, 1],
  ["zero and minus zero", 0, -0],
  ["a hole and undefined", Object.assign(new Array(2), { 1: 1 }), [undefined, 1]],
  ["undefined and no key", { a: undefined }, {}],
  ["null and undefined", null, undefined],
  ["a list and an object with its keys", ["a"], { 0: "a" }],
  ["a map and a list of pairs", new Map([[1, 2]]), [[1, 2]]],
  ["a set and a list", new Set([1]), [1]],
  ["lists cut elsewhere", [["a"], "b"], [["a", "b"]]],
  ["texts that look like parts", ["a", "b"], ['a","b']],
  ["a key that looks like another's end", { 'a"': 1 }, { a: 1 }],
  ["lone surrogates", "\ud800", "\ud801"],
  ["bytes as other numbers", new Uint8Array([1, 0]), new Uint16Array([1])],
  ["a list with something beside its items", Object.assign([1], { extra: 2 }), [1]],
  ["sparse lists of two lengths", new Array(3), new Array(4)],
  ["circles of two names", circle("a"), circle("b")],
  ["rings that differ far in", ring(12, "end"), ring(12, "other end")],
  ["errors of two classes", new TypeError("x"), new RangeError("x")],
  ["errors with two causes", new Error("x", { cause: 1 }), new Error("x", { cause: 2 })],
];

for (const [name, one, other] of different) {
  t.test(`values that differ have two hashes: ${name}`, async (t) => t.not(hashValue(one), hashValue(other)));
}

t.test("a value has one hash before it was stored and after", async (t) => {
  for (const [name, value] of examples) {
    t.equal(hashValue(decodeValue(encodeValue(value))), hashValue(value), name);
    const json = asInlineJson(value, 100_000);
    if (json !== undefined) t.equal(hashValue(JSON.parse(json)), hashValue(value), `${name} as JSON`);
  }
});

t.test("a value that holds one object in a thousand million places is hashed in no time", async (t) => {
  let doubled: unknown = "x".repeat(300);
  for (let depth = 0; depth < 200; depth += 1) doubled = [doubled, doubled];
  t.equal(hashValue(doubled), hashValue(doubled));
});

t.test("a ring of objects that all know each other is hashed", async (t) => {
  const friends = (names: string[]): unknown => {
    const all = names.map((name) => ({ name, knows: new Set<unknown>() }));
    for (const one of all) for (const other of all) if (one !== other) one.knows.add(other);
    return all.find(({ name }) => name === "n0");
  };
  const names = Array.from({ length: 30 }, (_, n) => `n${n}`);
  t.equal(hashValue(friends(names)), hashValue(friends(names.toReversed())));
  t.not(hashValue(friends(names)), hashValue(friends([...names.slice(0, -1), "stranger"])));
});

class Point {
  x = 1;
}
const refused: [string, unknown, string][] = [
  ["a function", { rows: [{ map: () => 1 }] }, "rows[0].map"],
  ["an instance of a class", [new Point()], "[0]"],
  ["a symbol", { a: Symbol("s") }, "a"],
  ["a promise", new Map([["later", Promise.resolve()]]), "later"],
  ["an URL", { at: new URL("http://x") }, "at"],
];
for (const [name, value, path] of refused) {
  t.test(`what has no content to compare is refused with its path: ${name}`, async (t) => {
    t.throws(() => hashValue(value), { code: "VALUE_NOT_SERIALIZABLE", details: { path } });
  });
}

t.test("a function beside a list's items is refused", async (t) => {
  t.throws(() => hashValue(Object.assign([1], { map: () => 1 })), { code: "VALUE_NOT_SERIALIZABLE" });
});

function ringOfSet(names: string[]): unknown {
  const root = { members: new Set<unknown>() };
  for (const name of names) root.members.add({ name, root });
  return root;
}

function ring(length: number, last: string): unknown {
  const all = Array.from({ length }, (_, n): { label: string; next?: unknown } => ({
    label: n === length - 1 ? last : "x",
  }));
  all.forEach((each, n) => {
    each.next = all[(n + 1) % length];
  });
  return all[0];
}
