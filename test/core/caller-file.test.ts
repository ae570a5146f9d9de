import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { callerFile } from "../../src/core/caller-file.js";
import { runProgram, userProject } from "../helpers/fixture.js";

const printed = 'console.log(flow("f", () => task("t", () => 1)()).definition.sourceFile);';
const esm = `import { flow, task } from "millrace";\n${printed}\n`;
const kinds: Record<string, string> = {
  "esm.mjs": esm,
  "in a folder/typed file.ts": esm,
  "common.cjs": `const { flow, task } = require("millrace");\n${printed}\n`,
  "late.mjs": `import { flow, task } from "millrace";\nasync function main() {\n  await null;\n  ${printed}\n}\nawait main();\n`,
  "inside-eval.mjs": `import * as m from "millrace";\nnew Function("flow", "task", ${JSON.stringify(printed)})(m.flow, m.task);\n`,
};

for (const [file, text] of Object.entries(kinds)) {
  t.test(`the caller of flow() is known in ${file}`, async (t) => {
    const folder = await userProject(t, { [file]: text });
    t.equal(await runProgram(folder, file), join(folder, file));
    t.equal(await runProgram(folder, "--enable-source-maps", file), join(folder, file), "with source maps too");
  });
}

t.test("code without a file has no caller's file", async (t) => {
  const folder = await userProject(t, {});
  t.equal(await runProgram(folder, "--input-type=module", "-e", esm), "undefined");
  t.equal(await runProgram(folder, "-e", `import("millrace").then(({ flow, task }) => { ${printed} })`), "undefined");
});

t.test("looking leaves stack traces as they were", async (t) => {
  const { prepareStackTrace, stackTraceLimit } = Error;
  t.equal(callerFile(), fileURLToPath(import.meta.url));
  t.equal(Error.prepareStackTrace, prepareStackTrace);
  t.equal(Error.stackTraceLimit, stackTraceLimit);
  t.type(new Error("x").stack, "string");
});
