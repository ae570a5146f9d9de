import { type ChildProcess, execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadPg } from "../../src/db/postgres/load-pg.js";
import { eventually } from "./eventually.js";
import { repository } from "./fixture.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** A Postgres server that one test may stop and start as it likes. */
export interface OwnPostgres {
  /** Of an empty database. */
  readonly url: string;
  /** Stops it without letting anybody finish, and starts it again. */
  restart(): Promise<void>;
}

const TELL =
  "console.log(JSON.stringify({ url: process.env.MILLRACE_TEST_POSTGRES, control: process.env.MILLRACE_TEST_POSTGRES_CONTROL })); process.stdin.resume()";

/** Starts one by `scripts/with-postgres.mjs`; it is removed when the test ends. */
export async function ownPostgres(t: Teardown): Promise<OwnPostgres> {
  const env = { ...process.env, MILLRACE_TEST_POSTGRES: "" };
  const child = spawn(
    process.execPath,
    [join(repository, "scripts", "with-postgres.mjs"), process.execPath, "-e", TELL],
    {
      env,
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  t.teardown(() => end(child));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  await eventually(() => text.includes("\n"), { timeoutMs: 30_000, message: "a Postgres server of the test's own" });
  const { url, control } = JSON.parse(text) as { url: string; control: string };
  await keepCommits(url);
  const [program, ...words] = JSON.parse(control) as [string, ...string[]];
  const at = words.indexOf("-D");
  const run = (...verb: string[]) =>
    promisify(execFile)(program, [...words.slice(0, at), ...verb, ...words.slice(at)], { cwd: "/" });
  return {
    url,
    async restart() {
      await run("stop", "-m", "immediate");
      await run("start");
    },
  };
}

/** The script's servers answer a commit before it is written down, which is well for tests that never stop them. */
async function keepCommits(url: string): Promise<void> {
  const { Client } = await loadPg();
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("ALTER ROLE CURRENT_USER SET synchronous_commit = on");
  } finally {
    await client.end();
  }
}

/** The script passes the signal on, and removes its server when the command beside it has ended. */
async function end(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once("exit", resolve));
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await exited;
}
