import t from "tap";
import { checkLocation, fillLocation, toPlace } from "../../src/core/options/location.js";
import type { LocationNames } from "../../src/core/options/result-options.js";

const names: LocationNames = {
  flowName: "orders",
  flowRunId: "run-1",
  flowRunName: "quiet otter",
  taskName: "load",
  taskSlug: "load-1",
  taskRunId: "task-1",
  mapIndex: 3,
  runCount: 2,
  scheduledStartAt: "2026-02-03T04:05:06.000Z",
  parameters: { day: "2026-02-03", deep: { list: ["a", "b"] }, at: new Date(0), size: 5n, nothing: null, on: true },
  inputs: ["first", { id: 7 }, Number.NaN],
};

const filled: [string, string][] = [
  ["plain", "plain"],
  ["{flowName}/{parameters.day}/{inputs.0}.json", "orders/2026-02-03/first.json"],
  ["{ mapIndex }-{runCount}", "3-2"],
  ["{parameters.deep.list.1}/{inputs.1.id}", "b/7"],
  ["{parameters.at}, {parameters.size}, {parameters.on}", "1970-01-01T00:00:00.000Z, 5, true"],
  ["{{{flowName}}}", "{orders}"],
];
for (const [template, text] of filled) {
  t.test(`a template is filled: ${template}`, async (t) => t.equal(fillLocation(template, names), text));
}

t.test("a function gives the location itself", async (t) => {
  t.equal(
    fillLocation(({ parameters, mapIndex }) => `${String(parameters.day).slice(0, 4)}/${mapIndex}`, names),
    "2026/3",
  );
  t.throws(() => fillLocation((() => 5) as never, names), { code: "RESULT_LOCATION_INVALID", message: /type number/ });
  t.throws(
    () =>
      fillLocation(() => {
        throw new RangeError("mine");
      }, names),
    { name: "RangeError" },
    "what it throws is the author's",
  );
});

const unfilled: [string, RegExp][] = [
  ["{flow}/x", /"\{flow\}\/x" names "flow", and there is no "flow"/],
  ["{}", /no ""/],
  ["{parameters}", /all parameters at once/],
  ["{parameters.dya}", /"parameters\.dya", which is not there/],
  ["{parameters.nothing}", /which is null/],
  ["{parameters.deep}", /which is no text/],
  ["{inputs.2}", /which is no text/],
  ["{inputs.9}", /which is not there/],
  ["{flowName.length}", /which is not there/],
  ["{parameters.constructor.name}", /which is not there/],
  ["{flowName", /opens a brace/],
  ["flowName}", /closes a brace/],
];
for (const [template, message] of unfilled) {
  t.test(`a template that cannot be filled is told: ${template}`, async (t) => {
    t.throws(() => fillLocation(template, names), { code: "RESULT_LOCATION_INVALID", message });
  });
}

t.test("a name that can never be there is told before anything runs", async (t) => {
  checkLocation("{parameters.whatever}/{inputs.4}");
  checkLocation(() => "x");
  for (const wrong of ["{flow}", "{inputs}", "{", "", 5 as never])
    t.throws(() => checkLocation(wrong), { code: "RESULT_LOCATION_INVALID" });
  t.throws(() => checkLocation("{flow}"), { code: "RESULT_LOCATION_INVALID", hint: /There are: flowName, / });
});

t.test("a place is a path below a folder, with slashes everywhere", async (t) => {
  t.equal(toPlace("a/b.json"), "a/b.json");
  t.equal(toPlace("./a//b\\c"), "a/b/c");
  t.equal(toPlace("a..b/...c"), "a..b/...c");
});

const nowhere: [string, RegExp][] = [
  ["", /empty/],
  ["  ", /empty/],
  ["/etc/passwd", /absolute/],
  ["\\share", /absolute/],
  ["C:\\x", /absolute/],
  ["../x", /leads out/],
  ["a/../../x", /leads out/],
  ["a\\..\\x", /leads out/],
  ["a/", /names a folder/],
  ["a/.", /names a folder/],
  [".", /names a folder/],
  ["a\0b", /zero character/],
];
for (const [location, message] of nowhere) {
  t.test(`a place outside, or none at all, is refused: ${JSON.stringify(location)}`, async (t) => {
    t.throws(() => toPlace(location), { code: "RESULT_LOCATION_INVALID", message });
  });
}
