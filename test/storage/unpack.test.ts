import { execFile } from "node:child_process";
import { readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { type Unpackable, unpackBundle } from "../../src/storage/unpack.js";
import { repository, userProject } from "../helpers/fixture.js";
import { aBundle } from "../helpers/saved-flow.js";

const aFlow = (changes: Partial<Unpackable> = {}): Unpackable => ({
  hash: "a".repeat(64),
  bundle: aBundle("export const answer = 42;"),
  external: [],
  projectFolder: "/no/such/project",
  ...changes,
});

t.test("the folder holds the code, its map, and a link to the Millrace that runs", async (t) => {
  const cache = t.testdir();
  const file = await unpackBundle(aFlow(), cache);
  t.match(dirname(file), `${cache}/${"a".repeat(64)}-`);
  t.equal(await readFile(file, "utf8"), "export const answer = 42;");
  t.equal(await readFile(`${file}.map`, "utf8"), "{}");
  t.equal(await realpath(join(dirname(file), "node_modules/millrace")), await realpath(repository));
  t.equal(await unpackBundle(aFlow(), cache), file, "the second time it is there");
  t.equal((await readdir(cache)).length, 1);
});

t.test("a folder that was damaged is made again", async (t) => {
  const cache = t.testdir();
  const file = await unpackBundle(aFlow(), cache);
  const damages: (() => Promise<void>)[] = [
    () => writeFile(file, "export const answer = 41;"),
    () => rm(`${file}.map`),
    () => rm(join(dirname(file), "node_modules"), { recursive: true }),
    async () => {
      await rm(join(dirname(file), "node_modules/millrace"));
      await symlink("/tmp", join(dirname(file), "node_modules/millrace"));
    },
  ];
  for (const damage of damages) {
    await damage();
    t.equal(await unpackBundle(aFlow(), cache), file);
    t.equal(await readFile(file, "utf8"), "export const answer = 42;");
    t.equal(await realpath(join(dirname(file), "node_modules/millrace")), await realpath(repository));
  }
  t.equal((await readdir(cache)).length, 1, "nothing else is left");
});

t.test("packages from outside are links to the project's own, of either kind of name", async (t) => {
  const project = await userProject(t, {
    "node_modules/fast/package.json": '{ "name": "fast", "version": "1.0.0" }',
    "node_modules/@scope/fast/package.json": '{ "name": "@scope/fast", "version": "1.0.0" }',
  });
  const external = [
    { name: "fast", version: "1.0.0", from: "." },
    { name: "@scope/fast", version: "1.0.0", from: "." },
  ];
  const cache = t.testdir();
  const file = await unpackBundle(aFlow({ external, projectFolder: project }), cache);
  for (const { name } of external)
    t.equal(await realpath(join(dirname(file), "node_modules", name)), join(project, "node_modules", name));

  await rm(join(project, "node_modules/fast"), { recursive: true });
  await t.rejects(unpackBundle(aFlow({ external, projectFolder: project }), cache), {
    code: "PACKAGE_NOT_FOUND",
    details: { package: "fast", projectFolder: project },
  });
  await t.rejects(unpackBundle(aFlow({ external }), cache), {
    code: "PACKAGE_NOT_FOUND",
    message: /\/no\/such\/project/,
  });
});

t.test("many processes and many calls in each, at once, agree on one whole folder", async (t) => {
  const cache = t.testdir();
  const program = `
    import { unpackBundle } from ${JSON.stringify(new URL("../../src/storage/unpack.js", import.meta.url).href)};
    const flow = { hash: "b".repeat(64), bundle: { code: Buffer.alloc(300_000, "x"), map: Buffer.from("{}") }, external: [], projectFolder: "/" };
    const files = await Promise.all(Array.from({ length: 8 }, () => unpackBundle(flow, ${JSON.stringify(cache)})));
    process.stdout.write([...new Set(files)].join());`;
  const run = promisify(execFile);
  const runs = await Promise.all(
    Array.from({ length: 4 }, () =>
      run(process.execPath, ["--input-type=module", "-e", program], { env: { ...process.env, NODE_OPTIONS: "" } }),
    ),
  );
  const files = new Set(runs.map(({ stdout }) => stdout));
  t.equal(files.size, 1);
  t.equal((await readFile([...files][0]!)).length, 300_000);
  t.equal((await readdir(cache)).length, 1);
});
