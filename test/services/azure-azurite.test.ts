import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { BlobServiceClient } from "@azure/storage-blob";
import t from "tap";
import { useEnvironment } from "../helpers/environment.js";
import { eventually } from "../helpers/eventually.js";
import { startFaultProxy } from "../helpers/fault-proxy.js";
import { temporaryHome } from "../helpers/home.js";
import { repositoryFolder } from "../helpers/source-tree.js";
import { objectSuite } from "../suites/objects.js";
import { storageSuite } from "../suites/storage.js";

/** The account that the emulator has by itself; both are public. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const main = join(repositoryFolder, "services/node_modules/azurite/dist/src/blob/main.js");

// The same suites as test/storage/azure.test.ts, against Microsoft's own emulator.
if (existsSync(main)) {
  const home = await temporaryHome(t);
  const port = await freePort();
  const server = spawn(
    process.execPath,
    [
      main,
      ...["--blobHost", "127.0.0.1", "--blobPort", String(port), "--location", join(home, "azurite")],
      ...["--skipApiVersionCheck", "--silent", "--disableTelemetry"],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  t.teardown(() => ended(server));
  const proxy = await startFaultProxy(port);
  t.teardown(() => proxy.close());
  const connection = (key: string) =>
    `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`;
  useEnvironment(t, { AZURE_STORAGE_CONNECTION_STRING: connection(KEY) });
  await eventually(() => fetch(`http://127.0.0.1:${port}/`), { timeoutMs: 30_000, everyMs: 100 });
  await BlobServiceClient.fromConnectionString(connection(KEY)).createContainer("flows");

  const place = (url = `http://127.0.0.1:${port}`) =>
    ({ kind: "azure", container: "flows", endpoint: `${url}/${ACCOUNT}` }) as const;
  objectSuite(t, "Azure Blob by azurite", {
    place,
    proxy,
    credentials(which) {
      const key = which === "right" ? KEY : Buffer.from("another key").toString("base64");
      process.env.AZURE_STORAGE_CONNECTION_STRING = connection(key);
    },
    elsewhere: () => ({ ...place(), container: "no-such-place" }),
  });
  storageSuite(t, { type: "Azure", place: { ...place(), prefix: "saved" } });
} else {
  t.test("Azure Blob by azurite", { skip: "not installed: npm ci --prefix services" }, () => {});
}

async function ended(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once("exit", resolve));
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill();
  await exited;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
