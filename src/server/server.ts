import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { MillraceError } from "../core/errors.js";
import type { Database } from "../db/database.js";
import { openDatabase } from "../db/open-database.js";
import { deleteReportStreams } from "../db/queries/report-streams.js";
import { Authenticator } from "./access/auth.js";
import { makeFirstKey } from "./access/first-key.js";
import { endSubscriptionsOfLostKeys } from "./access/key-watch.js";
import { KnownKeys } from "./access/known-keys.js";
import { AgentEvents, type Effect } from "./agents/agent-events.js";
import { Presence } from "./agents/presence.js";
import { makeGraphqlApi } from "./api/graphql-api.js";
import { makeSchema } from "./api/schema.js";
import { makeRequestListener } from "./http/http-api.js";
import { isConnectionRequest, OpenConnections } from "./http/open-connections.js";
import { type ServerClock, type ServerLogLine, type ServerParts, toInstant } from "./parts.js";
import { ParameterChecks } from "./registration/parameter-checks.js";
import { DueTimer } from "./services/due-timer.js";
import { reapLeases } from "./services/reaper.js";

/** How to start a Cloud. */
export interface ServerOptions {
  /** The path of the SQLite file; it is made where there is none. */
  database: string;
  /** Default 4200, as Prefect's; 0 takes any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Must be true for a `host` that other machines can reach: the API speaks plain HTTP. Default false. */
  allowRemote?: boolean;
  /** `FULL`: a commit survives a power cut too, for one disk flush each. Default `NORMAL`: it survives any crash of the process. */
  synchronous?: "NORMAL" | "FULL";
  /** How often expired leases are looked for, in milliseconds. Default 1,000. */
  tickMs?: number;
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
  /** One round of the loops: expired leases, due runs, housekeeping. The server does it by itself; a test need not wait. */
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
/** A stream that did not report for so long is over, and its last batch will not be sent again. */
const STREAM_KEPT_MS = 24 * 60 * 60 * 1000;
const HOUSEKEEPING_MS = 5_000;
/**
 * When so many rounds of the loops were missed, the server did not run: the machine slept, or something blocked it. With rounds
 * of a second that is half of what an agent waits between two renewals of its usual lease.
 */
const OUTAGE_ROUNDS = 5;

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
  const clock = options.clock ?? { now: () => Date.now() };
  const events = new AgentEvents();
  const log = options.log ?? logToStderr;
  const parts: ServerParts = {
    database,
    clock,
    events,
    presence: new Presence(),
    keys: new KnownKeys(),
    parameters: new ParameterChecks(log),
    log,
    publish: (effects) => publish(effects, parts, dueTimer),
  };
  const dueTimer = new DueTimer(parts);
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
  const loops = startLoops(parts, dueTimer, options.tickMs ?? DEFAULT_TICK_MS);
  let closed: Promise<void> | undefined;
  const close = async () => {
    await loops.stop();
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
    tick: loops.tick,
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

function publish(effects: readonly Effect[], { events, clock }: ServerParts, dueTimer: DueTimer): void {
  for (const effect of effects) {
    if (effect.kind === "stop") events.stop(effect.agentId, effect.flowRunId);
    else if (Date.parse(effect.dueAt) <= clock.now()) events.wakeFor(effect);
    else dueTimer.note(effect.dueAt);
  }
}

function startLoops(parts: ServerParts, dueTimer: DueTimer, tickMs: number) {
  let cleanedAt = parts.clock.now();
  let [roundAt, awakeSince] = [cleanedAt, cleanedAt];
  const round = async () => {
    const now = parts.clock.now();
    if (now - roundAt > OUTAGE_ROUNDS * tickMs) awakeSince = now;
    roundAt = now;
    await reapLeases(parts, awakeSince);
    await dueTimer.tick();
    if (now - cleanedAt < HOUSEKEEPING_MS) return;
    cleanedAt = now;
    await parts.presence.flush(parts.database);
    await endSubscriptionsOfLostKeys(parts);
    await parts.database.write((transaction) => deleteReportStreams(transaction, toInstant(now - STREAM_KEPT_MS)));
  };
  // Rounds never overlap; one that is asked for while another runs begins after it, and sees what has happened since.
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  const tick = (): Promise<void> => {
    waiting += 1;
    const done = last.then(round).finally(() => {
      waiting -= 1;
    });
    last = done.catch(() => {});
    return done;
  };
  const guarded = () => {
    if (waiting > 0) return;
    tick().catch((error) => parts.log({ level: "error", message: "A round of the server's loops failed.", error }));
  };
  const timer = setInterval(guarded, tickMs);
  timer.unref();
  dueTimer.start().catch((error) => parts.log({ level: "error", message: "Due runs could not be looked up.", error }));
  return {
    tick,
    stop: async () => {
      clearInterval(timer);
      await Promise.all([last, dueTimer.stop()]);
    },
  };
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
