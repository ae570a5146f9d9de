import { copyFile, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { encodeSavedFlow, MAX_SAVED_FLOW_BYTES } from "../../src/codec/saved-flow.js";
import { bundleModule } from "../../src/deploy/bundle.js";
import { describeInThread } from "../../src/deploy/describe-in-thread.js";
import { saveModule } from "../../src/deploy/save.js";
import { loadSavedFlow, readSavedFlow } from "../../src/execute/load-saved-flow.js";
import { fixture, repository } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { aBundle, aManifest } from "../helpers/saved-flow.js";

const home = await temporaryHome(t);
const [hello] = await saveModule(fixture("hello.ts"));
const file = hello!.location.location;

t.test("a saved flow is loaded once in a thread, from whichever copy", async (t) => {
  const [one, two] = await Promise.all([loadSavedFlow(file, hello!.hash), loadSavedFlow(file)]);
  t.equal(one.flow, two.flow);
  const copy = join(t.testdir(), "copy");
  await copyFile(file, copy);
  t.equal((await loadSavedFlow(copy)).flow, one.flow);
  t.equal(one.specHash, hello!.manifest.specHash);
});

t.test("the loaded flow is made by the very Millrace that loads it", async (t) => {
  const { flow } = await loadSavedFlow(file);
  const { isReference } = await import("../../src/core/reference.js");
  t.ok(isReference(flow.output));
  t.equal(flow.tasks.find((each) => each.slug === "greet-1")!.fn!("Ada"), "Hello, Ada!");
});

t.test("a file with another hash than the registered one is refused with both", async (t) => {
  await t.rejects(loadSavedFlow(file, "0".repeat(64)), {
    code: "SAVED_FLOW_CORRUPT",
    message: new RegExp(`${hello!.hash}; 0{64} was registered`),
  });
});

t.test("a file that is missing, cut, or huge is refused before any of it runs", async (t) => {
  const folder = t.testdir();
  await t.rejects(loadSavedFlow(join(folder, "none")), { code: "SAVED_FLOW_NOT_FOUND" });
  await t.rejects(readSavedFlow(folder), { code: "STORAGE_FAILED" });
  await writeFile(join(folder, "cut"), (await readFile(file)).subarray(0, 1_000));
  await t.rejects(loadSavedFlow(join(folder, "cut")), { code: "SAVED_FLOW_CORRUPT" });
  const handle = await open(join(folder, "huge"), "w");
  await handle.truncate(MAX_SAVED_FLOW_BYTES + 1);
  await handle.close();
  await t.rejects(loadSavedFlow(join(folder, "huge")), { code: "SAVED_FLOW_TOO_LARGE" });
});

/** A saved flow with code of the test's own. */
async function savedWith(folder: string, code: string): Promise<string> {
  const path = join(folder, "saved");
  await writeFile(path, encodeSavedFlow(aManifest({ external: [] }), aBundle(code)).bytes);
  return path;
}

t.test("code that throws, or defines another flow, is told as such, and a failure is not kept", async (t) => {
  const folder = t.testdir();
  await t.rejects(loadSavedFlow(await savedWith(folder, "throw new TypeError('at the top');")), {
    code: "FLOW_LOAD_FAILED",
    message: /flow "sum" threw while it was loaded: TypeError: at the top/,
    cause: { name: "TypeError" },
  });
  await t.rejects(loadSavedFlow(await savedWith(folder, "throw 'a string';")), {
    code: "FLOW_LOAD_FAILED",
    message: /a string/,
  });
  await t.rejects(loadSavedFlow(await savedWith(folder, "export {};")), {
    code: "FLOW_NOT_IN_MODULE",
    message: /"flows\/sum\.ts" does not define flow "sum"; it defines no flow/,
  });
  const other = 'import { flow, task } from "millrace"; flow("other", () => task("t", () => 1)());';
  await t.rejects(loadSavedFlow(await savedWith(folder, other)), {
    code: "FLOW_NOT_IN_MODULE",
    message: /defines "other"/,
  });
  const twice =
    'import { flow, task } from "millrace"; const f = () => flow("sum", () => task("t", () => 1)()); f(); f();';
  await t.rejects(loadSavedFlow(await savedWith(folder, twice)), { code: "FLOW_NAME_TAKEN" });
  const failsTwice = `import { flow, task } from "millrace";
    globalThis.tries = (globalThis.tries ?? 0) + 1;
    if (globalThis.tries < 3) throw new Error("not yet");
    flow("sum", () => task("t", () => 1)());`;
  const path = await savedWith(folder, failsTwice);
  await t.rejects(loadSavedFlow(path), { code: "FLOW_LOAD_FAILED" });
  await t.rejects(loadSavedFlow(path), { code: "FLOW_LOAD_FAILED" });
  t.equal((await loadSavedFlow(path)).flow.name, "sum", "the third time the code runs anew, and loads");
});

t.test("a worker thread loads it too, and names what it builds", async (t) => {
  const [described] = await describeInThread({ savedFlowFile: file, savedFlowHash: hello!.hash });
  t.same(described!.spec, hello!.manifest.spec);
  await t.rejects(describeInThread({ savedFlowFile: file, savedFlowHash: "f".repeat(64) }), {
    code: "SAVED_FLOW_CORRUPT",
  });
});

t.test("two flows of one module are loaded side by side in one thread", async (t) => {
  const saved = await saveModule(fixture("modules/two-flows.ts"));
  const loaded = await Promise.all(saved.map((each) => loadSavedFlow(each.location.location, each.hash)));
  t.same(
    loaded.map(({ flow }) => flow.name),
    ["first", "second"],
  );
});

t.test("a cache folder that was deleted is made again", async (t) => {
  const { bundle } = await bundleModule({ entry: fixture("hello.ts"), projectFolder: repository, external: [] });
  const path = join(t.testdir(), "fresh");
  await writeFile(path, encodeSavedFlow({ ...hello!.manifest, entry: "fixtures/another.ts" }, bundle).bytes);
  await rm(join(home, "cache"), { recursive: true });
  t.equal((await loadSavedFlow(path)).flow.name, "hello");
});
