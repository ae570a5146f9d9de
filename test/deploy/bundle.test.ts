import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { bundleModule } from "../../src/deploy/bundle.js";
import { saveModule } from "../../src/deploy/save.js";
import { loadSavedFlow } from "../../src/execute/load-saved-flow.js";
import { fixture, repository, userProject } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";

await temporaryHome(t);

/** Saves a module's one flow, loads what was saved, and runs the code of its first task. */
async function runFirstTask(file: string): Promise<unknown> {
  const [saved] = await saveModule(file);
  const { flow } = await loadSavedFlow(saved!.location.location, saved!.hash);
  return flow.tasks[0]!.fn!();
}

const flowOf = (expression: string, imports = "") =>
  `import { flow, task } from "millrace";\n${imports}\nconst first = task("first", async () => ${expression});\nexport const f = flow("f", () => first());\n`;

t.test(
  "a module with neighbours, JSON, npm packages, CommonJS and files beside it works when loaded again",
  async (t) => {
    t.same(await runFirstTask(fixture("modules/uses-everything.ts")), {
      data: "from a file beside the module",
      same: true,
      lines: 2,
      currency: ["EUR", "EUR"],
      zod: false,
    });
  },
);

t.test("an error in a task names the author's own file and line", async (t) => {
  const [saved] = await saveModule(fixture("modules/throws-in-a-task.ts"));
  const { flow } = await loadSavedFlow(saved!.location.location, saved!.hash);
  t.throws(() => flow.tasks[0]!.fn!({ total: -1 }), {
    name: "RangeError",
    stack: /fixtures\/modules\/throws-in-a-task\.ts:8:\d+/,
  });
});

t.test("compiled JavaScript is traced to what it was compiled from", async (t) => {
  const { transform } = await import("../helpers/compile.js");
  const source = `${"\n".repeat(9)}${flowOf("{ throw new Error('line 12'); }")}`;
  const { code, map } = await transform(source, "orders.ts");
  const folder = await userProject(t, {
    "src/orders.ts": source,
    "dist/orders.js": `${code}\n//# sourceMappingURL=orders.js.map\n`,
    "dist/orders.js.map": JSON.stringify({ ...JSON.parse(map), sources: ["../src/orders.ts"] }),
  });
  const thrown: unknown = await runFirstTask(join(folder, "dist/orders.js")).catch((error: Error) => error.stack);
  t.match(thrown, /src\/orders\.ts:12:/);
});

t.test("the same files give the same bytes, and another file gives others", async (t) => {
  const request = { entry: fixture("modules/uses-everything.ts"), projectFolder: repository, external: [] };
  const [one, two] = [await bundleModule(request), await bundleModule(request)];
  const bytes = ({ bundle }: typeof one) => Buffer.concat([bundle.code, bundle.map]);
  t.ok(bytes(one).equals(bytes(two)));
  t.notOk(bytes(one).equals(bytes(await bundleModule({ ...request, entry: fixture("hello.ts") }))));
});

t.test("a syntax error is shown with file, line and source", async (t) => {
  await t.rejects(saveModule(fixture("bad-syntax/unclosed.ts")), {
    code: "BUNDLE_FAILED",
    message: /unclosed\.ts:3:\d+: Expected "\)".*\n.*const nothing = task\("nothing", \(\) => null;/,
  });
});

t.test("a package that is not installed is named, with what to do", async (t) => {
  await t.rejects(saveModule(fixture("bad/missing-package.ts")), {
    code: "BUNDLE_FAILED",
    message: /missing-package\.ts:1:25: Could not resolve "no-such-package-at-all"/,
    hint: /external/,
  });
});

t.test("a module is kept though its package.json says that nothing in it has effects", async (t) => {
  const folder = await userProject(t, {
    "package.json": '{ "name": "p", "type": "module", "sideEffects": false }',
    "index.ts": 'import "./flows/one.js";\nimport "#alias";\n',
    "flows/one.ts": flowOf("1"),
    "two.ts": flowOf("2").replace('"f"', '"g"'),
    "tsconfig.json": '{ "compilerOptions": { "paths": { "#alias": ["./two.ts"] } } }',
  });
  t.same((await saveModule(join(folder, "index.ts"))).map((each) => each.manifest.spec.name).sort(), ["f", "g"]);
});

t.test("a file with a hashbang, a require of its own and import.meta.resolve works", async (t) => {
  const folder = await userProject(t, {
    "flow.mjs": `#!/usr/bin/env node\n${flowOf("[require('./x.json').x, import.meta.resolve('inner'), import.meta.filename, import.meta.resolve('node:fs')]", "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);")}`,
    "x.json": '{ "x": 5 }',
    "node_modules/inner/package.json": '{ "name": "inner", "main": "main.js" }',
    "node_modules/inner/main.js": "",
  });
  t.same(await runFirstTask(join(folder, "flow.mjs")), [
    5,
    `file://${folder}/node_modules/inner/main.js`,
    join(folder, "flow.mjs"),
    "node:fs",
  ]);
});

const native = {
  "node_modules/fast/package.json":
    '{ "name": "fast", "version": "1.2.3", "main": "main.cjs", "exports": { ".": "./main.cjs" }, "dependencies": { "node-gyp-build": "4" } }',
  "node_modules/fast/main.cjs": "exports.from = __dirname;",
};

t.test("a package with native code stays outside and is taken from the project", async (t) => {
  const folder = await userProject(t, { ...native, "flow.ts": flowOf("from", 'import { from } from "fast";') });
  const [saved] = await saveModule(join(folder, "flow.ts"));
  t.same(saved!.manifest.external, [{ name: "fast", version: "1.2.3", from: "." }]);
  t.equal(await runFirstTask(join(folder, "flow.ts")), join(folder, "node_modules/fast"));

  await rm(join(folder, "node_modules/fast"), { recursive: true });
  await t.rejects(loadInNewThread(saved!.location.location), {
    code: "PACKAGE_NOT_FOUND",
    message: new RegExp(`"fast" .* "${folder}"`),
    hint: /npm install fast/,
  });
});

t.test("native code that only a dependency can see is found from there", async (t) => {
  const nested = Object.fromEntries(Object.entries(native).map(([path, text]) => [`node_modules/outer/${path}`, text]));
  const folder = await userProject(t, {
    ...nested,
    "node_modules/outer/package.json": '{ "name": "outer", "version": "1.0.0", "main": "main.cjs" }',
    "node_modules/outer/main.cjs": 'exports.from = require("fast").from;',
    "flow.ts": flowOf("outer.from", 'import outer from "outer";'),
  });
  const [saved] = await saveModule(join(folder, "flow.ts"));
  t.same(saved!.manifest.external, [{ name: "fast", version: "1.2.3", from: "node_modules/outer" }]);
  t.equal(await runFirstTask(join(folder, "flow.ts")), join(folder, "node_modules/outer/node_modules/fast"));
});

t.test("two versions of a package that must stay outside are refused", async (t) => {
  const second = Object.fromEntries(Object.entries(native).map(([path, text]) => [`node_modules/outer/${path}`, text]));
  const folder = await userProject(t, {
    ...native,
    ...second,
    "node_modules/outer/package.json": '{ "name": "outer", "main": "main.cjs" }',
    "node_modules/outer/main.cjs": 'exports.from = require("fast").from;',
    "flow.ts": flowOf("[from, outer]", 'import { from } from "fast";\nimport outer from "outer";'),
  });
  await t.rejects(saveModule(join(folder, "flow.ts")), { code: "BUNDLE_FAILED", message: /"fast" .* is there twice/ });
});

t.test("a package that the flow lists stays outside, even one that cannot be bundled", async (t) => {
  const flow = (option: string) =>
    `import { flow, task } from "millrace";\nimport odd from "odd";\nconst first = task("first", () => odd);\nexport const f = flow("f", ${option}() => first());\n`;
  const folder = await userProject(t, {
    "node_modules/odd/package.json": '{ "name": "odd", "version": "0.0.1", "main": "main.cjs" }',
    "node_modules/odd/main.cjs":
      'if (process.argv[9]) require("./page.html"), require("./missing.js"); module.exports = "odd";',
    "unlisted.ts": flow(""),
    "listed.ts": flow('{ external: ["odd"] }, '),
  });
  await t.rejects(saveModule(join(folder, "unlisted.ts")), { code: "BUNDLE_FAILED", hint: /external/ });
  const [saved] = await saveModule(join(folder, "listed.ts"));
  t.same(saved!.manifest.external, [{ name: "odd", version: "0.0.1", from: "." }]);
  t.equal(await runFirstTask(join(folder, "listed.ts")), "odd");
});

t.test("a change in a neighbour changes the saved flow's hash, and only then", async (t) => {
  const folder = await userProject(t, {
    "flow.ts": flowOf("helper()", 'import { helper } from "./helper.ts";'),
    "helper.ts": "export const helper = () => 1;",
  });
  const hash = async () => (await saveModule(join(folder, "flow.ts")))[0]!.hash;
  const before = await hash();
  t.equal(await hash(), before);
  await writeFile(join(folder, "helper.ts"), (await readFile(join(folder, "helper.ts"), "utf8")).replace("1", "2"));
  t.not(await hash(), before);
});

async function loadInNewThread(savedFlowFile: string): Promise<unknown> {
  const { describeInThread } = await import("../../src/deploy/describe-in-thread.js");
  return describeInThread({ savedFlowFile });
}
