import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { openSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "../helpers/eventually.js";

const run = promisify(execFile);

/** Debian's packages that hold the server's parts: 61 MB to fetch, 270 MB on the disk. */
export const CEPH_PACKAGES = "radosgw ceph-mon ceph-osd ceph-common";
export const CEPH_KEY = { accessKey: "TESTKEY", secret: "testsecret" };

export async function cephIsInstalled(): Promise<boolean> {
  const look = ["radosgw", "ceph-mon", "ceph-osd", "ceph", "radosgw-admin"].map((name) => run("which", [name]));
  return (await Promise.allSettled(look)).every(({ status }) => status === "fulfilled");
}

/**
 * Ceph's S3 gateway on loopback with all of its data in memory: one monitor, one store, one gateway, up in about 14 s.
 * Everything is gone after `close`.
 */
export async function startCeph(): Promise<{ port: number; url: string; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-ceph-"));
  const [port, monitorPort] = [await freePort(), await freePort()];
  const file = (...parts: string[]) => join(folder, ...parts);
  const env = { ...process.env, CEPH_CONF: file("ceph.conf") };
  const daemons: ChildProcess[] = [];
  const start = (name: string, args: readonly string[]) => {
    const log = openSync(file("log", `${name}.out`), "w");
    daemons.push(spawn(name, args, { env, stdio: ["ignore", log, log] }));
  };
  const once = (name: string, args: readonly string[], timeout = 60_000) => run(name, [...args], { env, timeout });
  const close = async () => {
    const ended = daemons.map((each) => new Promise((resolve) => each.once("exit", resolve)));
    for (const each of daemons.toReversed()) each.kill("SIGKILL");
    await Promise.all(daemons.map((each, index) => each.exitCode ?? each.signalCode ?? ended[index]));
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    for (const each of ["mon", "osd", "rgw", "run", "log"]) await mkdir(file(each));
    const id = randomUUID();
    await writeFile(file("ceph.conf"), configuration(folder, id, monitorPort));
    await once("ceph-authtool", ["-C", file("keyring"), "-n", "client.rgw.a", "--gen-key"]);
    const monitor = `[v1:127.0.0.1:${monitorPort}]`;
    await once("monmaptool", ["--create", "--fsid", id, "--addv", "a", monitor, file("monmap")]);
    await once("ceph-mon", ["--mkfs", "-i", "a", "--monmap", file("monmap"), "-k", file("keyring")]);
    start("ceph-mon", ["-i", "a", "-f"]);
    const store = randomUUID();
    await eventually(async () => (await once("ceph", ["osd", "new", store], 5_000)) !== undefined, {
      timeoutMs: 30_000,
    });
    await once("ceph-osd", ["-i", "0", "--mkfs", "--osd-uuid", store]);
    start("ceph-osd", ["-i", "0", "-f"]);
    await eventually(async () => /1 up/.test((await once("ceph", ["osd", "stat"], 5_000)).stdout), {
      timeoutMs: 30_000,
    });
    const { accessKey, secret } = CEPH_KEY;
    const user = ["--uid=test", "--display-name=test", `--access-key=${accessKey}`, `--secret-key=${secret}`];
    await once("radosgw-admin", ["user", "create", ...user, "-n", "client.rgw.a"]);
    const front = `--rgw_frontends=beast endpoint=127.0.0.1:${port}`;
    start("radosgw", ["-f", "-n", "client.rgw.a", "-k", file("keyring"), front]);
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => (await fetch(url)).ok, { timeoutMs: 30_000, everyMs: 100 });
    return { port, url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function configuration(folder: string, id: string, monitorPort: number): string {
  const lines = {
    fsid: id,
    "mon host": `127.0.0.1:${monitorPort}`,
    "mon initial members": "a",
    "auth cluster required": "none",
    "auth service required": "none",
    "auth client required": "none",
    "auth allow insecure global id reclaim": "true",
    "osd pool default size": "1",
    "osd pool default min size": "1",
    "osd pool default pg num": "1",
    "osd pool default pgp num": "1",
    "osd crush chooseleaf type": "0",
    "mon max pg per osd": "1000",
    "osd objectstore": "memstore",
    "memstore device bytes": String(1024 ** 3),
    "run dir": join(folder, "run"),
    "admin socket": join(folder, "run", "$cluster-$name.asok"),
    "log file": join(folder, "log", "$name.log"),
    "public network": "127.0.0.0/8",
    "cluster network": "127.0.0.0/8",
    "mon data": join(folder, "mon"),
    "osd data": join(folder, "osd"),
    "mon data avail warn": "1",
    "mon data avail crit": "1",
    "ms bind ipv4": "true",
    // The second protocol wants authentication set up.
    "ms bind msgr2": "false",
    "rgw dynamic resharding": "false",
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`);
  return ["[global]", ...text, "[client.rgw.a]", `rgw data = ${join(folder, "rgw")}`, ""].join("\n");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
