import t from "tap";
import { openObjectStore } from "../../src/storage/open-objects.js";
import { useEnvironment } from "../helpers/environment.js";
import { startFaultProxy } from "../helpers/fault-proxy.js";
import { temporaryHome } from "../helpers/home.js";
import { startS3Server } from "../helpers/s3-server.js";
import { objectSuite } from "../suites/objects.js";
import { storageSuite } from "../suites/storage.js";

await temporaryHome(t);
const server = await startS3Server();
const proxy = await startFaultProxy(server.port);
t.teardown(() => Promise.all([server.close(), proxy.close()]));
server.buckets.set("flows", new Map());

const setSecret = (secret: string) =>
  useEnvironment(t, { AWS_ACCESS_KEY_ID: "TESTKEY", AWS_SECRET_ACCESS_KEY: secret, AWS_EC2_METADATA_DISABLED: "true" });
setSecret("testsecret");
const place = (url = server.url) => ({ kind: "s3", bucket: "flows", endpoint: url }) as const;

objectSuite(t, "S3", {
  place,
  proxy,
  credentials: (which) => setSecret(which === "right" ? "testsecret" : "wrong"),
  elsewhere: () => ({ ...place(), bucket: "no-such-place" }),
});
storageSuite(t, { type: "S3", place: { ...place(), prefix: "saved" }, objects: server.buckets.get("flows")! });

t.test("a bucket in another region is told with its region", async (t) => {
  const store = openObjectStore({ ...place(), region: "eu-west-1" });
  t.teardown(() => store.close());
  const error = { code: "STORAGE_WRONG_REGION", hint: /"us-east-1", and not in "eu-west-1"/ };
  await t.rejects(store.get("x"), error);
  await t.rejects(store.put("x", Buffer.from("x")), error);
});

t.test("without an endpoint and a region, the region is asked for", async (t) => {
  const store = openObjectStore({ kind: "s3", bucket: "flows" });
  t.teardown(() => store.close());
  await t.rejects(store.get("x"), { code: "STORAGE_WRONG_REGION", message: /no region is known/, hint: /`region`/ });
});

t.test("a machine without credentials is told where they are looked for", async (t) => {
  useEnvironment(t, {
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_CONFIG_FILE: "/nowhere",
    AWS_SHARED_CREDENTIALS_FILE: "/nowhere",
  });
  t.teardown(() => setSecret("testsecret"));
  const store = openObjectStore({ ...place(), prefix: "nobody" });
  t.teardown(() => store.close());
  await t.rejects(store.get("x"), { code: "STORAGE_UNAUTHORIZED", hint: /AWS_ACCESS_KEY_ID/ });
});

t.test("a server that knows no conditions is asked first", async (t) => {
  const old = await startS3Server({ conditions: "refused" });
  t.teardown(() => old.close());
  old.buckets.set("flows", new Map());
  const store = openObjectStore(place(old.url));
  t.teardown(() => store.close());
  t.equal(await store.put("x", Buffer.from("one"), { ifAbsent: true }), true);
  t.equal(await store.put("x", Buffer.from("two"), { ifAbsent: true }), false);
  t.equal(String(await store.get("x")), "one");
});

t.test("bytes that rot in the bucket are not handed out", async (t) => {
  const store = openObjectStore(place());
  t.teardown(() => store.close());
  await store.put("rotten", Buffer.from("sound"));
  server.buckets.get("flows")!.get("rotten")!.bytes = Buffer.from("Sound");
  await t.rejects(store.get("rotten"), { code: "STORAGE_CORRUPT", message: /SHA-256/ });
});
