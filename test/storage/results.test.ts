import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import type { ResultRecord } from "../../src/core/state.js";
import { resultStore } from "../../src/storage/results.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const of = { flowRunId: "run-1", taskRunId: "task-1" };

t.test("small JSON travels in the record itself", async (t) => {
  const store = resultStore();
  const result = await store.write({ rows: [1, "two", null] }, of);
  t.same(result, { type: "PrefectResult", location: '{"rows":[1,"two",null]}' });
  t.same(await store.read(result!), { rows: [1, "two", null] });
  t.equal(await store.write(undefined, of), undefined, "no value has no result");
  t.same(await store.write(null, of), { type: "PrefectResult", location: "null" });
});

t.test("anything else goes into a file, which any store reads", async (t) => {
  const store = resultStore({ inlineLimitBytes: 10 });
  for (const value of [new Map([["a", new Date(5)]]), "a text longer than ten bytes", [new RangeError("kept")]]) {
    const result = await store.write(value, of);
    t.match(result, { type: "LocalResult", dir: join(home, "results"), location: /^run-1\/task-1-[0-9a-f]{16}$/ });
    t.same(await resultStore({ folder: "/elsewhere" }).read(JSON.parse(JSON.stringify(result)) as ResultRecord), value);
  }
});

t.test("a task that runs again does not write over its earlier result", async (t) => {
  const store = resultStore({ folder: t.testdir(), inlineLimitBytes: 0 });
  const [first, second, again] = [
    await store.write("first", of),
    await store.write("second", of),
    await store.write("first", of),
  ];
  t.equal(await store.read(first!), "first");
  t.equal(await store.read(second!), "second");
  t.same(again, first);
});

t.test("many results at once are all there, and nothing half-written", async (t) => {
  const folder = t.testdir();
  const store = resultStore({ folder, inlineLimitBytes: 0 });
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, n) => store.write({ n }, { flowRunId: "r", taskRunId: `t${n}` })),
  );
  t.same(
    await Promise.all(results.map((each) => store.read(each!))),
    results.map((_, n) => ({ n })),
  );
  t.equal((await readdir(join(folder, "r"))).length, 200);
});

t.test("a value that cannot leave the thread is refused with its path, and no file is left", async (t) => {
  const folder = t.testdir();
  await t.rejects(resultStore({ folder }).write({ rows: [{ client: new WeakMap() }] }, of), {
    code: "VALUE_NOT_SERIALIZABLE",
    details: { path: "rows[0].client" },
  });
  t.same(await readdir(folder), []);
});

t.test("a result that is gone, damaged, elsewhere or of a foreign kind is told as such", async (t) => {
  const folder = t.testdir();
  const store = resultStore({ folder, inlineLimitBytes: 0 });
  const result = (await store.write("text", of))!;
  const file = join(folder, result.location!);
  await writeFile(file, (await readFile(file)).subarray(0, 42));
  await t.rejects(store.read(result), { code: "VALUE_CORRUPT" });
  await rm(file);
  await t.rejects(store.read(result), {
    code: "RESULT_NOT_FOUND",
    message: /ENOENT/,
    hint: /machine that ran the task/,
  });
  await t.rejects(store.read({ ...result, location: "../../../etc/passwd" }), {
    code: "RESULT_NOT_FOUND",
    message: /not inside/,
  });
  await t.rejects(store.read({ type: "S3Result", location: "x" }), { code: "RESULT_NOT_FOUND", message: /S3Result/ });
  await t.rejects(store.read({ type: "PrefectResult", location: null }), { code: "RESULT_NOT_FOUND" });
  await t.rejects(store.read({ type: "PrefectResult", location: "{" }), {
    code: "RESULT_NOT_FOUND",
    message: /not JSON/,
  });
});

t.test("a folder that cannot be written is named", async (t) => {
  const folder = t.testdir({ file: "" });
  await t.rejects(resultStore({ folder: join(folder, "file"), inlineLimitBytes: 0 }).write("x", of), {
    code: "STORAGE_FAILED",
  });
});
