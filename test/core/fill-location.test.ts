import t from "tap";
import { fillLocation } from "../../src/core/fill-location.js";
import type { LocationNames } from "../../src/core/result-options.js";

const names: LocationNames = {
  flowName: "orders",
  flowRunId: "run",
  flowRunName: "a run",
  taskName: "load",
  taskSlug: "load-1",
  taskRunId: "task run",
  mapIndex: 3,
  runCount: 1,
  scheduledStartAt: "2026-01-01T00:00:00.000Z",
  parameters: { day: 4, when: new Date(0), rows: [{ id: 7n }] },
  inputs: ["a", { id: 5 }],
};

const cases: [location: string, text: string][] = [
  ["plain", "plain"],
  ["{flowName}/{taskSlug}.json", "orders/load-1.json"],
  ["{ mapIndex }", "3"],
  ["{parameters.day}-{inputs.1.id}-{parameters.rows.0.id}", "4-5-7"],
  ["{parameters.when}", "1970-01-01T00:00:00.000Z"],
  ["{inputs.1}", '{"id":5}'],
];
for (const [location, text] of cases) {
  t.test(`"${location}" gives ${text}`, async (t) => t.equal(fillLocation(location, names), text));
}

t.test("a function is given the names", async (t) => {
  t.equal(
    fillLocation(({ taskName, inputs }) => `${taskName} ${inputs[0]}`, names),
    "load a",
  );
});

for (const location of ["{nobody}", "{parameters.month}", "{flowName.length}", "{constructor}", "{inputs.map}"]) {
  t.test(`"${location}" is refused with its name`, async (t) => {
    t.throws(() => fillLocation(location, names), {
      code: "TASK_OPTIONS_INVALID",
      message: new RegExp(`names \\${location.replaceAll(".", "\\.")}`),
    });
  });
}

t.test("an empty text, or none, is no name", async (t) => {
  t.throws(() => fillLocation(() => " ", names), { code: "TASK_OPTIONS_INVALID" });
  t.throws(() => fillLocation(() => 5 as unknown as string, names), { code: "TASK_OPTIONS_INVALID" });
});
