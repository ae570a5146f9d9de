import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startServer } from "../../src/server/server.js";
import { databaseAt } from "./test-database.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

export interface ServerProcess {
  url: string;
  port: number;
  /** The first key; undefined when the database had one. */
  token: string | undefined;
  kill(): Promise<void>;
  /** Puts its clock forward, or back. */
  stepClock(ms: number): Promise<void>;
}

/** A Cloud in a process of its own, which a test may kill. */
export async function startServerProcess(t: Teardown, database: string, port = 0): Promise<ServerProcess> {
  const place = await databaseAt(t, database);
  const child = start(t, "server-process.js", { database: place, port });
  const { url, port: taken, token } = await firstMessage<{ url: string; port: number; token?: string }>(child);
  return { url, port: taken, token, kill: () => kill(child), stepClock: (ms) => stepClock(child, ms) };
}

/** The same in this very process, which takes a tenth of the time to start; nobody can kill it. */
export async function startServerHere(t: Teardown, database: string): Promise<ServerProcess> {
  const server = await startServer({ database: await databaseAt(t, database), port: 0, tickMs: 200 });
  t.teardown(() => server.close({ hurry: true }));
  const { url, port, token } = server;
  const refuse = () => Promise.reject(new Error("Open the bed with `killable`: its Cloud is this process."));
  return { url, port, token, kill: refuse, stepClock: refuse };
}

export interface AgentProcess {
  pid: number;
  kill(): Promise<void>;
}

/** A LocalAgent in a process of its own, which a test may kill. */
export async function startAgentProcess(
  t: Teardown,
  options: { url: string; token: string; labels: readonly string[]; leaseMs: number; threads?: number },
  env: NodeJS.ProcessEnv = {},
): Promise<AgentProcess> {
  const child = start(t, "agent-process.js", options, env);
  await firstMessage(child);
  return { pid: child.pid!, kill: () => kill(child) };
}

function start(t: Teardown, file: string, options: unknown, env: NodeJS.ProcessEnv = {}): ChildProcess {
  const path = fileURLToPath(new URL(`./${file}`, import.meta.url));
  const child = fork(path, [JSON.stringify(options)], { env: { ...process.env, ...env } });
  t.teardown(() => kill(child));
  return child;
}

async function firstMessage<T>(child: ChildProcess): Promise<T> {
  const died = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the process ended (${code ?? signal}) before it was ready`);
  });
  const [message] = (await Promise.race([once(child, "message"), died])) as [T];
  died.catch(() => {});
  return message;
}

async function stepClock(child: ChildProcess, ms: number): Promise<void> {
  const stepped = once(child, "message");
  child.send(ms);
  await stepped;
}

/** SIGKILL: the process has no chance to say goodbye. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
