import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { LocationNames, ResultOptions } from "../../src/core/options/result-options.js";
import { results } from "../../src/core/options/results.js";
import type { ResultRecord } from "../../src/core/state.js";
import { type ResultOwner, resultStore } from "../../src/storage/results.js";
import { AZURE_TEST_KEY, startAzureServer } from "../helpers/azure-server.js";
import { startGcsServer, writeGcsCredentials } from "../helpers/gcs-server.js";
import { temporaryHome } from "../helpers/home.js";
import { startS3Server } from "../helpers/s3-server.js";

const home = await temporaryHome(t);
const store = resultStore();

const [s3, gcs, azure] = [await startS3Server(), await startGcsServer(), await startAzureServer()];
for (const server of [s3, gcs, azure]) {
  server.buckets.set("box", new Map());
  t.teardown(() => server.close());
}
Object.assign(process.env, {
  AWS_ACCESS_KEY_ID: "TESTKEY",
  AWS_SECRET_ACCESS_KEY: "testsecret",
  GOOGLE_APPLICATION_CREDENTIALS: await writeGcsCredentials(home, gcs),
  AZURE_STORAGE_CONNECTION_STRING: `DefaultEndpointsProtocol=http;AccountName=testaccount;AccountKey=${AZURE_TEST_KEY};BlobEndpoint=${azure.url}/testaccount;`,
});

const names: LocationNames = {
  flowName: "orders",
  flowRunId: "run-1",
  flowRunName: "quiet otter",
  taskName: "load",
  taskSlug: "load-1",
  taskRunId: "task-1",
  mapIndex: -1,
  runCount: 1,
  scheduledStartAt: "2026-02-03T04:05:06.000Z",
  parameters: { day: "2026-02-03", way: "../../etc" },
  inputs: ["first"],
};
const owner = (options: ResultOptions | undefined): ResultOwner => ({
  flowRunId: "run-1",
  taskRunId: "task-1",
  options,
  names: () => names,
});
/** A record as another machine gets it from the Cloud. */
const travelled = (record: ResultRecord | undefined): ResultRecord =>
  JSON.parse(JSON.stringify(record)) as ResultRecord;

type More = Parameters<typeof results.local>[0] & { prefix?: string };
interface Kind {
  type: string;
  make: (more?: More) => ResultOptions;
  /** What the record says of the place. */
  fields: Record<string, unknown>;
  /** The names of what is kept, without the folder. */
  kept: () => Promise<string[]>;
  /** The path in front of a location. */
  before: string;
}

const kinds: Kind[] = [
  {
    type: "LocalResult",
    make: ({ prefix: _, ...more } = {}) => results.local({ folder: join(home, "kept"), ...more }),
    fields: { dir: join(home, "kept"), host: hostname() },
    kept: () => readdir(join(home, "kept"), { recursive: true }),
    before: "",
  },
  {
    type: "S3Result",
    make: (more) => results.s3({ bucket: "box", prefix: "/results/", endpoint: s3.url, region: "us-east-1", ...more }),
    fields: { bucket: "box", endpoint: s3.url, region: "us-east-1" },
    kept: async () => [...s3.buckets.get("box")!.keys()],
    before: "results/",
  },
  {
    type: "GCSResult",
    make: (more) => results.gcs({ bucket: "box", prefix: "results", endpoint: gcs.url, ...more }),
    fields: { bucket: "box", endpoint: gcs.url },
    kept: async () => [...gcs.buckets.get("box")!.keys()],
    before: "results/",
  },
  {
    type: "AzureResult",
    make: (more) => results.azure({ container: "box", prefix: "results", ...more }),
    fields: { container: "box" },
    kept: async () => [...azure.buckets.get("box")!.keys()],
    before: "results/",
  },
];

for (const { type, make, fields, kept, before } of kinds) {
  t.test(`${type}: a value of any kind comes back, and its record needs nothing else`, async (t) => {
    const value = { rows: new Map([["a", new Date(5)]]), bytes: Buffer.from("bytes"), big: 5n };
    const record = await store.write(value, owner(make()));
    t.match(record, { type, location: new RegExp(`^${before}run-1/task-1-[0-9a-f]{16}$`) });
    t.same({ ...record, location: "" }, { type, location: "", ...fields });
    t.same(await resultStore({ folder: "/elsewhere" }).read(travelled(record)), value);
    t.same(await store.write(value, owner(make())), record, "the same value has the same place");
    t.not((await store.write([1], owner(make())))?.location, record?.location, "another one has another");
    t.equal(await store.write(undefined, owner(make())), undefined);
    t.equal(await store.read((await store.write(null, owner(make())))!), null);
  });

  t.test(`${type}: JSON where the author says can be read by anything`, async (t) => {
    const options = make({ serializer: "json", location: "{flowName}/{parameters.day}/{inputs.0}.json" });
    const record = await store.write({ n: 1, name: "Grüße" }, owner(options));
    t.match(record, { location: `${before}orders/2026-02-03/first.json`, serializer: "json", hash: /^[0-9a-f]{16}$/ });
    t.ok((await kept()).some((name) => name.endsWith(join("orders", "2026-02-03", "first.json"))));
    t.same(await store.read(travelled(record)), { n: 1, name: "Grüße" });
    await t.rejects(store.write({ at: [new Date(0)] }, owner(options)), {
      code: "VALUE_NOT_SERIALIZABLE",
      details: { path: "at[0]" },
    });
    t.same(await store.read(travelled(record)), { n: 1, name: "Grüße" }, "what was refused has written nothing");
  });

  t.test(`${type}: what lies at a target is found, and read as the task's serializer says`, async (t) => {
    const options = make({ serializer: "json", location: ({ taskName }) => `targets/${taskName}.json` });
    t.equal(await store.find("targets/load.json", owner(options)), undefined);
    await store.write(["made"], owner(options));
    const found = await store.find("targets/load.json", owner(options));
    t.same(found, { type, ...fields, location: `${before}targets/load.json`, serializer: "json" });
    t.same(await store.read(travelled(found)), ["made"]);
  });

  t.test(`${type}: a place that a later run wrote over is told, not read as the earlier value`, async (t) => {
    for (const serializer of ["v8", "json"] as const) {
      const options = make({ serializer, location: `latest.${serializer}` });
      const first = await store.write("first", owner(options));
      const second = await store.write("second", owner(options));
      await t.rejects(store.read(travelled(first)), { code: "RESULT_NOT_FOUND", message: /written over/ });
      t.equal(await store.read(travelled(second)), "second");
      await store.write("first", owner(options));
      t.equal(await store.read(travelled(first)), "first", "the same value again is the same");
    }
  });

  t.test(`${type}: a result that is gone is told with its place`, async (t) => {
    const record = (await store.write("text", owner(make())))!;
    await t.rejects(store.read({ ...record, location: `${before}gone` }), {
      code: "RESULT_NOT_FOUND",
      message: /gone/,
    });
  });

  t.test(`${type}: no value of a parameter leads out of the place`, async (t) => {
    const before = await kept();
    await t.rejects(store.write("x", owner(make({ location: "{parameters.way}" }))), {
      code: "RESULT_LOCATION_INVALID",
      message: /leads out/,
    });
    await t.rejects(store.find("../x", owner(make())), { code: "RESULT_LOCATION_INVALID" });
    t.same(await kept(), before);
  });
}

t.test("records of Prefect's own shape are read, where the bytes are ours", async (t) => {
  const record = await store.write(
    "value",
    owner(results.s3({ bucket: "box", endpoint: s3.url, region: "us-east-1" })),
  );
  const { type, bucket, location } = record!;
  const environment = { AWS_ENDPOINT_URL_S3: s3.url, AWS_REGION: "us-east-1" };
  Object.assign(process.env, environment);
  t.teardown(() => {
    for (const name of Object.keys(environment)) delete process.env[name];
  });
  const python: ResultRecord = { type, bucket, location, __version__: "1.4.1" };
  t.equal(await store.read(python), "value", "what the record does not say, the environment does");
  s3.buckets.get("box")!.set("pickled", { bytes: Buffer.from("\x80\x04K\x01."), metadata: {} });
  await t.rejects(store.read({ ...python, location: "pickled" }), { code: "VALUE_CORRUPT" });
  await t.rejects(store.read({ type: "GCSResult", location: "x" }), { code: "RESULT_NOT_FOUND", message: /no bucket/ });
  await t.rejects(store.read({ type: "CustomResult", location: "x" }), { code: "RESULT_NOT_FOUND", message: /Custom/ });
});

t.test("a bucket that cannot be used fails the write with what the storage says", async (t) => {
  const options = results.s3({ bucket: "nowhere", endpoint: s3.url, region: "us-east-1" });
  await t.rejects(store.write("x", owner(options)), { code: "STORAGE_NOT_FOUND" });
  await t.rejects(store.find("x", owner(options)), { code: /^STORAGE_/ });
});

t.test("a local result of another machine is missed with that machine's name", async (t) => {
  const record = (await store.write("text", owner(results.local())))!;
  await rm(join(home, "results", "run-1"), { recursive: true });
  await t.rejects(store.read({ ...record, host: "far-away" }), { code: "RESULT_NOT_FOUND", hint: /"far-away"/ });
  await t.rejects(store.read(record), { code: "RESULT_NOT_FOUND", hint: /machine that ran the task/ });
});

t.test("a result in the state is JSON of a bounded size", async (t) => {
  const inline = owner(results.inline());
  const large = "x".repeat(100_000);
  t.same(await store.write({ large }, inline), { type: "PrefectResult", location: JSON.stringify({ large }) });
  t.same(await store.write(null, inline), { type: "PrefectResult", location: "null" });
  await t.rejects(store.write(new Map(), inline), { code: "VALUE_NOT_SERIALIZABLE" });
  await t.rejects(store.write([large, large], inline), { code: "RESULT_TOO_LARGE", message: /200007 bytes/ });
  await t.rejects(store.find("x", inline), { code: "RESULT_LOCATION_INVALID" });
});

t.test("a damaged file of JSON, or a folder in its place, is told as such", async (t) => {
  const folder = t.testdir({ taken: {} });
  const options = results.local({ folder, serializer: "json", location: "one.json" });
  const record = (await store.write({ a: 1 }, owner(options)))!;
  await writeFile(join(folder, "one.json"), (await readFile(join(folder, "one.json"))).subarray(0, 3));
  await t.rejects(store.read(record), { code: "VALUE_CORRUPT" });
  await t.rejects(store.find("taken", owner(options)), { code: "STORAGE_FAILED", message: /no file/ });
  await t.rejects(store.write(1, owner(results.local({ folder, location: "one.json/two" }))), {
    code: "STORAGE_FAILED",
  });
  t.equal(await store.find("one.json/two", owner(options)), undefined);
});
