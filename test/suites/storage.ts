import { randomBytes, randomInt } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { encodeSavedFlow } from "../../src/codec/saved-flow.js";
import { millraceHome } from "../../src/core/home.js";
import { Local, type StorageOptions } from "../../src/core/options/flow-storage.js";
import type { ObjectPlace } from "../../src/core/options/object-place.js";
import { chosenBefore, chosenStorage, fetchSavedFlow, openStorage } from "../../src/storage/open.js";
import { openObjectStore } from "../../src/storage/open-objects.js";
import type { StorageLocation } from "../../src/storage/storage.js";
import type { KeptObject } from "../helpers/object-server.js";
import { aBundle, aManifest } from "../helpers/saved-flow.js";

/** A storage that is there. */
export interface StorageKind {
  readonly type: StorageOptions["type"];
  /** For objects. */
  readonly place?: ObjectPlace;
  /** The bucket's inside, for a server in this process. */
  readonly objects?: Map<string, KeptObject>;
}

/** Damages done to each object of each kind; verifying alone is tried ten thousand times in test/codec. */
const DAMAGES = 300;

/** What every storage of saved flows does, Local's too. */
export function storageSuite(t: Test, kind: StorageKind): void {
  const options: StorageOptions = kind.place ? ({ type: kind.type, place: kind.place } as StorageOptions) : new Local();
  const test = (title: string, run: (t: Test) => Promise<void>) =>
    t.test(`${kind.type} storage: ${title}`, async (t) => {
      t.teardown(async () => kind.place && (await openObjectStore(withoutPrefix(kind.place)).close()));
      await run(t);
    });
  const aFlow = (code = randomBytes(4_000).toString("hex")) => encodeSavedFlow(aManifest(), aBundle(code));
  const forget = () => rm(join(millraceHome(), "fetched"), { recursive: true, force: true });

  test("a saved flow comes back with the same bytes, by what the Cloud keeps of it", async (t) => {
    const storage = await chosenStorage(options);
    const { bytes, hash } = aFlow();
    const location = await storage.save("Sum of things", hash, bytes);
    const kept = JSON.parse(JSON.stringify(location)) as StorageLocation;
    t.match(kept, { type: kind.type, hash });
    await storage.check(kept);
    t.ok((await readFile(await fetchSavedFlow(kept))).equals(bytes));
    t.ok(storage.describe(kept).includes(kept.location), "people are shown where it is");
    t.same(storage.labels, kind.place ? [] : [hostname()], "only a disk ties a flow to a machine");
    t.same(chosenBefore(kept), kind.place ? options : undefined, "and the choice can be made again");
  });

  test("the same flow is kept once", async (t) => {
    const storage = await chosenStorage(options);
    const { bytes, hash } = aFlow();
    const first = await storage.save("sum", hash, bytes);
    t.same(await storage.save("sum", hash, bytes), first);
    if (kind.place) t.match(first.location, new RegExp(`(^|/)sum/${hash}$`), "under its hash");
  });

  test("deploys at once do not mix", async (t) => {
    const storage = await chosenStorage(options);
    const flows = Array.from({ length: 8 }, () => aFlow());
    const twice = [...flows, ...flows];
    const locations = await Promise.all(twice.map(({ bytes, hash }) => storage.save("sum", hash, bytes)));
    await forget();
    for (const [index, { bytes }] of twice.entries())
      t.ok((await readFile(await fetchSavedFlow(locations[index]!))).equals(bytes));
  });

  test("a flow that is not there is told as such", async (t) => {
    const { hash, bytes } = aFlow();
    const storage = await chosenStorage(options);
    const location = await storage.save("sum", hash, bytes);
    const gone = { ...location, location: `${location.location}-gone` };
    const error = { code: "SAVED_FLOW_NOT_FOUND", message: /-gone/, hint: /deploy/ };
    await t.rejects(storage.fetch(gone), error);
    await t.rejects(storage.check(gone), error);
  });

  if (!kind.place) return;
  const place = kind.place;

  test("a machine fetches a flow once, and again when its copy was damaged or removed", async (t) => {
    const storage = await openStorage({ type: kind.type, place: withoutPrefix(place) });
    const { bytes, hash } = aFlow();
    const location = await (await chosenStorage(options)).save("sum", hash, bytes);
    let told = 0;
    const onProgress = () => {
      told += 1;
    };
    const [file] = await Promise.all(Array.from({ length: 5 }, () => storage.fetch(location, { onProgress })));
    const once = told;
    t.ok(once > 0, "it came");
    await storage.fetch(location, { onProgress });
    t.equal(told, once, "and did not come again");
    t.ok((await readdir(join(millraceHome(), "fetched"))).every((name) => /^[0-9a-f]{64}$/.test(name)));
    await rm(file!);
    await storage.fetch(location, { onProgress });
    t.ok(told > once, "removed");
    const twice = told;
    await rm(file!);
    await writeFile(file!, bytes.subarray(0, 1_000));
    t.ok((await readFile(await storage.fetch(location, { onProgress }))).equals(bytes));
    t.ok(told > twice, "damaged");
  });

  test("an object that is another flow than was registered does not run", async (t) => {
    const storage = await chosenStorage(options);
    const [one, two] = [aFlow(), aFlow()];
    const location = await storage.save("sum", one.hash, one.bytes);
    await openObjectStore(withoutPrefix(place)).put(location.location, two.bytes);
    const error = { code: "STORAGE_CORRUPT", message: new RegExp(`has the hash ${two.hash}`), hint: /deploy/ };
    await t.rejects(storage.fetch(location), error);
    await t.rejects(storage.save("sum", one.hash, one.bytes), error, "and is not taken for the same");
  });

  const { objects } = kind;
  if (!objects) return;

  test("no damaged object runs", async (t) => {
    const storage = await chosenStorage(options);
    const { bytes, hash } = aFlow("export {};");
    const location = await storage.save("sum", hash, bytes);
    const object = objects.get(location.location)!;
    await forget();
    const codes = new Set<string>();
    for (let tried = 0; tried < DAMAGES; tried += 1) {
      const damaged = Buffer.from(bytes);
      if (tried % 3 === 0) damaged[randomInt(damaged.length)]! ^= 1 << randomInt(8);
      else if (tried % 3 === 1) damaged.set(damaged.subarray(0, 20), randomInt(damaged.length - 20));
      object.bytes = tried % 3 === 2 ? damaged.subarray(0, randomInt(damaged.length)) : damaged;
      // As if it had been written so: what the server says of it fits.
      object.metadata = {};
      if (object.bytes.equals(bytes)) continue;
      await storage.fetch(location).then(
        () => t.fail("damaged bytes were fetched"),
        (error: { code: string }) => codes.add(error.code),
      );
    }
    for (const code of codes) t.match(code, /^(STORAGE_CORRUPT|SAVED_FLOW_VERSION|SAVED_FLOW_TOO_LARGE)$/);
    t.same(await readdir(join(millraceHome(), "fetched")).catch(() => []), [], "and nothing of them is on the disk");
  });
}

function withoutPrefix({ prefix: _, ...place }: ObjectPlace): ObjectPlace {
  return place as ObjectPlace;
}
