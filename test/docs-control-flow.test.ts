import t from "tap";
import type { Flow } from "../src/flow.js";
import { testFlow } from "../src/testing/index.js";
import { examplesOf } from "./helpers/page-examples.js";

t.test("the examples compile as a user's module, with all checks on", async (t) => {
  t.same((await examplesOf(t, "control-flow.md")).problems(), []);
});

t.test("the examples do what the page says", async (t) => {
  const page = await examplesOf(t, "control-flow.md");
  const examples = await page.load<Record<string, Flow> & { stillOpen(): number }>();
  const output = async (name: string, parameters: Record<string, unknown> = {}) =>
    (await testFlow(examples[name]!, { parameters, onPause: () => ({ input: { version: "2.0" } }) })).output;

  t.equal(await output("morning", { day: "sat" }), "up at 10:00");
  t.equal(await output("morning", { day: "mon" }), "up at 06:30");
  t.equal(await output("tickets", { age: 8 }), "half".length);
  t.equal(await output("tickets", { age: 40 }), "full price".length);
  t.equal(await output("looked", { key: "a" }), "cached");
  t.equal(await output("looked", { key: "b" }), "computed b");
  t.equal(await output("report"), "sales: select");
  t.equal(examples.stillOpen(), 0);
  t.same(await output("parts"), { rows: [3, 4], next: "b", sum: 10 });
  t.same(await output("packed"), [1, 10, 3]);
  t.equal(await output("tagged"), "up at 06:30");
  t.same(
    examples.tagged!.definition.tasks.map((each) => each.slug),
    ["get up-nightly-1", "say-nightly-1"],
  );
  t.equal(await output("release"), "published 2.0");
  t.equal(await output("nightly"), "load: Success");
});
