/*
 * Runs a command beside a Postgres server of its own, in a folder that is removed afterwards:
 *
 *     node scripts/with-postgres.mjs tap dist/test/db/*.test.js
 *
 * The command finds the server's URL in MILLRACE_TEST_POSTGRES; behind --may-restart also what starts and stops it, in
 * MILLRACE_TEST_POSTGRES_CONTROL: pg_ctl and its words as a JSON list, without the verb. Where a URL is in the environment already, that server is used. Postgres' programs are looked for in POSTGRES_BIN, on the
 * PATH, and where Debian puts them. Nothing is flushed to the disk, so a commit survives the server's crash and no power cut.
 */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const [first, ...others] = process.argv.slice(2);
const mayRestart = first === "--may-restart";
const [command, ...words] = mayRestart ? others : [first, ...others];
if (command === undefined) {
  console.error("Usage: node scripts/with-postgres.mjs [--may-restart] <command> [words…]");
  process.exit(1);
}

/** More than 8 test files at a time with two servers each, and their pools. */
const MAX_CONNECTIONS = 500;
const SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  max_connections: MAX_CONNECTIONS,
  // Each test file has databases of its own, and each database a worker that would look through it.
  autovacuum: "off",
  deadlock_timeout: "100ms",
};

function findPrograms() {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    process.env.POSTGRES_BIN,
    ...(process.env.PATH ?? "").split(delimiter),
    ...versions.map((version) => join(debian, version, "bin")),
  ];
  return folders.find((folder) => folder && existsSync(join(folder, "initdb")) && existsSync(join(folder, "pg_ctl")));
}

/** Postgres refuses to run as root: then its own user runs it. */
const isRoot = process.getuid?.() === 0;
const asOwner = (program, args) => (isRoot ? ["runuser", ["-u", "postgres", "--", program, ...args]] : [program, args]);

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function startPostgres() {
  const bin = findPrograms();
  if (bin === undefined) {
    console.error(
      "No Postgres was found. Install it (apt-get install postgresql), or name its folder in POSTGRES_BIN.",
    );
    process.exit(1);
  }
  const folder = mkdtempSync(join(tmpdir(), "millrace-postgres-"));
  chmodSync(folder, 0o700);
  if (isRoot) {
    const idOf = (flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
    chownSync(folder, idOf("-u"), idOf("-g"));
  }
  const data = join(folder, "data");
  const run = (program, args) => {
    const [file, all] = asOwner(join(bin, program), args);
    execFileSync(file, all, { cwd: "/", stdio: ["ignore", "ignore", "inherit"] });
  };
  run("initdb", ["-D", data, "-U", "millrace", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
  const port = await freePort();
  const settings = Object.entries({
    ...SETTINGS,
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
  });
  const options = settings.map(([name, value]) => `-c ${name}='${value}'`).join(" ");
  const control = ["-D", data, "-l", join(folder, "log"), "-o", options, "-w", "-s"];
  run("pg_ctl", ["start", ...control]);
  const [file, all] = asOwner(join(bin, "pg_ctl"), control);
  return {
    url: `postgres://millrace@127.0.0.1:${port}/postgres`,
    control: JSON.stringify([file, ...all]),
    stop: () => {
      run("pg_ctl", ["stop", "-m", "immediate", ...control]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function runCommand(env) {
  const child = spawn(command, words, { stdio: "inherit", env });
  // The command hears it too, and decides; the server must outlive it.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`"${command}" cannot be run: ${error.message}`);
      resolve(1);
    });
    child.once("exit", (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}

if (process.env.MILLRACE_TEST_POSTGRES) {
  process.exitCode = await runCommand(process.env);
} else {
  const server = await startPostgres();
  try {
    process.exitCode = await runCommand({
      ...process.env,
      MILLRACE_TEST_POSTGRES: server.url,
      ...(mayRestart ? { MILLRACE_TEST_POSTGRES_CONTROL: server.control } : {}),
    });
  } finally {
    server.stop();
  }
}
