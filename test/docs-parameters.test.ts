import t from "tap";
import type { LogLine } from "../src/core/context.js";
import type { Flow } from "../src/flow.js";
import type { FlowRun } from "../src/run-flow.js";
import { testFlow } from "../src/testing/index.js";
import { examplesOf } from "./helpers/page-examples.js";

for (const page of ["parameters-and-secrets.md", "task-context.md", "tasks.md", "testing.md"]) {
  t.test(`the examples of ${page} compile as a user's module, with all checks on`, async (t) => {
    t.same((await examplesOf(t, page)).problems(), []);
  });
}

t.test("parameters and secrets do what their page says", async (t) => {
  const page = await examplesOf(t, "parameters-and-secrets.md");
  const examples = await page.load<
    Record<string, Flow> & {
      tryLoad(): Promise<FlowRun>;
    }
  >();
  const logs: LogLine[] = [];
  const run = (name: string, parameters: Record<string, unknown> = {}, secrets: Record<string, unknown> = {}) =>
    examples[name]!.run(parameters, { secrets, log: (line) => logs.push(line) });
  t.equal((await run("greeting", { name: "Ada" })).output, "Hello, Ada!");
  t.match((await run("greeting")).state, { type: "Failed", context: { error: { code: "PARAMETER_MISSING" } } });
  t.equal((await run("invoice", { lines: [{ name: "a", price: 2 }] })).output, "2026: 2");
  t.match(
    (
      await run("invoice", {
        lines: [
          { name: "a", price: 2 },
          { name: "b", price: "4" },
        ],
      })
    ).state,
    {
      type: "Failed",
      message: /A parameter of flow "invoice" is not valid: "lines" at \[1\]\.price: .*, found "4"/,
    },
  );
  t.equal((await run("halves", { n: 4 })).output, 2);
  t.equal((await run("load", {}, { API_TOKEN: "tok-1234" })).output, "orders for a token of 8");
  t.equal(logs.at(-1)?.message, "asking for orders with ***");
});

t.test("the context tells what its page says, and prints are heard", async (t) => {
  const page = await examplesOf(t, "task-context.md");
  const examples = await page.load<Record<string, Flow>>();
  const logs: LogLine[] = [];
  const run = (name: string) =>
    examples[name]!.run({}, { scheduledStartAt: "2026-11-23T10:00:00Z", log: (line) => logs.push(line) });
  t.same((await run("described")).output, [
    "describe run[0] [nightly] try 1, local",
    "describe run[1] [nightly] try 1, local",
  ]);
  t.match(logs, [{ message: "run for 2026-11-23" }, {}]);
  t.equal((await run("talks")).output, "done");
  t.match(logs.at(-1), { level: "INFO", message: "row { id: 7 }", name: "millrace.chatty" });
});

t.test("tasks do what their page says", async (t) => {
  const page = await examplesOf(t, "tasks.md");
  const examples = await page.load<Record<string, Flow> & { whatWasTold(): string[] }>();
  const patient = await testFlow(examples.patient!);
  t.same(patient.output, ["2026-11-23 a", "2026-11-23 b"]);
  t.equal(patient.types("fetch rows-1").filter((type) => type === "Retrying").length, 2);
  const published = await testFlow(examples.published!);
  t.equal(published.output, "tidy");
  t.match(published.ends(), { "publish-1": "Skipped", "tidy up-1": "Success" });
  t.ok(examples.whatWasTold().includes("publish-1: Running to Skipped"));
  const log = () => undefined;
  const rates = async (currency: string) => (await examples.exchange!.run({ currency }, { log })).output;
  const euro = await rates("EUR");
  t.equal(await rates("EUR"), euro);
  t.not(await rates("NOK"), euro);
});

t.test("a flow is tested as the page on testing says", async (t) => {
  const page = await examplesOf(t, "testing.md");
  const examples = await page.load<{
    testRelease(): Promise<unknown>;
    testNoNetwork(): Promise<unknown>;
  }>();
  t.equal(await examples.testRelease(), "2.0 by Ada");
  t.same(await examples.testNoNetwork(), { minutes: 3, failure: "Failed" });
});
