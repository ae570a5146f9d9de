import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { Pool } from "undici";
import { median } from "./table.js";

/** What the machine itself allows, in milliseconds, taken in the same run as everything that is held against it. */
export interface BareLimits {
  /** One keep-alive HTTP round trip over loopback to another process, 600 bytes each way. */
  httpMs: number;
  /** One SQLite transaction of one insert and one update (WAL, synchronous NORMAL). */
  commitMs: number;
  /** The same inside a transaction of many. */
  rowMs: number;
  /** One piscina task that does nothing, on a warm thread. */
  hopMs: number;
}

const BODY = JSON.stringify({ filling: "x".repeat(580) });

export async function measureBareLimits(scale: number): Promise<BareLimits> {
  const { commitMs, rowMs } = measureCommit(Math.round(3000 * scale));
  return {
    httpMs: await measureHttp(Math.round(3000 * scale)),
    commitMs,
    rowMs,
    hopMs: await measureHop(Math.round(3000 * scale)),
  };
}

async function measureHttp(rounds: number): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ["serve"], { stdio: "inherit" });
  const [port] = (await once(child, "message")) as [number];
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 1, pipelining: 1 });
  const spans: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const from = performance.now();
    const answer = await pool.request({
      path: "/",
      method: "POST",
      headers: { "content-type": "application/json" },
      body: BODY,
    });
    await answer.body.text();
    if (round >= rounds / 3) spans.push(performance.now() - from);
  }
  await pool.close();
  child.kill();
  return median(spans);
}

function serve(): void {
  const server = createServer((request, response) => {
    request.on("data", () => {});
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(BODY);
    });
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
}

function measureCommit(rounds: number): { commitMs: number; rowMs: number } {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const database = new DatabaseSync(join(folder, "bare.db"));
  database.exec(
    "pragma journal_mode = wal; pragma synchronous = normal; create table run (id integer primary key, state text); create table state (id integer primary key, run int, state text)",
  );
  database.exec("insert into run values (1, '')");
  const insert = database.prepare("insert into state (run, state) values (1, ?)");
  const update = database.prepare("update run set state = ? where id = 1");
  const state = "x".repeat(300);
  const write = () => {
    insert.run(state);
    update.run(state);
  };
  const spans: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const from = performance.now();
    database.exec("begin immediate");
    write();
    database.exec("commit");
    spans.push(performance.now() - from);
  }
  const from = performance.now();
  database.exec("begin immediate");
  for (let round = 0; round < rounds * 3; round += 1) write();
  database.exec("commit");
  const rowMs = (performance.now() - from) / (rounds * 3);
  database.close();
  rmSync(folder, { recursive: true });
  return { commitMs: median(spans), rowMs };
}

async function measureHop(rounds: number): Promise<number> {
  const pool = new Piscina({
    filename: new URL("./bare-task.js", import.meta.url).href,
    name: "bareTask",
    maxThreads: 1,
    minThreads: 1,
    atomics: "disabled",
  });
  const spans: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const from = performance.now();
    await pool.run(null);
    if (round >= rounds / 3) spans.push(performance.now() - from);
  }
  await pool.destroy();
  return median(spans);
}

if (process.argv[2] === "serve" && process.send) serve();
