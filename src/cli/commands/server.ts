import type { Command } from "commander";
import { normalizeUrl, readLogins, saveLogin } from "../../client/config.js";
import { describeError, isMillraceError } from "../../core/errors.js";
import type { Server } from "../../server/index.js";
import { type Context, collect, group, type Host, usage, wholeNumber, withShared } from "../command.js";
import { addServiceFlags, type ServiceFlags, servicesOf } from "../service-options.js";
import { onStopSignals } from "../signals.js";
import { addBackupCommand } from "./server-backup.js";
import { DATABASE_OPTION, databasePlace } from "./server-database.js";
import { exportTo, importFrom } from "./server-move.js";
import { addRotateKeyCommand } from "./server-rotate-key.js";
import { addVerifyCommand } from "./server-verify.js";

interface StartOptions extends ServiceFlags {
  port?: number;
  host: string;
  allowRemote?: boolean;
  tlsCert?: string;
  tlsKey?: string;
  allowHost: string[];
  allowOrigin: string[];
  logFormat: string;
  metricsPublic?: boolean;
  allowPrivateHooks?: boolean;
  drain: number;
  database?: string;
  login: boolean;
}

export function addServerCommands(program: Command, host: Host): void {
  const server = group(program, "server", "the Cloud: keeps flows, runs and their states", "millrace server start");
  const startCommand = withShared(
    server.command("start").description("start a Cloud on this machine"),
    "millrace server start --port 4200",
    {
      cloud: false,
    },
  )
    .option(
      "--port <number>",
      "port to listen on; 0 takes a free one (default: 4200)",
      wholeNumber("--port", 0, 65_535),
    )
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--allow-remote", "listen where other machines can reach it without TLS; put a TLS proxy before it")
    .option("--tls-cert <file>", "speak HTTPS with this certificate (PEM, with its chain); SIGHUP reads it anew")
    .option("--tls-key <file>", "the certificate's private key (PEM)")
    .option(
      "--allow-host <name>",
      "a name under which it is asked, for instance a proxy's; may be repeated",
      collect,
      [],
    )
    .option("--allow-origin <origin>", "a site whose pages may call it; may be repeated", collect, [])
    .option("--log-format <format>", "text, or json: one object a line", "text")
    .option("--metrics-public", "answer /metrics without a token")
    .option("--allow-private-hooks", "cloud hooks may send to this machine and to private networks")
    .option(
      "--drain <seconds>",
      "how long it answers on while /ready says that it is stopping",
      wholeNumber("--drain", 0, 3_600),
      0,
    )
    .option(...DATABASE_OPTION)
    .option("--no-login", "do not keep the first token in the login file");
  addServiceFlags(startCommand).action(host.action(start));
  addBackupCommand(server, host);
  addVerifyCommand(server, host);
  addRotateKeyCommand(server, host);
  withShared(
    server.command("export <file>").description("write a Cloud's whole database into a file"),
    "millrace server export cloud.jsonl --database ./millrace.db",
    { cloud: false },
  )
    .option(...DATABASE_OPTION)
    .action(host.action(exportTo));
  withShared(
    server.command("import <file>").description("fill an empty database with an export, of any kind of database"),
    "millrace server import cloud.jsonl --database postgres://me@localhost/cloud",
    { cloud: false },
  )
    .option(...DATABASE_OPTION)
    .action(host.action(importFrom));
}

/** Runs until SIGINT or SIGTERM. */
async function start(context: Context, options: StartOptions): Promise<void> {
  // Otherwise graphql looks at every value for one of another copy of itself, a tenth of what a report costs.
  process.env.NODE_ENV ??= "production";
  // Each command loads only what it needs: the Cloud's half of the package is the larger one.
  const { startServer } = await import("../../server/index.js");
  const { logToStderr } = await import("../../server/operations/server-log.js");
  const { shownPlace } = await import("../../db/open-database.js");
  const database = databasePlace(context, options.database);
  let stopped = false;
  let wake = () => {};
  let running: Server | undefined;
  const stopListening = onStopSignals((times) => {
    stopped = true;
    wake();
    if (times === 1) context.note("The Cloud is stopping: requests under way are finished. Ask again to stop at once.");
    else void running?.close({ hurry: true }).catch(() => {});
  });
  try {
    const server = await startServer({
      database,
      ...(options.port === undefined ? {} : { port: options.port }),
      host: options.host,
      allowRemote: options.allowRemote ?? false,
      services: servicesOf(options),
      ...tlsOf(options),
      allowHosts: options.allowHost,
      allowOrigins: options.allowOrigin,
      metricsPublic: options.metricsPublic ?? false,
      hooks: { allowPrivate: options.allowPrivateHooks ?? false },
      drainMs: options.drain * 1_000,
      log: logToStderr(logFormatOf(options.logFormat)),
    });
    running = server;
    const stopReloading = reloadOnHangup(context, server, options);
    try {
      greet(context, server, shownPlace(database), options.login);
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (stopped) resolve();
      });
    } finally {
      await server.close();
      stopReloading();
    }
  } finally {
    stopListening();
  }
}

function tlsOf({ tlsCert, tlsKey }: StartOptions): { tls?: { certFile: string; keyFile: string } } {
  if (tlsCert === undefined && tlsKey === undefined) return {};
  if (tlsCert !== undefined && tlsKey !== undefined) return { tls: { certFile: tlsCert, keyFile: tlsKey } };
  throw usage("--tls-cert and --tls-key belong together.", "Give both, or neither.");
}

function logFormatOf(text: string): "text" | "json" {
  if (text === "text" || text === "json") return text;
  throw usage(`--log-format is text or json, and was "${text}".`);
}

/** Without TLS the signal ends the process, as it does by default. */
function reloadOnHangup(context: Context, server: Server, { tlsCert }: StartOptions): () => void {
  if (tlsCert === undefined) return () => {};
  const reload = () => {
    try {
      server.reloadTls();
      context.note("The certificate was read anew.");
    } catch (error) {
      context.note(`The certificate stays as it was: ${describeError(error)}`);
    }
  };
  process.on("SIGHUP", reload);
  return () => process.off("SIGHUP", reload);
}

/** The token is shown when it is made, and never again. */
function greet(context: Context, server: Server, database: string, mayLogin: boolean): void {
  const { url, token } = server;
  const kept = token === undefined || !mayLogin ? "no" : keepLogin(context, url, token);
  context.answer({ url, database, token: token ?? null, loggedIn: kept === "yes", pid: process.pid });
  context.say(`The Cloud is at ${url}\n  database  ${database}`);
  if (token === undefined) return;
  context.say(`  token     ${token}\n\nThis is the database's first start: the token is shown this once.`);
  context.say(
    kept === "yes" ? KEPT : `${kept === "other" ? OTHER_KEPT : ""}Log in with it:\n\n${loginLine(url, token)}\n`,
  );
}

const KEPT = "It is kept in the login file: deploy, runAgent and every command use it from now on.";
const OTHER_KEPT = `It is NOT kept: the login file has another token for this address, which may be the only one for another database.
Keep this one somewhere, or put it in the place of the other. `;

const loginLine = (url: string, token: string) => `  millrace auth login --url ${url} --token ${token}`;

/** "other": the login file has a token for this address already, maybe the only one of another database. */
function keepLogin(context: Context, url: string, token: string): "yes" | "no" | "other" {
  try {
    const logins = Object.keys(readLogins(context.env).servers);
    if (logins.length > 0) return logins.includes(normalizeUrl(url, "The Cloud's address")) ? "other" : "no";
    saveLogin({ url, token }, context.env);
    return "yes";
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    context.note(`The token was not kept: ${error.message}`);
    return "no";
  }
}
