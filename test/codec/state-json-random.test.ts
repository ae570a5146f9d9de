import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import t from "tap";
import { fromWireState, toWireState } from "../../src/codec/state-json.js";
import { type State, stateTypes } from "../../src/core/state.js";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../helpers/property-runs.js";

const STATES = 500;
const options = { timeout: PROPERTY_TIMEOUT_MS };

const instant = fc
  .date({ min: new Date("1970-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
  .map((each) => each.toISOString());
const count = fc.nat();
/** What a record of JSON may hold; a key `__proto__` is no field of an object literal, and -0 is 0 in JSON. */
const plain = fc.dictionary(
  fc.string().filter((each) => each !== "__proto__"),
  fc.jsonValue({ maxDepth: 2 }).map((each) => JSON.parse(JSON.stringify(each)) as unknown),
  { maxKeys: 4, noNullPrototype: true },
);
const result = fc
  .tuple(plain, fc.constantFrom("PrefectResult", "LocalResult", "S3Result", "CustomResult"), fc.option(fc.string()))
  .map(([more, type, location]) => ({ ...more, type, location }) as NonNullable<State["result"]>);
const text = fc.option(fc.string({ unit: "binary" }));
const cached = {
  cacheExpiresAt: fc.option(instant),
  inputHashes: fc.dictionary(fc.nat().map(String), fc.string(), { noNullPrototype: true }),
  cachedParameters: plain,
};

/** @param depth How many states may be wrapped in it. */
function states(depth: number): fc.Arbitrary<State> {
  const fields = {
    ...{ message: text, startAt: fc.option(instant), runCount: count, loopCount: count, mapCount: count },
    ...{ result, context: plain },
    ...(depth > 0 ? { wrapped: states(depth - 1) } : {}),
  };
  const requiredKeys: "message"[] = ["message"];
  const most = fc.record(fields, { requiredKeys, noNullPrototype: true });
  const others = stateTypes.filter((each) => each !== "Cached");
  return fc.oneof(
    fc.tuple(most, fc.constantFrom(...others)).map(([more, type]): State => ({ ...more, type, at })),
    fc
      .tuple(most, fc.record(cached, { requiredKeys: [], noNullPrototype: true }))
      .map(([more, facts]): State => ({ ...more, ...facts, type: "Cached", at })),
  );
}

const at = "2026-11-23T10:53:48.586Z";

t.test("any state comes back from the wire's JSON as it went", options, async () => {
  fc.assert(
    fc.property(states(4), (state) => {
      const back = fromWireState(JSON.parse(JSON.stringify(toWireState(state))), at);
      if (!isDeepStrictEqual(back, state)) throw new Error(`it came back as ${JSON.stringify(back)}`);
    }),
    { numRuns: propertyRuns(STATES) },
  );
});
