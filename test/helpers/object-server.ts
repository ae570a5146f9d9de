import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An object as a server keeps it. */
export interface KeptObject {
  bytes: Buffer;
  metadata: Record<string, string>;
}

/** A request with all of its body: a server that has not got it whole stores nothing. */
export interface WholeRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: URL;
  readonly rawPath: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/**
 * A server in this process that speaks as much of a vendor's protocol as its SDK uses here: credentials checked as the
 * vendor checks them, conditional writes, hashes of uploads, and the vendor's error codes. The same tests run against real
 * servers where they are installed (test/services).
 */
export interface ObjectServer {
  readonly port: number;
  readonly url: string;
  /** By bucket, then by key. */
  readonly buckets: Map<string, Map<string, KeptObject>>;
  /** `PUT /path` of every request, in order. */
  readonly requests: string[];
  close(): Promise<void>;
}

export type Answer = (request: WholeRequest, response: ServerResponse, server: ObjectServer) => void;

export async function startObjectServer(answer: Answer): Promise<ObjectServer> {
  const buckets: ObjectServer["buckets"] = new Map();
  const requests: string[] = [];
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      requests.push(`${request.method} ${request.url}`);
      answer(wholeOf(request, Buffer.concat(chunks)), response, server);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  const server: ObjectServer = {
    port,
    url: `http://127.0.0.1:${port}`,
    buckets,
    requests,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}

function wholeOf(request: IncomingMessage, body: Buffer): WholeRequest {
  const url = new URL(request.url ?? "/", "http://host");
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  return { method: request.method ?? "GET", url, rawPath: (request.url ?? "/").split("?")[0]!, headers, body };
}

/** The headers that begin so, without the beginning. */
export function headersFrom(headers: Record<string, string>, start: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith(start))
      .map(([name, value]) => [name.slice(start.length), value]),
  );
}

export function withStart(metadata: Record<string, string>, start: string): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [start + name, value]));
}
