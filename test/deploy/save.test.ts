import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter } from "../../src/core/parameter.js";
import { task } from "../../src/core/task.js";
import { checkSameFlow } from "../../src/deploy/check-same-flow.js";
import { describeInThread } from "../../src/deploy/describe-in-thread.js";
import { saveFlow, saveModule } from "../../src/deploy/save.js";
import { readSavedFlow } from "../../src/execute/load-saved-flow.js";
import { loadFlow } from "../../src/load-flow.js";
import { build } from "../helpers/build.js";
import { fixture, runProgram, userProject } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const ask = async (folder: string, ...args: string[]): Promise<unknown> =>
  JSON.parse(await runProgram(folder, ...args));

t.test("a module's flow is saved by default in the Millrace home, and once while it stays the same", async (t) => {
  const [one] = await saveModule(fixture("hello.ts"));
  const [two] = await saveModule(fixture("hello.ts"));
  t.match(
    one!.location.location,
    new RegExp(`^${home}/flows/hello/\\d{4}-\\d\\d-\\d\\dT[\\d-]+Z-${one!.hash.slice(0, 12)}$`),
  );
  t.same(one!.location, two!.location);
  t.equal((await readdir(join(home, "flows/hello"))).length, 1);
  const { manifest } = await readSavedFlow(one!.location.location);
  t.match(manifest, {
    entry: "fixtures/hello.ts",
    spec: { name: "hello", tasks: [{ slug: "name" }, { slug: "greet-1" }, { slug: "shout-1" }] },
  });
  t.notMatch(await readFile(one!.location.location, "latin1"), new Date().toISOString().slice(0, 10), "no time inside");
});

/** What a user writes in each kind of module, with the calls around the flow left out. */
const body = 'const double = task("double", (n) => n * 2);\nconst f = flow("numbers", () => double(21));\n';
const print = ".then((saved) => console.log(JSON.stringify(saved)))";
const kinds: Record<string, string> = {
  "esm.mjs": `import { flow, task } from "millrace";\n${body}await f.save("out.millrace")${print};\n`,
  "in/a/folder/typed.ts": `import { flow, task } from "millrace";\nconst double = task("double", (n: number) => n * 2);\nexport const f = flow("numbers", () => double(21));\nawait f.save("out.millrace")${print};\n`,
  "common.cjs": `const { flow, task } = require("millrace");\n${body}f.save("out.millrace")${print};\n`,
  "main.mts": `import { flow, task } from "millrace";\nconst double = task("double", (n: number) => n * 2);\nasync function main(): Promise<void> {\n  await f.save("out.millrace")${print};\n}\nconst f = flow("numbers", () => double(21));\nvoid main();\n`,
};

for (const [file, text] of Object.entries(kinds)) {
  t.test(`a flow saves itself out of ${file}, and can be loaded from the file`, async (t) => {
    const folder = await userProject(t, { [file]: text });
    const saved = (await ask(folder, file)) as { path: string; hash: string };
    t.equal(saved.path, join(folder, "out.millrace"));
    const flow = await loadFlow(saved.path);
    const run = await flow.run();
    t.match(run.state, { type: "Success" });
    t.equal(run.output, 42);
  });
}

t.test("a flow made by a factory in another file is saved by the file that uses it", async (t) => {
  const folder = await userProject(t, {
    "factory.mjs": `import { flow, task } from "millrace";\nconst say = task("say", (text) => text);\nexport function makeFlow(name) {\n  return flow(name, () => say(name));\n}\n`,
    "flows.mjs": `import { makeFlow } from "./factory.mjs";\nconst f = makeFlow("made");\nawait f.save("out.millrace")${print};\n`,
  });
  await ask(folder, "flows.mjs");
  t.equal((await readSavedFlow(join(folder, "out.millrace"))).manifest.entry, "flows.mjs");
});

t.test("a flow that no file defines cannot be saved", async (t) => {
  const folder = await userProject(t, {});
  const program = `import("millrace").then(({ flow, task }) => flow("f", () => task("t", () => 1)()).save()).catch(({ code, hint }) => console.log(JSON.stringify({ code, hint })))`;
  t.match(await ask(folder, "-e", program), { code: "FLOW_SOURCE_UNKNOWN", hint: /module of its own/ });
});

t.test("a flow that its module does not define whenever it is loaded is refused", async (t) => {
  const here = build("only in this test", () => task("t", () => 1)());
  await t.rejects(saveFlow({ ...here, sourceFile: fixture("hello.ts") }), {
    code: "FLOW_NOT_IN_MODULE",
    message: /does not define flow "only in this test"; it defines "hello"/,
  });
});

t.test("a flow that was made again differently after its module was loaded is refused, with both sides", async (t) => {
  const greet = task("greet", (name: unknown) => `Hello, ${name}!`);
  const again = build("hello", () => greet(parameter("name", { default: "world" })));
  await t.rejects(saveFlow({ ...again, sourceFile: fixture("hello.ts") }), {
    code: "TASK_IDS_CHANGED",
    message: /this process and the saved flow, loaded afresh:\n(.|\n)*added\s+shout-1/,
  });
});

t.test("a flow whose build depends on time or environment is refused", async (t) => {
  const folder = await userProject(t, {
    "clock.mjs": `import { flow, task } from "millrace";\nconst t = task("t", (at) => at);\nconst f = flow("f", () => t(Date.now() + performance.now()));\nawait f.save("x").catch(({ code, message, hint }) => console.log(JSON.stringify({ code, message, hint })));\n`,
    "region.mjs": `import { flow, task } from "millrace";\nconst t = task("t", (at) => at);\nconst f = flow("f", () => { for (const each of (process.env.ORDER_REGIONS ?? "north").split(",")) t(each); });\nawait f.save("x").catch(({ code, message, hint }) => console.log(JSON.stringify({ code, message, hint })));\n`,
  });
  t.match(await ask(folder, "clock.mjs"), {
    code: "TASK_IDS_CHANGED",
    message: /arguments changed\s+t-1/,
    hint: /time, randomness/,
  });
  process.env.ORDER_REGIONS = "north,south";
  t.teardown(() => delete process.env.ORDER_REGIONS);
  t.match(await ask(folder, "region.mjs"), { code: "TASK_IDS_CHANGED", message: /removed\s+t-2/ });
});

t.test("constants that hold code are not taken for a change", async (t) => {
  class Rule {
    readonly limit = 1;
  }
  const keep = task("keep", (_rule: unknown, _test: unknown) => 1);
  const here = build("f", () => keep([new Rule()], (n: number) => n > 1));
  const afresh = build("f", () => keep([new (class Rule2 extends Rule {})()], (n: number) => n > 1));
  checkSameFlow(here, toFlowSpec(afresh));
  t.throws(() => checkSameFlow(here, toFlowSpec(build("f", () => keep(1, 2).after(keep(1, 2))))), {
    code: "TASK_IDS_CHANGED",
  });
});

t.test("a file that is not there, or defines nothing, is told as such", async (t) => {
  await t.rejects(saveModule(fixture("no-such-file.ts")), { code: "FILE_NOT_FOUND" });
  await t.rejects(saveModule(fixture("bad/defines-nothing.ts")), { code: "FLOW_NOT_IN_MODULE" });
  await t.rejects(saveModule(fixture("modules/two-flows.ts"), "third"), {
    code: "FLOW_NOT_IN_MODULE",
    message: /"first", "second"/,
  });
  await t.rejects(saveModule(fixture("modules/two-flows.ts"), undefined, { path: "x" }), { code: "USAGE" });
});

t.test("a module that throws while it is loaded is named with its line", async (t) => {
  const failed = await saveModule(fixture("bad/throws-when-loaded.ts")).catch((error) => error);
  t.match(failed, { code: "FLOW_LOAD_FAILED", message: /TypeError: NO_SUCH_VARIABLE is not set/, hint: /environment/ });
  t.match(failed.cause.stack, /throws-when-loaded\.ts:5:/);
  const [saved] = await saveModule(fixture("bad/throws-when-loaded.ts"), undefined, { env: { NO_SUCH_VARIABLE: "1" } });
  t.equal(saved!.manifest.spec.name, "orders", "a variable can be handed in");
});

t.test("a module that exits or never comes to its end does not take this process along", async (t) => {
  await t.rejects(saveModule(fixture("bad/exits-when-loaded.ts")), {
    code: "FLOW_LOAD_FAILED",
    message: /exit code 64.*usage: give me an argument/s,
  });
  await t.rejects(describeInThread({ bundleFile: fixture("bad/waits-for-ever.mjs") }, { limitMs: 400 }), {
    code: "FLOW_LOAD_FAILED",
    message: /not loaded within 0\.4 s/,
  });
});

t.test("a folder that cannot be written is named", async (t) => {
  const folder = await userProject(t, { "a-file": "" });
  await t.rejects(saveModule(fixture("hello.ts"), undefined, { path: join(folder, "a-file/x") }), {
    code: "STORAGE_FAILED",
  });
  await writeFile(join(folder, "marker"), "");
  t.same(
    (await readdir(folder)).sort(),
    ["a-file", "marker", "node_modules", "package.json"],
    "no temporary file is left",
  );
});
