import t from "tap";
import { asInstant, fromWireState, toWireState } from "../../src/codec/state-json.js";
import { isMillraceError } from "../../src/core/errors.js";
import { makeState, type State, stateTypes } from "../../src/core/state.js";

const at = "2026-11-23T10:53:48.586Z";

t.test("every kind of state comes back from the wire as it went", async (t) => {
  for (const type of stateTypes) {
    const state = makeState(type, `it is ${type}`, { at });
    t.same(fromWireState(JSON.parse(JSON.stringify(toWireState(state))), at), state, type);
  }
});

t.test("every field of a state comes back from the wire", async (t) => {
  const states: State[] = [
    makeState("Scheduled", null, { at, startAt: "2026-11-24T00:00:00.000Z" }),
    makeState("Paused", "waits for a person", { at, startAt: null }),
    makeState("Retrying", "in 3 s", { at, startAt: at, runCount: 2 }),
    makeState("Looped", null, { at, loopCount: 4 }),
    makeState("Mapped", null, { at, mapCount: 1000 }),
    makeState("Success", "done", { at, result: { type: "LocalResult", location: "a/b", dir: "results" } }),
    makeState("Failed", "no", { at, context: { error: { code: "TASK_TIMED_OUT", hint: null } } }),
    makeState("Cached", null, {
      at,
      cacheExpiresAt: "2026-11-24T00:00:00.000Z",
      inputHashes: { 0: "ab12" },
      cachedParameters: { day: 1 },
    }),
    makeState("Cached", "for ever", { at, cacheExpiresAt: null }),
    makeState("Queued", null, {
      at,
      wrapped: makeState("Submitted", null, { at, wrapped: makeState("Scheduled", null, { at }) }),
    }),
  ];
  for (const state of states)
    t.same(fromWireState(JSON.parse(JSON.stringify(toWireState(state))), at), state, state.type);
});

t.test("a Cached state carries what validators ask for, under the protocol's names", async (t) => {
  const facts = { cacheExpiresAt: at, inputHashes: { 0: "ab" }, cachedParameters: { p: 1 } };
  t.match(toWireState(makeState("Cached", null, { at, ...facts })), {
    cached_result_expiration: at,
    hashed_inputs: { 0: "ab" },
    cached_parameters: { p: 1 },
  });
  const naive = { type: "Cached", cached_result_expiration: "2026-11-23T10:53:48.586928", hashed_inputs: null };
  t.equal(fromWireState(naive, at).cacheExpiresAt, "2026-11-23T10:53:48.586Z", "without a zone it is UTC");
  t.throws(() => fromWireState({ type: "Cached", hashed_inputs: { 0: 1 } }, at), { code: "INPUT_INVALID" });
  t.throws(() => fromWireState({ type: "Cached", cached_parameters: [] }, at), { code: "INPUT_INVALID" });
});

t.test("the wire's words are the protocol's", async (t) => {
  const wire = toWireState(makeState("Retrying", "again", { at, startAt: at, runCount: 2, context: { tags: ["a"] } }));
  t.same(wire, {
    type: "Retrying",
    message: "again",
    __version__: "1.4.1",
    context: { tags: ["a"] },
    start_time: at,
    run_count: 2,
  });
  t.notOk("_result" in wire, "a missing result is left out: Prefect's client breaks on null");
});

t.test("what Prefect's client sends is read", async (t) => {
  const sent = {
    type: "Success",
    message: "Task run succeeded.",
    context: { tags: [], task_run_id: "x" },
    cached_inputs: {},
    _result: { type: "PrefectResult", location: "4", __version__: "1.4.1" },
    __version__: "1.4.1",
  };
  const state = fromWireState(sent, at);
  t.match(state, { type: "Success", at, result: { type: "PrefectResult", location: "4" } });
  t.same(fromWireState({ type: "Success", _result: null, context: null, state: null }, at), {
    type: "Success",
    message: null,
    at,
  });
  t.equal(
    fromWireState({ type: "Success", _result: { type: "Result" } }, at).result?.location,
    null,
    "a result without a place",
  );
});

t.test("what is no state is refused, with what was wrong about it", async (t) => {
  let deep: Record<string, unknown> = { type: "Running" };
  for (let i = 0; i < 100_000; i++) deep = { type: "Submitted", state: deep };
  const cases: [unknown, RegExp][] = [
    [null, /a state is an object/],
    ["Success", /a state is an object, and was "Success"/],
    [[], /a state is an object/],
    [undefined, /a state is an object, and was undefined/],
    [{}, /`type` is the name of a state/],
    [{ type: "Done" }, /`type` is the name of a state, and was "Done"/],
    [{ type: "constructor" }, /`type`/],
    [{ type: "__proto__" }, /`type`/],
    [{ type: "Failed", message: 4 }, /`message` is a string/],
    [{ type: "Failed", context: [] }, /`context` is an object/],
    [{ type: "Scheduled", start_time: "soon" }, /ISO 8601/],
    [{ type: "Scheduled", start_time: 17 }, /ISO 8601/],
    [{ type: "Retrying", run_count: "2" }, /`runCount` is a number/],
    [{ type: "Success", _result: "x" }, /`_result` is an object/],
    [{ type: "Success", _result: { location: "x" } }, /`_result` has a `type`/],
    [{ type: "Submitted", state: "Running" }, /a state is an object/],
    [deep, /wrapped 4 deep at most/],
  ];
  for (const [wire, message] of cases) {
    t.throws(() => fromWireState(wire, at), { code: "INPUT_INVALID", message }, String(message));
  }
});

t.test("instants of every spelling become one spelling", async (t) => {
  const cases: [string, string][] = [
    ["2026-11-23T10:53:48.586Z", "2026-11-23T10:53:48.586Z"],
    ["2026-11-23T10:53:48.586123+00:00", "2026-11-23T10:53:48.586Z"],
    ["2026-11-23T11:53:48+01:00", "2026-11-23T10:53:48.000Z"],
    ["2026-11-23T05:23:48-0530", "2026-11-23T10:53:48.000Z"],
    ["2026-11-23T10:53:48.586", "2026-11-23T10:53:48.586Z"],
    ["2026-11-23 10:53:48", "2026-11-23T10:53:48.000Z"],
    ["2026-11-23t10:53z", "2026-11-23T10:53:00.000Z"],
    ["2026-11-23", "2026-11-23T00:00:00.000Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
  ];
  for (const [given, kept] of cases) t.equal(asInstant(given), kept, given);
});

t.test("text that a lenient parser would take for an instant is refused", async (t) => {
  const texts = [
    "",
    "now",
    "1",
    "May 5 2020",
    "2026",
    "2026-11",
    "2026-13-01",
    "2026-02-30",
    "2025-02-29",
    "2026-11-23T25:00:00Z",
    "2026-11-23T10",
    "12026-11-23",
    "2026-11-23T10:53:48 (noon)",
  ];
  for (const text of [...texts, 5, null, undefined, {}, new Date()]) {
    try {
      t.fail(`${String(text)} was read as ${asInstant(text)}`);
    } catch (error) {
      t.ok(isMillraceError(error, "INPUT_INVALID"), String(text));
    }
  }
});
