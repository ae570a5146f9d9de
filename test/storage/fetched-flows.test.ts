import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { encodeSavedFlow } from "../../src/codec/saved-flow.js";
import { fetchedFlows } from "../../src/storage/fetched-flows.js";
import { aBundle, aManifest } from "../helpers/saved-flow.js";

const KIB = 1024;
const aFlow = (size = 10 * KIB) => encodeSavedFlow(aManifest(), aBundle(randomBytes(size / 2).toString("hex")));

t.test("the files that were not used for the longest time make room", async (t) => {
  const folder = t.testdir();
  let now = Date.now();
  const flows = fetchedFlows({ folder, limitBytes: 42 * KIB, now: () => now });
  const made = Array.from({ length: 5 }, () => aFlow());
  const get = async ({ hash, bytes }: { hash: string; bytes: Uint8Array }) => {
    now += 60 * 60_000;
    return flows.get(hash, async () => bytes);
  };
  for (const each of made.slice(0, 3)) await get(each);
  await get(made[0]!);
  await get(made[3]!);
  const left = await readdir(folder);
  t.ok(left.includes(made[0]!.hash), "used again meanwhile");
  t.notOk(left.includes(made[1]!.hash), "used least lately");
  await get(made[4]!);
  t.same((await readdir(folder)).sort(), [made[0]!, made[3]!, made[4]!].map(({ hash }) => hash).sort());
});

t.test("what was asked for lately stays, whatever the limit says", async (t) => {
  const folder = t.testdir();
  const flows = fetchedFlows({ folder, limitBytes: 1 });
  const made = Array.from({ length: 3 }, () => aFlow());
  for (const { hash, bytes } of made) await flows.get(hash, async () => bytes);
  t.equal((await readdir(folder)).length, 3);
});

t.test("what a killed process left half-written is cleared away", async (t) => {
  const folder = t.testdir();
  const leftover = join(folder, ".1234.tmp");
  await writeFile(leftover, "half");
  await utimes(leftover, 0, 0);
  const { hash, bytes } = aFlow();
  await fetchedFlows({ folder }).get(hash, async () => bytes);
  t.same(await readdir(folder), [hash]);
});

t.test("a failure is not kept", async (t) => {
  const flows = fetchedFlows({ folder: t.testdir() });
  const { hash, bytes } = aFlow();
  const failing = flows.get(hash, async () => {
    throw new Error("not now");
  });
  await t.rejects(failing, /not now/);
  t.ok((await readFile(await flows.get(hash, async () => bytes))).equals(bytes));
});

t.test("a hash that would be another file's name is refused", async (t) => {
  const flows = fetchedFlows({ folder: t.testdir() });
  for (const hash of ["../../etc/passwd", "", "A".repeat(64), `${"0".repeat(64)}\n`])
    await t.rejects(
      flows.get(hash, async () => aFlow().bytes),
      { code: "STORAGE_FAILED" },
    );
});

t.test("a folder that cannot be written is named", async (t) => {
  const folder = join(t.testdir({ file: "" }), "file");
  const { hash, bytes } = aFlow();
  await t.rejects(
    fetchedFlows({ folder }).get(hash, async () => bytes),
    { code: "STORAGE_FAILED", message: new RegExp(folder) },
  );
});

t.test("several processes may share the folder", async (t) => {
  const folder = t.testdir();
  const made = Array.from({ length: 20 }, () => aFlow());
  const list = join(t.testdir(), "flows.json");
  await writeFile(list, JSON.stringify(made.map(({ hash, bytes }) => [hash, Buffer.from(bytes).toString("base64")])));
  const code = `
    import { readFileSync } from "node:fs";
    import { fetchedFlows } from ${JSON.stringify(new URL("../../src/storage/fetched-flows.js", import.meta.url).href)};
    const flows = fetchedFlows({ folder: ${JSON.stringify(folder)}, limitBytes: 100_000 });
    const made = JSON.parse(readFileSync(${JSON.stringify(list)}, "utf8"));
    for (const [hash, text] of made.sort(() => Math.random() - 0.5)) {
      const bytes = Buffer.from(text, "base64");
      const file = await flows.get(hash, async () => bytes);
      if (!readFileSync(file).equals(bytes)) process.exit(3);
    }`;
  const processes = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ["--input-type=module", "--eval", code], { stdio: "inherit" }),
  );
  const codes = await Promise.all(processes.map(async (each) => (await once(each, "exit"))[0] as number));
  t.same(codes, [0, 0, 0, 0]);
  for (const { hash, bytes } of made) t.equal((await stat(join(folder, hash))).size, bytes.length);
});
