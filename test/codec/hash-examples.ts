const loop: Record<string, unknown> = { name: "loop", list: [] };
(loop.list as unknown[]).push(loop, { back: loop });

/** Values of every kind that a task may be given, made anew in each process that hashes them. */
export const examples: [string, unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["text", "Grüße, \u{1F600}, \ud800, \n"],
  ["numbers", [0, -0, 1.5, 1e21, 1e-7, 0.1 + 0.2, Number.MAX_SAFE_INTEGER, Number.NaN, Number.POSITIVE_INFINITY]],
  ["BigInt", 12345678901234567890n],
  ["truth", [true, false]],
  ["keys", { ä: 1, z: 2, Z: 3, "10": 4, "9": 5, "\u{1F600}": 6, "": 7, __proto: 8 }],
  ["day", new Date(Date.UTC(2026, 1, 3, 4, 5, 6, 7))],
  ["no day", new Date(Number.NaN)],
  ["pattern", /a\/b[c]+/giu],
  [
    "map",
    new Map<unknown, unknown>([
      ["ö", 1],
      ["o", new Map([[{ x: 1 }, [2]]])],
      [3, undefined],
    ]),
  ],
  ["set", new Set<unknown>(["i", "I", "ı", "İ", 1, null, [1]])],
  ["bytes", new Uint8Array([0, 1, 254, 255])],
  ["doubles", new Float64Array([0.1, -0, Number.NaN])],
  ["buffer", new ArrayBuffer(3)],
  ["view", new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2)],
  ["boxed", [Object(1), Object("a"), Object(2n)]],
  ["error", Object.assign(new TypeError("no such row", { cause: new Error("deep") }), { code: "E_ROW" })],
  ["sparse", Object.assign(new Array(5), { 1: "one", 3: undefined, extra: true })],
  [
    "rows",
    Array.from({ length: 50 }, (_, id) => ({ id, name: `row ${id}`, tags: ["a", "b"], at: new Date(id * 1000) })),
  ],
  ["loop", loop],
];
