import { createContext, runInContext } from "node:vm";
import t from "tap";
import { type FailureRecord, fromFailure, toFailure } from "../../src/codec/failure.js";
import { describeError, isMillraceError, MillraceError } from "../../src/core/errors.js";

t.test("a Millrace error comes back with its code, hint, details, cause and stack", async (t) => {
  const cause = Object.assign(new TypeError("no such host"), { code: "ENOTFOUND" });
  const error = new MillraceError("CLOUD_UNREACHABLE", "The Cloud did not answer.", {
    hint: "Start it.",
    cause,
    details: { tries: 3 },
  });
  const copy = fromFailure(JSON.parse(JSON.stringify(toFailure(error))));
  t.ok(isMillraceError(copy, "CLOUD_UNREACHABLE"));
  t.match(copy, {
    name: "MillraceError",
    message: error.message,
    hint: "Start it.",
    details: { tries: 3 },
    stack: error.stack,
  });
  t.match(copy.cause, { name: "TypeError", message: "no such host", code: "ENOTFOUND" });
  t.notOk(isMillraceError(copy.cause));
});

t.test("an error of the author's own keeps its name and code", async (t) => {
  class NoStock extends Error {
    override readonly name = "NoStock";
    readonly code = "NO_STOCK";
  }
  const copy = fromFailure(toFailure(new NoStock("none left")));
  t.match(copy, { name: "NoStock", message: "none left", code: "NO_STOCK" });
  t.equal(describeError(copy).startsWith("NoStock: none left"), true, "its stack is what people see");
});

t.test("a code of ours on someone else's error does not lose its message", async (t) => {
  const copy = fromFailure(toFailure(Object.assign(new Error("mine"), { code: "INTERNAL" })));
  t.equal(copy.message, "mine");
});

t.test("names of object prototypes are no codes", async (t) => {
  for (const code of ["constructor", "__proto__", "toString"]) {
    t.notOk(isMillraceError(fromFailure(toFailure(Object.assign(new Error("x"), { code })))), code);
  }
});

t.test("whatever is thrown becomes a failure", async (t) => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const cases: [unknown, RegExp][] = [
    ["plain text", /^plain text$/],
    [undefined, /^thrown value undefined$/],
    [null, /^thrown value null$/],
    [42, /^thrown value 42$/],
    [10n, /^a thrown bigint$/],
    [{ reason: "full" }, /^thrown value {"reason":"full"}$/],
    [circle, /^a thrown object$/],
    [Symbol("s"), /^thrown value Symbol\(s\)$/],
    [() => 1, /^thrown value \(\) => 1$/],
    [new DOMException("stop", "AbortError"), /^stop$/],
    [
      new AggregateError([new Error("::1 refused"), new Error("127.0.0.1 refused")]),
      /^::1 refused; 127\.0\.0\.1 refused$/,
    ],
    [runInContext("new RangeError('of another realm')", createContext()), /^of another realm$/],
  ];
  for (const [thrown, message] of cases) t.match(toFailure(thrown).message, message, String(message));
  t.equal(toFailure(cases.at(-1)![0]).name, "RangeError");
});

t.test("an error whose fields cannot be read still becomes a failure", async (t) => {
  const hostile = new Error("x");
  Object.defineProperty(hostile, "message", {
    get() {
      throw new Error("not to be read");
    },
  });
  t.equal(toFailure(hostile).message, "an error that cannot be read");
  const proxy = new Proxy(new Error("y"), {
    get() {
      throw new Error("not to be read");
    },
    getPrototypeOf() {
      throw new Error("nor this");
    },
  });
  t.equal(toFailure(proxy).message, "an error that cannot be read");
});

t.test("chains and circles of causes end", async (t) => {
  const circle: Error = new Error("around");
  circle.cause = circle;
  t.equal(causes(toFailure(circle)), 9);
  let long: FailureRecord = {
    name: "Error",
    message: "first",
    code: null,
    hint: null,
    stack: null,
    details: null,
    cause: null,
  };
  for (let i = 0; i < 100_000; i++) long = { ...long, cause: long };
  const error = fromFailure(long);
  let depth = 0;
  for (let each: unknown = error; each instanceof Error; each = each.cause) depth += 1;
  t.equal(depth, 9);
});

t.test("texts too long to travel are cut and say so", async (t) => {
  const failure = toFailure(new Error("x".repeat(20_000_000)));
  t.ok(failure.message.length < 20_000);
  t.match(failure.message, /… \(20000000 characters\)$/);
  t.ok(failure.stack!.length < 20_000);
  const details = toFailure(new MillraceError("INTERNAL", "big", { details: "x".repeat(1_000_000) })).details;
  t.equal(details, null);
});

function causes(failure: FailureRecord): number {
  return 1 + (failure.cause ? causes(failure.cause) : 0);
}
