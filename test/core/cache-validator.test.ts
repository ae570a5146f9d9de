import t from "tap";
import { type CacheFacts, type CacheValidator, cacheValidators } from "../../src/core/options/cache-validator.js";

const facts = (more: Partial<CacheFacts> = {}): CacheFacts => ({
  expiresAt: 1_000,
  now: 999,
  cachedInputs: { 0: "a", 1: "b" },
  inputs: { 0: "a", 1: "b" },
  cachedParameters: { day: "monday", options: { x: 1, y: [2] } },
  parameters: { options: { y: [2], x: 1 }, day: "monday" },
  ...more,
});
const { neverUse, durationOnly, allInputs, allParameters, partialInputsOnly, partialParametersOnly } = cacheValidators;

const each: CacheValidator[] = [
  durationOnly,
  allInputs,
  allParameters,
  partialInputsOnly([0]),
  partialParametersOnly(["day"]),
];
for (const validator of each) {
  t.test(`${validator.name} takes what fits, and only while it is young enough`, async (t) => {
    t.equal(validator.isValid(facts()), true);
    t.equal(validator.isValid(facts({ now: 1_000 })), false, "its last moment is over");
    t.equal(validator.isValid(facts({ expiresAt: undefined, now: 1e15 })), true, "without an end it never grows old");
  });
}

const rows: [CacheValidator, string, Partial<CacheFacts>, boolean][] = [
  [neverUse, "anything", {}, false],
  [durationOnly, "other inputs and parameters", { inputs: {}, parameters: {} }, true],
  [durationOnly, "a state that knows nothing", { cachedInputs: undefined, cachedParameters: undefined }, true],
  [allInputs, "another input", { inputs: { 0: "a", 1: "c" } }, false],
  [allInputs, "an input less", { inputs: { 0: "a" } }, false],
  [allInputs, "an input more", { inputs: { 0: "a", 1: "b", 2: "c" } }, false],
  [allInputs, "inputs that nobody knows", { cachedInputs: undefined, inputs: {} }, false],
  [allInputs, "other parameters", { parameters: {} }, true],
  [allParameters, "another parameter", { parameters: { day: "tuesday", options: { x: 1, y: [2] } } }, false],
  [allParameters, "a parameter less", { parameters: { day: "monday" } }, false],
  [allParameters, "parameters that nobody knows", { cachedParameters: undefined }, false],
  [allParameters, "other inputs", { inputs: {} }, true],
  [partialInputsOnly([1]), "another input elsewhere", { inputs: { 0: "c", 1: "b" } }, true],
  [partialInputsOnly([1]), "another input there", { inputs: { 0: "a", 1: "c" } }, false],
  [partialInputsOnly([1]), "inputs that nobody knows", { cachedInputs: undefined }, false],
  [partialInputsOnly([]), "other inputs", { cachedInputs: undefined }, true],
  [partialInputsOnly([5]), "an argument that neither had", {}, true],
  [partialParametersOnly(["day"]), "another parameter elsewhere", { parameters: { day: "monday" } }, true],
  [partialParametersOnly(["day"]), "another parameter there", { parameters: { day: "tuesday" } }, false],
  [partialParametersOnly(["constructor"]), "a name that only looks known", {}, true],
];
for (const [validator, name, more, valid] of rows) {
  t.test(`${validator.name} ${valid ? "takes" : "does not take"} ${name}`, async (t) => {
    t.equal(validator.isValid(facts(more)), valid);
  });
}

t.test("validators are known by Prefect's names, and say when they ignore the inputs", async (t) => {
  t.equal(partialParametersOnly(["day", "size"]).name, "partial_parameters_only(day, size)");
  t.equal(partialInputsOnly([0, 2]).name, "partial_inputs_only(0, 2)");
  const ignoring = [neverUse, ...each].filter(({ ignoresInputs }) => ignoresInputs).map(({ name }) => name);
  t.same(ignoring, ["never_use", "duration_only", "all_parameters", "partial_parameters_only(day)"]);
});
