import type { Server as HttpServer } from "node:http";
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
import { closeHttp, DEFAULT_PORT, KEEP_ALIVE_MS, listen, refuseRemote } from "./http/listen.js";
import { OpenConnections } from "./http/open-connections.js";
import { RequestGate } from "./http/request-gate.js";
import type { TlsFiles } from "./http/tls.js";
import { settleLimits } from "./limits/settle-limits.js";
import { Counts } from "./operations/counts.js";
import { makeOperations } from "./operations/operations.js";
import { logToStderr } from "./operations/server-log.js";
import { type ServerClock, type ServerLogLine, type ServerParts, toInstant } from "./parts.js";
import { ParameterChecks } from "./registration/parameter-checks.js";
import { type KeySource, keySource } from "./secrets/sealing-keys.js";
import { Vault } from "./secrets/vault.js";
import { checkClock } from "./services/check-clock.js";
import { DueTimer } from "./services/due-timer.js";
import { DEFAULT_SILENT_AFTER_MS } from "./services/heartbeats.js";
import { ServiceRunner, type ServiceStatus } from "./services/service-runner.js";
import { makeServices, type ServiceOptions } from "./services/services.js";

export { DEFAULT_PORT };

/** How to start a Cloud. */
export interface ServerOptions {
  /** The path of a SQLite file, which is made where there is none, or `postgres://user:password@host/database`. */
  database: string;
  /** Default 4200, as Prefect's; 0 takes any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Must be true for a `host` that other machines can reach, unless there is `tls`. Default false. */
  allowRemote?: boolean;
  /** Speaks HTTPS with this certificate and key. */
  tls?: TlsFiles;
  /** Names under which the Cloud is asked, besides loopback names, addresses and `host`. */
  allowHosts?: readonly string[];
  /** Origins, as `https://dash.example.com`, whose pages may call the API. Default: none. */
  allowOrigins?: readonly string[];
  /** Requests under way at once; further ones are answered with status 503. Default 1,000. */
  maxRequests?: number;
  /** Answer `/metrics` without a token. Default false. */
  metricsPublic?: boolean;
  /** How long a server that is to stop answers on while `/ready` says that it is stopping. Default 0. */
  drainMs?: number;
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
  /** Reads certificate and key anew. @throws TLS_FILES_INVALID; then it keeps those it has */
  reloadTls(): void;
  /** Ends subscriptions, lets requests finish, and closes the database. Safe to call twice; with `hurry` nothing is waited for. */
  close(options?: { hurry?: boolean }): Promise<void>;
}

const DEFAULT_TICK_MS = 1_000;
/** How long requests under way may take to finish when the server closes. */
const CLOSE_GRACE_MS = 5_000;

/**
 * Starts a Cloud: opens its database, listens, and makes the first key where there is none.
 * @throws DATABASE_FAILED, DATABASE_TOO_NEW, ADDRESS_IN_USE, ADDRESS_NOT_LOCAL, TLS_FILES_INVALID
 * @example
 * const server = await startServer({ database: "./millrace.db" });
 * console.log(server.url, server.token);
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const host = options.host ?? "127.0.0.1";
  refuseRemote(host, options.allowRemote === true || options.tls !== undefined);
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
  const log = options.log ?? logToStderr();
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
    silentAfterMs: options.services?.heartbeats?.silentAfterMs ?? DEFAULT_SILENT_AFTER_MS,
    settleLimits,
    publish: (effects) => publish(effects),
    counts: new Counts(),
  };
  // A clock of the caller's own may tell any time.
  if (!options.clock) await checkClock(parts);
  timeWrites(database, parts.counts);
  const dueTimer = new DueTimer(parts);
  const services = makeServices(dueTimer, options.services ?? {});
  const runner = new ServiceRunner(parts, services, options.tickMs ?? DEFAULT_TICK_MS);
  const authenticator = new Authenticator(parts);
  const publish = makePublisher({ ...parts, dueTimer });
  const api = makeGraphqlApi(makeSchema(database), parts, authenticator, options.maxRequests);
  const gate = new RequestGate({ host, ...options });
  const connections = new OpenConnections(api, gate, log, { idleMs: KEEP_ALIVE_MS });
  const operations = makeOperations({
    parts,
    authenticator,
    metricsPublic: options.metricsPublic ?? false,
    subscriptions: () => events.listeners,
    connections: () => connections.size,
    services: () => runner.statuses,
  });
  const answer = makeRequestListener({ api, gate, operations, parts });
  const { port = DEFAULT_PORT, tls } = options;
  const listening = await listen({ host, port, tls }, answer, connections);
  const token = await firstKeyOf(parts, listening.http, connections);
  runner.start();
  dueTimer.start().catch((error) => log({ level: "error", message: "Due runs could not be looked up.", error }));
  let closed: Promise<void> | undefined;
  const hurry = new AbortController();
  const close = async () => {
    // First those who send requests here are told; what comes meanwhile is answered.
    operations.drain();
    await sleepUnless(hurry.signal, options.drainMs ?? 0);
    const grace = setTimeout(() => hurry.abort(), CLOSE_GRACE_MS);
    await Promise.all([runner.stop(), dueTimer.stop()]);
    await parts.hooks.stop(hurry.signal);
    events.close();
    await closeHttp(listening.http, connections, hurry.signal);
    clearTimeout(grace);
    await operations.close();
    // A database that is away must not keep the server open; a few last uses are lost.
    await parts.presence.flush(database).catch((error: unknown) => {
      log({ level: "error", message: "When agents were last seen could not be written.", error });
    });
    await database.close();
  };
  return {
    url: listening.url,
    port: listening.port,
    token,
    database,
    get listeners() {
      return events.listeners;
    },
    get services() {
      return runner.statuses;
    },
    tick: () => runner.tick(),
    reloadTls: listening.reloadTls,
    close: (asked) => {
      if (asked?.hurry) hurry.abort();
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
    await closeHttp(http, connections, AbortSignal.abort());
    throw error;
  }
}

/** Resolves after `ms`, or as soon as the signal fires. */
function sleepUnless(signal: AbortSignal, ms: number): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** Notes how long each transaction takes, its wait for its turn included. */
function timeWrites(database: Database, counts: Counts): void {
  const write = database.write.bind(database);
  database.write = async (work) => {
    const begunAt = performance.now();
    try {
      return await write(work);
    } finally {
      counts.writes.note(performance.now() - begunAt);
    }
  };
}
