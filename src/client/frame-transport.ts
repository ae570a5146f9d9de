import { type ClientRequest, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { FRAME_PATH, FRAME_PROTOCOL } from "../codec/frames.js";
import { OpenConnection } from "./open-connection.js";
import { retryDelayMs } from "./retry.js";
import type { Answer, Request, Transport } from "./transport.js";

/**
 * A client that has asked so often will ask on, and gets a connection that stays open: a round trip over it takes 145 µs
 * in place of 265, at half the processor time. Commands that ask once or twice do without.
 */
const ASKED_BEFORE_OPENING = 8;
/** A longer body goes by a request of its own, and nobody waits behind it; it gains nothing by the open connection. */
const MAX_CALL_CHARS = 64 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
/** After so many connections in a row that were opened and never answered, something between passes none of ours. */
const MAX_SILENT = 3;
/** Of a server that is being started or stopped; any other answer than the upgrade means that there will be none. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/**
 * Posts over one open connection when there is one, else by requests over `pool`. It is opened beside the requests of a client
 * that asks often, and made anew when it breaks; behind a proxy that lets none through everything goes by requests.
 */
export function frameTransport(pool: Transport, endpoint: URL, timeoutMs: number): Transport {
  const opener = new Opener(endpoint, timeoutMs);
  return {
    post(request: Request): Promise<Answer> {
      const connection = opener.connectionFor(request.headers);
      if (connection && request.body.length <= MAX_CALL_CHARS) return connection.call(request.body);
      return pool.post(request);
    },
    stream: (request, signal) => pool.stream(request, signal),
    close: async () => {
      await Promise.all([opener.close(), pool.close()]);
    },
  };
}

class Opener {
  readonly #endpoint: URL;
  readonly #timeoutMs: number;
  #headers: Record<string, string> | undefined;
  #connection: OpenConnection | undefined;
  #asking: ClientRequest | undefined;
  #asked = 0;
  #refused = false;
  #failures = 0;
  #silent = 0;
  #notBefore = 0;

  constructor(endpoint: URL, timeoutMs: number) {
    this.#endpoint = endpoint;
    this.#timeoutMs = timeoutMs;
  }

  /** The open connection, if there is one whose headers these are. Otherwise one may be on its way for the next call. */
  connectionFor(headers: Record<string, string>): OpenConnection | undefined {
    this.#asked += 1;
    if (this.#connection?.usable) return headers === this.#headers ? this.#connection : undefined;
    const waits = this.#connection !== undefined || this.#asking !== undefined || this.#refused;
    if (!waits && this.#asked > ASKED_BEFORE_OPENING && performance.now() >= this.#notBefore) this.#open(headers);
    return undefined;
  }

  async close(): Promise<void> {
    this.#refused = true;
    this.#asking?.destroy();
    await this.#connection?.close();
  }

  #open(headers: Record<string, string>): void {
    const url = new URL(this.#endpoint);
    url.pathname = `${url.pathname}/${FRAME_PATH}`;
    const request = url.protocol === "https:" ? httpsRequest : httpRequest;
    const asking = request(url, {
      agent: false,
      timeout: CONNECT_TIMEOUT_MS,
      headers: { ...headers, connection: "Upgrade", upgrade: FRAME_PROTOCOL },
    });
    this.#asking = asking;
    this.#headers = headers;
    asking.once("socket", (socket) => socket.unref());
    asking.once("timeout", () => asking.destroy());
    asking.once("upgrade", ({ headers: { upgrade } }, socket: Socket, head: Buffer) => {
      if (upgrade !== FRAME_PROTOCOL) {
        this.#refused = true;
        socket.destroy();
      } else if (!this.#refused) this.#take(socket, head);
      else socket.destroy();
    });
    asking.once("response", ({ statusCode = 0 }) => {
      if (!PASSING_STATUSES.has(statusCode)) this.#refused = true;
      asking.destroy();
    });
    // Requests go on without, and meet the same trouble if it lasts: that is where it is told.
    asking.on("error", () => {});
    asking.once("close", () => {
      this.#asking = undefined;
      if (!this.#connection) this.#pause();
    });
    asking.end();
  }

  #take(socket: Socket, head: Buffer): void {
    socket.setTimeout(0);
    if (head.length > 0) socket.unshift(head);
    this.#connection = new OpenConnection(socket, this.#timeoutMs, (answered) => {
      this.#connection = undefined;
      this.#silent = answered ? 0 : this.#silent + 1;
      if (this.#silent >= MAX_SILENT) this.#refused = true;
      if (answered) this.#failures = 0;
      else this.#pause();
    });
  }

  #pause(): void {
    this.#failures += 1;
    this.#notBefore = performance.now() + retryDelayMs(this.#failures);
  }
}
