import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { repositoryFolder } from "./helpers/source-tree.js";

const run = promisify(execFile);
/** Installing takes a few seconds with a warm cache; this is for a cold one. */
const STEP_TIMEOUT_MS = 100_000;

// Outside the repository: nothing may be found in its node_modules by accident.
const folder = await mkdtemp(join(tmpdir(), "millrace-package-"));
t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));

/** Runs a program in the folder of a user who has installed the package, with this Node first on the path. */
async function inFolder(program: string, ...args: string[]): Promise<string> {
  const { NODE_OPTIONS: _, ...rest } = process.env;
  const env = {
    ...rest,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    MILLRACE_HOME: join(folder, "home"),
  };
  try {
    const { stdout } = await run(program, args, {
      cwd: folder,
      env,
      timeout: STEP_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout.trim();
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}

const manifest = JSON.parse(await readFile(join(repositoryFolder, "package.json"), "utf8"));
const entries = Object.keys(manifest.exports).map((entry) => join("millrace", entry));
const modules = entries.filter((entry) => !entry.endsWith(".json"));

t.test("the package holds what it needs and nothing else", async (t) => {
  const [packed] = JSON.parse(
    await inFolder("npm", "pack", repositoryFolder, "--ignore-scripts", "--json", "--pack-destination", folder),
  );
  const paths: string[] = packed.files.map((file: { path: string }) => file.path);
  const wanted = [
    "package.json",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    manifest.bin.millrace,
    "dist/src/server/api/schema/base.graphql",
  ];
  for (const path of wanted) t.ok(paths.includes(path), path);
  const outside = paths.filter(
    (path) => !/^(dist\/(src|workers)\/|bin\/|docs\/[\w-]+\.md$)/.test(path) && !wanted.includes(path),
  );
  t.same(outside, [], "beside the compiled code there are only the documents");
  t.same(
    paths.filter((path) => /(^|\/)(test|fixtures|bench|examples)\/|\.test\./.test(path)),
    [],
    "no tests, fixtures or benches",
  );
  const code = paths.filter((path) => path.startsWith("dist/"));
  t.same(
    code.filter((path) => !/\.(js|js\.map|d\.ts|graphql)$/.test(path)),
    [],
    "compiled code, its maps and its types",
  );
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  await inFolder("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", join(folder, packed.filename));
});

t.test("every entry can be imported and required", async (t) => {
  for (const entry of modules) {
    const imported = await inFolder(
      process.execPath,
      "--input-type=module",
      "-e",
      `import * as m from "${entry}"; console.log(Object.keys(m).length)`,
    );
    const required = await inFolder(
      process.execPath,
      "--input-type=commonjs",
      "-e",
      `console.log(Object.keys(require("${entry}")).filter((name) => name !== "__esModule").length)`,
    );
    t.ok(Number(imported) > 0, `${entry} exports ${imported} names`);
    t.equal(required, imported, `${entry} by require() has the same`);
  }
  t.equal(await inFolder(process.execPath, "-p", 'require("millrace/package.json").version'), manifest.version);
  const inner = inFolder(process.execPath, "--input-type=module", "-e", 'import "millrace/dist/src/core/ids.js"');
  await t.rejects(inner, { message: /ERR_PACKAGE_PATH_NOT_EXPORTED/ }, "what is not an entry does not resolve");
});

t.test("the types of every entry resolve, and check", async (t) => {
  const lines = modules.map(
    (entry, index) =>
      `import * as entry${index} from "${entry}";\nexport const names${index} = Object.keys(entry${index});`,
  );
  lines.push(
    'import { flow, task } from "millrace";',
    'const length = task("length", (text: string) => text.length);',
    'export const good = flow("good", () => length("a"));',
    "// @ts-expect-error a number is no text",
    'export const bad = flow("bad", () => length(1));',
  );
  await writeFile(join(folder, "types.ts"), lines.join("\n"));
  const compilerOptions = {
    target: "es2023",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ["node"],
    typeRoots: [join(repositoryFolder, "node_modules", "@types")],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["types.ts"] }));
  const compiler = join(repositoryFolder, "node_modules", "typescript", "bin", "tsc");
  t.equal(await inFolder(process.execPath, compiler, "-p", "."), "");
});

t.test("the command answers with the package's version", async (t) => {
  t.match(await inFolder("npx", "--no-install", "millrace", "--version"), manifest.version);
});

t.test("a flow in ESM and one in CommonJS run, and save themselves with a check in a worker thread", async (t) => {
  const body = `
    const add = task("add", (a, b) => a + b);
    const sum = flow("sum", () => add(parameter("a", { default: 1 }), 2));
    const go = async () => {
      const run = await sum.run({ a: 40 });
      const saved = await sum.save("sum.millrace");
      const again = await (await loadFlow("sum.millrace")).run({ a: 2 });
      console.log(JSON.stringify([run.state.type, run.output, saved.hash.length, again.output]));
    };
    go();`;
  const names = "{ flow, loadFlow, parameter, task }";
  await writeFile(join(folder, "sum.mjs"), `import ${names} from "millrace";${body}`);
  await writeFile(join(folder, "sum.cjs"), `const ${names} = require("millrace");${body}`);
  for (const file of ["sum.mjs", "sum.cjs"]) {
    t.equal(await inFolder(process.execPath, file), '["Success",42,64,4]', file);
  }
});
