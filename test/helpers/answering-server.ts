import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the server got it. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

/** Answers one request; what it returns goes back as JSON under `data`, unless it has written to `response` itself. */
export type Answering = (request: Received, response: ServerResponse) => unknown;

export interface AnsweringServer {
  readonly url: string;
  readonly received: Received[];
  /** Open connections at this moment. */
  connections(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * A server that speaks the shapes of the Cloud's protocol and answers as it is told: for what a real Cloud does only when
 * it is broken. `port` 0 takes a free one.
 */
export async function startAnsweringServer(answer: Answering, port = 0): Promise<AnsweringServer> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    // A client that asks often asks for an open connection: this server has none.
    if (request.method === "GET") return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { query, variables } = JSON.parse(Buffer.concat(chunks).toString()) as Received;
      const one = { path: request.url ?? "", headers: request.headers, query, variables };
      received.push(one);
      const data = answer(one, response);
      if (data === undefined || response.headersSent || response.destroyed) return;
      response.setHeader("content-type", "application/json").end(JSON.stringify({ data }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    connections: () => countConnections(server),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers a GraphQL error, as the Cloud does: status 200 unless told otherwise. */
export function answerError(response: ServerResponse, error: object, status = 200): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/json").end(JSON.stringify({ data: null, errors: [error] }));
}

function countConnections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
