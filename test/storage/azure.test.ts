import t from "tap";
import { openObjectStore } from "../../src/storage/open-objects.js";
import { AZURE_TEST_KEY, startAzureServer } from "../helpers/azure-server.js";
import { useEnvironment } from "../helpers/environment.js";
import { startFaultProxy } from "../helpers/fault-proxy.js";
import { temporaryHome } from "../helpers/home.js";
import { objectSuite } from "../suites/objects.js";
import { storageSuite } from "../suites/storage.js";

await temporaryHome(t);
const server = await startAzureServer();
const proxy = await startFaultProxy(server.port);
t.teardown(() => Promise.all([server.close(), proxy.close()]));
server.buckets.set("flows", new Map());

const connection = (key: string) =>
  `DefaultEndpointsProtocol=http;AccountName=testaccount;AccountKey=${key};BlobEndpoint=${server.url}/testaccount;`;
const wrongKey = Buffer.from("another key").toString("base64");
useEnvironment(t, {
  AZURE_STORAGE_CONNECTION_STRING: connection(AZURE_TEST_KEY),
  AZURE_STORAGE_ACCOUNT: undefined,
  AZURE_STORAGE_KEY: undefined,
});
const place = (url = server.url) => ({ kind: "azure", container: "flows", endpoint: `${url}/testaccount` }) as const;

objectSuite(t, "Azure Blob", {
  place,
  proxy,
  credentials(which) {
    process.env.AZURE_STORAGE_CONNECTION_STRING = connection(which === "right" ? AZURE_TEST_KEY : wrongKey);
  },
  elsewhere: () => ({ ...place(), container: "no-such-place" }),
});
storageSuite(t, { type: "Azure", place: { ...place(), prefix: "saved" }, objects: server.buckets.get("flows")! });

t.test("the account and its address may come from the environment", async (t) => {
  const byString = openObjectStore({ kind: "azure", container: "flows" });
  await byString.put("x", Buffer.from("one"));
  await byString.close();
  useEnvironment(t, {
    AZURE_STORAGE_CONNECTION_STRING: undefined,
    AZURE_STORAGE_ACCOUNT: "testaccount",
    AZURE_STORAGE_KEY: AZURE_TEST_KEY,
  });
  const byKey = openObjectStore(place());
  t.teardown(() => byKey.close());
  t.equal(String(await byKey.get("x")), "one");
});

t.test("a place in no account is told as such", async (t) => {
  useEnvironment(t, { AZURE_STORAGE_CONNECTION_STRING: undefined });
  const store = openObjectStore({ kind: "azure", container: "flows" });
  t.teardown(() => store.close());
  await t.rejects(store.get("x"), { code: "TASK_OPTIONS_INVALID", hint: /`account`/ });
});
