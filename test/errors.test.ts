import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { errorCodes } from "../src/core/errors.js";
import { repositoryFolder, sourceFiles } from "./helpers/source-tree.js";

const page = readFileSync(join(repositoryFolder, "docs", "errors.md"), "utf8");
/** The page's sections by code. */
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf("\n")).trim(), text.split(/^## /m)[0]!]),
);

t.test(
  "every code has a section that says what it means, when it appears and what to do, with an example",
  async (t) => {
    for (const [code, meaning] of Object.entries(errorCodes)) {
      const text = sections.get(code);
      if (text === undefined) {
        t.fail(`docs/errors.md has no section ${code}`);
        continue;
      }
      t.ok(text.includes(`\n${meaning}\n`), `${code}: the catalogue's sentence stands first`);
      t.match(text, /\n- \*\*When:\*\* .{20,}/, `${code}: when`);
      t.match(text, /\n- \*\*What to do:\*\* .{7,}/, `${code}: what to do`);
      t.match(text, new RegExp(`\n\`\`\`text\n${code}: .{10,}`), `${code}: an example message`);
    }
  },
);

t.test("nothing is documented that is not in the catalogue", async (t) => {
  t.same(
    [...sections.keys()].filter((code) => !(code in errorCodes)),
    [],
  );
  t.equal(page.match(/^### /gm)?.length, sections.size, "and nothing twice");
});

t.test("every code is used somewhere, as a word of its own", async (t) => {
  const files = sourceFiles("src", "workers").filter((file) => file.path !== "src/core/errors.ts");
  const unused = Object.keys(errorCodes).filter((code) => !files.some((file) => file.text.includes(`"${code}"`)));
  t.same(unused, [], "a code that nothing throws leaves the catalogue before its first release");
});

t.test("every code that a user can meet is met in a test", async (t) => {
  const tests = sourceFiles("test").filter((file) => file.path !== "test/errors.test.ts");
  const untested = Object.keys(errorCodes).filter((code) => !tests.some((file) => file.text.includes(code)));
  t.same(untested, []);
});
