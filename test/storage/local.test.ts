import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import t from "tap";
import { encodeSavedFlow } from "../../src/codec/saved-flow.js";
import { localStorage } from "../../src/storage/local.js";
import { fetchSavedFlow, openStorage } from "../../src/storage/open.js";
import { temporaryHome } from "../helpers/home.js";
import { aBundle, aManifest } from "../helpers/saved-flow.js";
import { storageSuite } from "../suites/storage.js";

const home = await temporaryHome(t);
const { bytes, hash } = encodeSavedFlow(aManifest(), aBundle());

t.test("a saved flow is found again with the same bytes", async (t) => {
  const storage = localStorage();
  t.same(storage.labels, [hostname()]);
  const location = await storage.save("sum", hash, bytes);
  t.match(location, { type: "Local", hash });
  t.equal(dirname(location.location), join(home, "flows", "sum"));
  t.ok((await readFile(await fetchSavedFlow(location))).equals(bytes));
  t.same(await localStorage().save("sum", hash, bytes), location, "the same bytes are kept once");
  t.equal((await readdir(dirname(location.location))).length, 1, "and nothing else is left beside them");
});

t.test("a damaged file is not taken for the saved flow", async (t) => {
  const storage = localStorage(t.testdir());
  const first = await storage.save("sum", hash, bytes);
  await writeFile(first.location, bytes.subarray(0, 100));
  const second = await storage.save("sum", hash, bytes);
  t.not(second.location, first.location);
  t.ok((await readFile(second.location)).equals(bytes));
});

t.test("flows whose names differ only in signs do not share a folder", async (t) => {
  const folder = t.testdir();
  const storage = localStorage(folder);
  for (const name of ["Sales!", "sales", "sales?", "日本", "../../etc", "a".repeat(300)])
    await storage.save(name, hash, bytes);
  const folders = await readdir(folder);
  t.equal(folders.length, 6);
  t.ok(
    folders.every((name) => /^[a-z0-9][a-z0-9-]{0,80}$/.test(name)),
    "and all of them are plain names",
  );
});

t.test("many savers at once leave whole files only", async (t) => {
  const folder = t.testdir();
  const saved = await Promise.all(Array.from({ length: 20 }, () => localStorage(folder).save("sum", hash, bytes)));
  for (const { location } of saved) t.ok((await readFile(location)).equals(bytes));
  t.ok((await readdir(join(folder, "sum"))).every((name) => !name.endsWith(".tmp")));
});

t.test("a saved flow that is not on this machine is told as such", async (t) => {
  const gone = { type: "Local", location: join(home, "flows", "gone"), hash } as const;
  await t.rejects(localStorage().fetch(gone), {
    code: "SAVED_FLOW_NOT_FOUND",
    message: new RegExp(`on this machine \\("${hostname()}"\\)`),
    hint: /machine that deployed it/,
  });
  await t.rejects(
    localStorage().fetch({ ...gone, location: home }),
    { code: "SAVED_FLOW_NOT_FOUND" },
    "a folder is no saved flow",
  );
});

t.test("a folder that cannot be written is named", async (t) => {
  const folder = t.testdir({ file: "" });
  await t.rejects(localStorage(join(folder, "file")).save("sum", hash, bytes), {
    code: "STORAGE_FAILED",
    message: /"sum" .*file/,
  });
});

t.test("flows are for their owner's eyes", { skip: process.platform === "win32" && "no modes there" }, async (t) => {
  const folder = join(t.testdir(), "new");
  const { location } = await localStorage(folder).save("sum", hash, bytes);
  t.equal((await stat(dirname(location))).mode & 0o077, 0);
});

t.test("storage of an unknown kind is refused", async (t) => {
  await t.rejects(openStorage({ type: "Floppy" }), { code: "STORAGE_FAILED", message: /"Floppy"/ });
  t.equal((await openStorage({ type: "Local" })).type, "Local");
});

storageSuite(t, { type: "Local" });
