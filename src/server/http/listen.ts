import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { MillraceError } from "../../core/errors.js";
import { isConnectionRequest, type OpenConnections } from "./open-connections.js";
import { readTls, type TlsFiles } from "./tls.js";

export const DEFAULT_PORT = 4200;
/** Longer than clients keep an idle connection, so that none is closed as it is used again. */
export const KEEP_ALIVE_MS = 75_000;
/** The head of a request comes in one piece; 5 MiB of body take a slow line of 1 Mbit/s 40 s. */
const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** How often Node looks for requests that take longer. */
const TIMEOUT_LOOK_MS = 5_000;
/** Clients send some ten; what is beyond is dropped by Node, as is a head of more than 16 KiB, with status 431. */
const MAX_HEADERS = 100;
const CLOSE_LOOK_MS = 10;

/** Where to listen. */
export interface ListenOptions {
  host: string;
  port: number;
  tls?: TlsFiles | undefined;
}

/** A server that listens, for plain HTTP or TLS. */
export interface Listening {
  readonly http: HttpServer;
  readonly port: number;
  readonly url: string;
  /** Reads certificate and key anew; connections that are open keep theirs. Nothing to do without TLS. @throws TLS_FILES_INVALID */
  reloadTls(): void;
}

/** @throws ADDRESS_IN_USE, TLS_FILES_INVALID */
export async function listen(
  { host, port, tls }: ListenOptions,
  answer: RequestListener,
  connections: OpenConnections,
): Promise<Listening> {
  const options = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_LOOK_MS,
    noDelay: true,
    // Node 22 does not know it: there, who offers another upgrade is answered with status 400.
    shouldUpgradeCallback: isConnectionRequest,
  };
  const secure = tls && createTlsServer({ ...options, ...readTls(tls) }, answer);
  const http: HttpServer = secure ?? createServer(options, answer);
  http.maxHeadersCount = MAX_HEADERS;
  connections.attach(http);
  const taken = await listenAt(http, host, port);
  return {
    http,
    port: taken,
    url: `${secure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    reloadTls: () => {
      if (tls) secure?.setSecureContext(readTls(tls));
    },
  };
}

function listenAt(http: HttpServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => reject(explainListen(error, host, port)));
    http.listen(port, host, () => resolve((http.address() as AddressInfo).port));
  });
}

function explainListen(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  if (error.code !== "EADDRINUSE") return error;
  return new MillraceError("ADDRESS_IN_USE", `Port ${port} of ${host} is taken.`, {
    hint: "Stop the program that listens there, or give another port.",
    cause: error,
  });
}

/** Takes no new connection, lets what is under way finish, and cuts the rest off when `hurry` fires. */
export async function closeHttp(http: HttpServer, connections: OpenConnections, hurry: AbortSignal): Promise<void> {
  const done = new Promise<void>((resolve) => http.close(() => resolve()));
  connections.drain();
  // A connection whose answer has just ended stays open for the next request, and nobody closes it but us.
  const idle = setInterval(() => http.closeIdleConnections(), CLOSE_LOOK_MS);
  const cut = () => {
    http.closeAllConnections();
    connections.destroy();
  };
  hurry.addEventListener("abort", cut);
  if (hurry.aborted) cut();
  await done;
  hurry.removeEventListener("abort", cut);
  clearInterval(idle);
}

/** @throws ADDRESS_NOT_LOCAL for an address beyond this machine, unless it is said to be meant or TLS is spoken there */
export function refuseRemote(host: string, allowed: boolean): void {
  if (allowed || host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)) return;
  throw new MillraceError(
    "ADDRESS_NOT_LOCAL",
    `The server was asked to listen on "${host}", which other machines may reach.`,
    {
      hint: "Give it a certificate (`--tls-cert`, `--tls-key`), or put a TLS proxy before it and say that it may listen there (`--allow-remote`).",
    },
  );
}
