import { PassThrough } from "node:stream";
import type Docker from "dockerode";

/** Lines of a container's output that are told with its end. */
const TAIL_LINES = 20;

/** What a container printed last; empty when nobody can tell any more. */
export async function lastLines(docker: Docker, container: Docker.Container): Promise<string[]> {
  const whole = await container
    .logs({ follow: false, stdout: true, stderr: true, tail: TAIL_LINES })
    .catch(() => undefined);
  if (whole === undefined) return [];
  const lines: string[] = [];
  const stream = new PassThrough();
  const read = readLines(docker, stream, (line) => lines.push(line));
  stream.end(whole);
  await read;
  return lines;
}

/** Hands on what a container prints until it ends. Never rejects: lines are a convenience. */
export async function followLines(
  docker: Docker,
  container: Docker.Container,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const opened = await container
    .logs({ follow: true, stdout: true, stderr: true, abortSignal: signal })
    .catch(() => undefined);
  if (opened !== undefined) await readLines(docker, opened, onLine);
}

async function readLines(docker: Docker, from: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  const out = new PassThrough();
  docker.modem.demuxStream(from, out, out);
  from.once("end", () => out.end());
  from.once("close", () => out.end());
  from.once("error", () => out.end());
  let rest = "";
  for await (const text of out.setEncoding("utf8")) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) onLine(line.trimEnd());
  }
  if (rest !== "") onLine(rest.trimEnd());
}
