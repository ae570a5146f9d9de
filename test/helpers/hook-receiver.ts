import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** A request as a receiver of cloud hooks got it. */
export interface ToldRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HookReceiver {
  readonly url: string;
  readonly requests: ToldRequest[];
  /** The requests to a path, in their order. */
  at(path: string): ToldRequest[];
  /** How the next requests are answered; at first with status 200. An answer that is not ended hangs. */
  answer: (request: ToldRequest, response: ServerResponse) => void;
}

/** A real HTTP server for cloud hooks, which answers as it is told; closed, with all its connections, when the test ends. */
export async function startReceiver(t: Teardown): Promise<HookReceiver> {
  const requests: ToldRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      const told = { method, path, headers, body: Buffer.concat(chunks).toString() };
      requests.push(told);
      receiver.answer(told, response);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const receiver: HookReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    at: (path) => requests.filter((request) => request.path === path),
    answer: (_, response) => void response.end("ok"),
  };
  return receiver;
}
