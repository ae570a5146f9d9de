import { join } from "node:path";
import t from "tap";
import { readParameters } from "../../src/cli/parameters.js";

t.test("values are JSON, and bare words are strings", async (t) => {
  const pairs = ["n=3", "city=Oslo", "list=[1,2]", "none=null", 'quoted="3"', "empty=", "sum=a=b"];
  t.same(readParameters(pairs, undefined), {
    n: 3,
    city: "Oslo",
    list: [1, 2],
    none: null,
    quoted: "3",
    empty: "",
    sum: "a=b",
  });
});

t.test("a parameter given by name wins over the file's", async (t) => {
  const folder = t.testdir({ "p.json": '{"n": 1, "m": 2}' });
  t.same(readParameters(["n=5"], join(folder, "p.json")), { n: 5, m: 2 });
});

t.test("what is no parameter is told so", async (t) => {
  const folder = t.testdir({ "list.json": "[1]", "half.json": "{" });
  t.throws(() => readParameters(["n"], undefined), { code: "USAGE", hint: /--param/ });
  t.throws(() => readParameters(["=3"], undefined), { code: "USAGE" });
  t.throws(() => readParameters([], join(folder, "none.json")), { code: "FILE_NOT_FOUND" });
  t.throws(() => readParameters([], join(folder, "list.json")), { code: "USAGE", message: /list\.json/ });
  t.throws(() => readParameters([], join(folder, "half.json")), { code: "USAGE", message: /not JSON/ });
});
