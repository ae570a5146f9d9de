import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadPg } from "../src/db/postgres/load-pg.js";

/** A database of one kind that is gone when the bench is over. */
export interface Place {
  kind: "SQLite" | "Postgres";
  /** What `openDatabase` takes. */
  url: string;
  drop(): Promise<void>;
}

/** The kinds of databases there are here: Postgres when MILLRACE_TEST_POSTGRES names a server. */
export const kinds = (): Place["kind"][] => (process.env.MILLRACE_TEST_POSTGRES ? ["SQLite", "Postgres"] : ["SQLite"]);

let made = 0;

export async function makePlace(kind: Place["kind"]): Promise<Place> {
  if (kind === "SQLite") {
    const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
    return {
      kind,
      url: join(folder, "cloud.db"),
      drop: async () => rmSync(folder, { recursive: true, force: true }),
    };
  }
  made += 1;
  const name = `millrace_bench_${process.pid}_${made}`;
  const url = new URL(process.env.MILLRACE_TEST_POSTGRES!);
  await onPostgres(url.href, `CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  return { kind, url: own.href, drop: () => onPostgres(url.href, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function onPostgres(url: string, sql: string): Promise<void> {
  const { Client } = await loadPg();
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A Cloud in a process of its own over a database; the token is its first start's. */
export async function startCloud(place: Place): Promise<{ url: string; token?: string; stop(): Promise<void> }> {
  const child: ChildProcess = fork(fileURLToPath(new URL("./server-process.js", import.meta.url)), [place.url]);
  const [address] = (await once(child, "message")) as [{ url: string; token?: string }];
  return {
    ...address,
    async stop() {
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    },
  };
}
