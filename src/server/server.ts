import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { MillraceError } from "../core/errors.js";
import type { Database } from "../db/database.js";
import { openDatabase } from "../db/open-database.js";
import { Authenticator } from "./access/auth.js";
import { makeFirstKey } from "./access/first-key.js";
import { KnownKeys } from "./access/known-keys.js";
import { AgentEvents } from "./agents/agent-events.js";
import { Presence } from "./agents/presence.js";
import { makePublisher } from "./agents/publisher.js";
import { makeGraphqlApi } from "./api/graphql-api.js";
import { makeSchema } from "./api/schema.js";
import { HookDeliveries, type HookOptions } from "./hooks/deliveries.js";
import { makeRequestListener } from "./http/http-api.js";
import { isConnectionRequest, OpenConnections } from "./http/open-connections.js";
import { type ServerClock, type ServerLogLine, type ServerParts, toInstant } from "./parts.js";
import { ParameterChecks } from "./registration/parameter-checks.js";
import { type KeySource, keySource } from "./secrets/sealing-keys.js";
import { Vault } from "./secrets/vault.js";
import { DueTimer } from "./services/due-timer.js";
import { ServiceRunner, type ServiceStatus } from "./services/service-runner.js";
import { makeServices, type ServiceOptions } from "./services/services.js";

/** How to start a Cloud. */
export interface ServerOptions {
  /** The path of a SQLite file, which is made where there is none, or `postgres://user:password@host/database`. */
  database: string;
  /** Default 4200, as Prefect's; 0 takes any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Must be true for a `host` that other machines can reach: the API speaks plain HTTP. Default false. */
  allowRemote?: boolean;
  /** `FULL`: a commit survives a power cut too, for one disk flush each. Default `NORMAL`: it survives any crash of the process. */
  synchronous?: "NORMAL" | "FULL";
  /** How often the services are looked at, and expired leases looked for, in milliseconds. Default 1,000. */
  tickMs?: number;
  /** Periods and thresholds of the scheduler, the zombie killer and the other services. */
  services?: ServiceOptions;
  /** What secrets are sealed with. Default: the variable MILLRACE_SECRETS_KEY, else a file beside the database, made when it is needed. */
  secretsKey?: KeySource;
  /** How cloud hooks are sent. */
  hooks?: HookOptions;
  clock?: ServerClock;
  /** Takes the server's own log. Default: errors go to stderr. */
  log?: (line: ServerLogLine) => void;
}

/** A running Cloud. */
export interface Server {
  readonly url: string;
  readonly port: number;
  /** The first key, when this start made it; it is shown nowhere else. */
  readonly token: string | undefined;
  readonly database: Database;
  /** How many subscriptions are open. */
  readonly listeners: number;
  /** How each service is doing. */
  readonly services: readonly ServiceStatus[];
  /** One round of the services that are due by the clock. The server does it by itself; a test need not wait. */
  tick(): Promise<void>;
  /** Ends subscriptions, lets requests finish, and closes the database. Safe to call twice. */
  close(): Promise<void>;
}

export const DEFAULT_PORT = 4200;
const DEFAULT_TICK_MS = 1_000;
/** How long requests under way may take to finish when the server closes. */
const CLOSE_GRACE_MS = 5_000;
const CLOSE_LOOK_MS = 10;
/** Longer than clients keep an idle connection, so that none is closed as it is used again. */
const KEEP_ALIVE_MS = 75_000;

/**
 * Starts a Cloud: opens its database, listens, and makes the first key where there is none.
 * @throws DATABASE_FAILED, DATABASE_TOO_NEW, ADDRESS_IN_USE, ADDRESS_NOT_LOCAL
 * @example
 * const server = await startServer({ database: "./millrace.db" });
 * console.log(server.url, server.token);
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const host = options.host ?? "127.0.0.1";
  refuseRemote(host, options.allowRemote ?? false);
  const database = await openDatabase(options.database, { synchronous: options.synchronous ?? "NORMAL" });
  try {
    return await startOver(database, host, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function startOver(database: Database, host: string, options: ServerOptions): Promise<Server> {
  const clock = options.clock ?? { now: () => Date.now(), elapsed: () => performance.now() };
  const events = new AgentEvents();
  const log = options.log ?? logToStderr;
  const vault = new Vault(options.secretsKey ?? keySource(options.database));
  const parts: ServerParts = {
    database,
    clock,
    events,
    presence: new Presence(),
    keys: new KnownKeys(),
    parameters: new ParameterChecks(log),
    vault,
    hooks: new HookDeliveries({ database, clock, log, vault }, options.hooks),
    log,
    publish: (effects) => publish(effects),
  };
  const dueTimer = new DueTimer(parts);
  const publish = makePublisher({ ...parts, dueTimer });
  const api = makeGraphqlApi(makeSchema(database), parts, new Authenticator(parts));
  const connections = new OpenConnections(api, log, { idleMs: KEEP_ALIVE_MS });
  const http = createServer(
    // Node 22 does not know the last one: there, who offers another upgrade is answered with status 400.
    { keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true, shouldUpgradeCallback: isConnectionRequest },
    makeRequestListener(api, parts),
  );
  connections.attach(http);
  const port = await listen(http, host, options.port ?? DEFAULT_PORT);
  const token = await firstKeyOf(parts, http, connections);
  const services = makeServices(dueTimer, options.services ?? {});
  const runner = new ServiceRunner(parts, services, options.tickMs ?? DEFAULT_TICK_MS);
  runner.start();
  dueTimer.start().catch((error) => log({ level: "error", message: "Due runs could not be looked up.", error }));
  let closed: Promise<void> | undefined;
  const close = async () => {
    await Promise.all([runner.stop(), dueTimer.stop()]);
    await parts.hooks.stop();
    events.close();
    await closeHttp(http, connections);
    await parts.presence.flush(database);
    await database.close();
  };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    token,
    database,
    get listeners() {
      return events.listeners;
    },
    get services() {
      return runner.statuses;
    },
    tick: () => runner.tick(),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

/** Made only when the server listens: the key is shown once, and a start that fails shows nothing. */
async function firstKeyOf(
  { database, clock }: ServerParts,
  http: HttpServer,
  connections: OpenConnections,
): Promise<string | undefined> {
  try {
    return await makeFirstKey(database, toInstant(clock.now()));
  } catch (error) {
    await closeHttp(http, connections);
    throw error;
  }
}

function listen(http: HttpServer, host: string, port: number): Promise<number> {
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

async function closeHttp(http: HttpServer, connections: OpenConnections): Promise<void> {
  const done = new Promise<void>((resolve) => http.close(() => resolve()));
  connections.drain();
  // A connection whose answer has just ended stays open for the next request, and nobody closes it but us.
  const idle = setInterval(() => http.closeIdleConnections(), CLOSE_LOOK_MS);
  const grace = setTimeout(() => {
    http.closeAllConnections();
    connections.destroy();
  }, CLOSE_GRACE_MS);
  await done;
  clearInterval(idle);
  clearTimeout(grace);
}

function refuseRemote(host: string, allowed: boolean): void {
  if (allowed || host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)) return;
  throw new MillraceError(
    "ADDRESS_NOT_LOCAL",
    `The server was asked to listen on "${host}", which other machines may reach.`,
    {
      hint: "The API speaks plain HTTP: put a TLS proxy before it, and say that it may listen there (allowRemote).",
    },
  );
}

function logToStderr({ level, message, error }: ServerLogLine): void {
  if (level !== "error") return;
  const text = error instanceof Error ? (error.stack ?? error.message) : error === undefined ? "" : String(error);
  process.stderr.write(`millrace: ${message}\n${text}\n`);
}
