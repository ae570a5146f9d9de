import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import ts from "typescript";
import type { Flow } from "../src/flow.js";
import { testFlow } from "../src/testing/index.js";
import { transform } from "./helpers/compile.js";
import { userProject } from "./helpers/fixture.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const page = await readFile(join(repositoryFolder, "docs", "control-flow.md"), "utf8");
const blocks = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]!);

/** The page's examples as one module of a user's: what a block declares, the next ones use. */
const source = blocks.join("\n");

/** A folder with the module in it, and with what it imports. */
async function examplesIn(t: Parameters<typeof userProject>[0]): Promise<string> {
  const folder = await userProject(t, { "examples.ts": source });
  await symlink(join(repositoryFolder, "node_modules", "zod"), join(folder, "node_modules", "zod"));
  return folder;
}

t.test("the examples compile as a user's module, with all checks on", async (t) => {
  const folder = await examplesIn(t);
  const program = ts.createProgram([join(folder, "examples.ts")], {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    skipLibCheck: true,
    types: [],
  });
  t.same(
    ts.getPreEmitDiagnostics(program).map((each) => ts.flattenDiagnosticMessageText(each.messageText, "\n")),
    [],
  );
});

t.test("the examples do what the page says", async (t) => {
  const folder = await examplesIn(t);
  const { code } = await transform(source, "examples.ts");
  await writeFile(join(folder, "examples.mjs"), code);
  const examples = (await import(join(folder, "examples.mjs"))) as Record<string, Flow> & { stillOpen(): number };
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
