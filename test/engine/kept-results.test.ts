import t from "tap";
import { makeState, type State } from "../../src/core/state.js";
import { KeptResults } from "../../src/engine/local/kept-results.js";

const ALWAYS = "2000-01-01T00:00:00.000Z";
const cached = (location: string, at = "2026-01-01T00:00:00.000Z"): State =>
  makeState("Cached", null, { at, result: { type: "Result", location } });
const places = (states: readonly State[]) => states.map(({ result }) => result?.location);

t.test("states of a key come the newest first, and none that is too old", async (t) => {
  const kept = new KeptResults();
  for (const hour of [10, 11, 12])
    kept.add("a", cached(`at ${hour}`, `2026-01-01T${hour}:00:00.000Z`), { itself: hour });
  kept.add("b", cached("other"), { itself: 0 });
  t.same(places(kept.states("a", ALWAYS)), ["at 12", "at 11", "at 10"]);
  t.same(places(kept.states("a", "2026-01-01T11:00:00.000Z")), ["at 12", "at 11"]);
  t.same(kept.states("c", ALWAYS), []);
  t.same(kept.read("at 11"), { value: 11 });
  t.equal(kept.read("at 13"), undefined);
});

t.test("a value is kept as it was, whoever changes it later", async (t) => {
  const kept = new KeptResults();
  const value = { rows: [1] };
  kept.add("a", cached("place"), { itself: value });
  value.rows.push(2);
  (kept.read("place")!.value as typeof value).rows.push(3);
  t.same(kept.read("place")!.value, { rows: [1] });
});

t.test("of one key a hundred are kept", async (t) => {
  const kept = new KeptResults();
  for (let n = 0; n < 130; n += 1) kept.add("a", cached(`${n}`), { itself: n });
  t.equal(kept.states("a", ALWAYS).length, 100);
  t.same(places(kept.states("a", ALWAYS)).at(-1), "30");
  t.equal(kept.read("29"), undefined, "its value went with it");
});

t.test("of all keys a thousand are kept: those go that nobody used for the longest time", async (t) => {
  const kept = new KeptResults();
  for (let n = 0; n < 1_000; n += 1) kept.add(`key ${n}`, cached(`${n}`), { itself: n });
  t.same(kept.read("0"), { value: 0 });
  kept.add("one more", cached("1000"), { itself: 1_000 });
  t.same(kept.read("0"), { value: 0 }, "it was used");
  t.equal(kept.read("1"), undefined);
  t.same(kept.states("key 1", ALWAYS), []);
});

t.test("values are kept up to so many bytes, and one that is larger not at all", async (t) => {
  const kept = new KeptResults(100_000);
  const large = Buffer.alloc(45_000);
  for (const name of ["first", "second", "third"]) kept.add(name, cached(name), { itself: large });
  t.equal(kept.read("first"), undefined);
  t.ok(kept.read("second"));
  t.ok(kept.read("third"));
  kept.add("huge", cached("huge"), { itself: Buffer.alloc(100_000) });
  t.same(kept.states("huge", ALWAYS), []);
  t.ok(kept.read("third"), "nothing had to go for it");
});

t.test("states whose result lies elsewhere are kept without a value", async (t) => {
  const kept = new KeptResults();
  kept.add("a", cached("file"));
  kept.add("a", cached("file"));
  t.equal(kept.states("a", ALWAYS).length, 2);
  t.equal(kept.read("file"), undefined);
  kept.clear();
  t.same(kept.states("a", ALWAYS), []);
});
