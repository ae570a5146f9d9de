import t from "tap";
import { openObjectStore } from "../../src/storage/open-objects.js";
import { useEnvironment } from "../helpers/environment.js";
import { startFaultProxy } from "../helpers/fault-proxy.js";
import { startGcsServer, writeGcsCredentials } from "../helpers/gcs-server.js";
import { temporaryHome } from "../helpers/home.js";
import { objectSuite } from "../suites/objects.js";
import { storageSuite } from "../suites/storage.js";

const home = await temporaryHome(t);
const server = await startGcsServer();
const proxy = await startFaultProxy(server.port);
t.teardown(() => Promise.all([server.close(), proxy.close()]));
server.buckets.set("flows", new Map());

const right = await writeGcsCredentials(home, server);
const wrong = await writeGcsCredentials(home, server, false);
// Without the second the SDK would ask Google's machines who this one is.
useEnvironment(t, { GOOGLE_APPLICATION_CREDENTIALS: right, METADATA_SERVER_DETECTION: "none" });
const place = (url = server.url) => ({ kind: "gcs", bucket: "flows", endpoint: url }) as const;

objectSuite(t, "GCS", {
  place,
  proxy,
  credentials(which) {
    process.env.GOOGLE_APPLICATION_CREDENTIALS = which === "right" ? right : wrong;
  },
  elsewhere: () => ({ ...place(), bucket: "no-such-place" }),
});
storageSuite(t, { type: "GCS", place: { ...place(), prefix: "saved" }, objects: server.buckets.get("flows")! });

t.test("a machine without credentials is told where they are looked for", async (t) => {
  useEnvironment(t, {
    GOOGLE_APPLICATION_CREDENTIALS: undefined,
    CLOUDSDK_CONFIG: t.testdir(),
    HOME: t.testdir(),
  });
  const store = openObjectStore({ ...place(), prefix: "nobody" });
  t.teardown(() => store.close());
  await t.rejects(store.get("x"), { code: "STORAGE_UNAUTHORIZED", hint: /GOOGLE_APPLICATION_CREDENTIALS/ });
});
