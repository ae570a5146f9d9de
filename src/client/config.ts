import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MillraceError } from "../core/errors.js";
import { millraceHome } from "../core/home.js";

/** Where `millrace server start` listens unless told otherwise. */
export const DEFAULT_CLOUD_URL = "http://127.0.0.1:4200";

/** A Cloud's address, and the token to show there. */
export interface CloudLogin {
  url: string;
  token: string;
}

export interface ResolvedCloud extends CloudLogin {
  /** Where the token was found. */
  source: "option" | "environment" | "login";
}

/** What `auth.json` holds. */
export interface Logins {
  /** The address that commands use when they are told none. */
  current: string | null;
  servers: Record<string, { token: string }>;
}

type Env = NodeJS.ProcessEnv;

export function loginFile(env: Env = process.env): string {
  return join(millraceHome(env), "auth.json");
}

/**
 * Which Cloud, and with which token: what the caller says, else `MILLRACE_API_URL` and `MILLRACE_API_TOKEN`, else what
 * `millrace auth login` kept, else (for the address alone) http://127.0.0.1:4200.
 * @throws NOT_LOGGED_IN without a token, INPUT_INVALID for an address that is none, LOGIN_FILE_INVALID
 * @example
 * const cloud = openCloud(resolveCloud({ url: "https://millrace.example.com" }));
 */
export function resolveCloud(options: Partial<CloudLogin> = {}, env: Env = process.env): ResolvedCloud {
  const url = resolveUrl(options.url, env);
  if (options.token !== undefined) return { url, token: checkToken(options.token), source: "option" };
  if (env.MILLRACE_API_TOKEN) return { url, token: checkToken(env.MILLRACE_API_TOKEN), source: "environment" };
  const login = readLogins(env).servers[url];
  if (login) return { url, token: login.token, source: "login" };
  throw new MillraceError("NOT_LOGGED_IN", `No token for the Cloud at ${url} was found.`, {
    hint: "Log in with `millrace auth login`, set MILLRACE_API_TOKEN, or start a Cloud of your own with `millrace server start`.",
  });
}

/** The address alone; see {@link resolveCloud}. */
export function resolveUrl(option: string | undefined, env: Env = process.env): string {
  if (option !== undefined) return normalizeUrl(option, "The Cloud's address");
  if (env.MILLRACE_API_URL) return normalizeUrl(env.MILLRACE_API_URL, "MILLRACE_API_URL");
  // With a token from outside, a login file that cannot be read is nobody's concern.
  const logins = env.MILLRACE_API_TOKEN ? readLoginsOrNone(env) : readLogins(env);
  return logins.current ?? DEFAULT_CLOUD_URL;
}

/** One spelling for one address: without a slash at the end, a query or a fragment. */
export function normalizeUrl(text: string, what: string): string {
  const url = URL.parse(text.trim());
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new MillraceError("INPUT_INVALID", `${what} is ${JSON.stringify(text)}, which is not an address.`, {
      hint: "Write it with its scheme, for instance http://127.0.0.1:4200.",
    });
  }
  if (url.username || url.password) {
    throw new MillraceError("INPUT_INVALID", `${what} has a user name or password in it.`, {
      hint: "Log in with a token: `millrace auth login`.",
    });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function checkToken(token: string): string {
  const trimmed = token.trim();
  // What may stand in a header; anything else was pasted wrongly.
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed;
  throw new MillraceError("NOT_LOGGED_IN", "The token is empty, or has characters that no token has.", {
    hint: "Copy the token as `millrace auth create-token` printed it.",
  });
}

/** @throws LOGIN_FILE_INVALID */
export function readLogins(env: Env = process.env): Logins {
  const file = loginFile(env);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { current: null, servers: {} };
    throw invalidLoginFile(file, (error as Error).message, error);
  }
  try {
    const logins = JSON.parse(text) as Logins;
    if (isLogins(logins)) return logins;
  } catch (error) {
    throw invalidLoginFile(file, "it is not JSON", error);
  }
  throw invalidLoginFile(file, "it does not hold `current` and `servers`", undefined);
}

function readLoginsOrNone(env: Env): Logins {
  try {
    return readLogins(env);
  } catch {
    return { current: null, servers: {} };
  }
}

function isLogins(value: unknown): value is Logins {
  if (typeof value !== "object" || value === null) return false;
  const { current, servers } = value as Partial<Logins>;
  if (current !== null && typeof current !== "string") return false;
  if (typeof servers !== "object" || servers === null || Array.isArray(servers)) return false;
  return Object.values(servers).every((server) => typeof server?.token === "string");
}

function invalidLoginFile(file: string, why: string, cause: unknown): MillraceError {
  return new MillraceError("LOGIN_FILE_INVALID", `The login file "${file}" cannot be used: ${why}.`, {
    hint: "Delete the file and log in again with `millrace auth login`, or set MILLRACE_API_TOKEN.",
    cause,
  });
}

/** Keeps the token for that address and makes it the one that is used by default. */
export function saveLogin(login: CloudLogin, env: Env = process.env): void {
  const url = normalizeUrl(login.url, "The Cloud's address");
  const { servers } = readLogins(env);
  writeLogins({ current: url, servers: { ...servers, [url]: { token: checkToken(login.token) } } }, env);
}

/** Forgets the token of that address. False: there was none. */
export function removeLogin(url: string, env: Env = process.env): boolean {
  const { current, servers } = readLogins(env);
  const { [url]: gone, ...rest } = servers;
  if (!gone) return false;
  writeLogins({ current: current === url ? (Object.keys(rest)[0] ?? null) : current, servers: rest }, env);
  return true;
}

/** Whole or not at all, and never readable by others, not even between two calls: written beside and renamed. */
function writeLogins(logins: Logins, env: Env): void {
  const file = loginFile(env);
  const beside = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    mkdirSync(millraceHome(env), { recursive: true, mode: 0o700 });
    writeFileSync(beside, `${JSON.stringify(logins, null, 2)}\n`, { mode: 0o600, flag: "wx", flush: true });
    // A umask may have taken more away than it should.
    chmodSync(beside, 0o600);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw new MillraceError(
      "STORAGE_FAILED",
      `The login file "${file}" could not be written: ${(error as Error).message}.`,
      {
        hint: "Check that the folder can be written to, or set MILLRACE_HOME to one that can.",
        cause: error,
      },
    );
  }
}
