import { randomUUID } from "node:crypto";
import { type GraphQLError, GraphQLError as GraphQLErrorClass } from "graphql";
import { isMillraceError } from "../../core/errors.js";
import type { ServerLogLine } from "../parts.js";

/** An error as the answer carries it. */
export interface WireError {
  message: string;
  locations?: unknown;
  path?: unknown;
  extensions: { code: string; hint?: string; details?: unknown /** Stands in the server's log. */; id?: string };
}

type Log = (line: ServerLogLine) => void;

/** Codes for a request that was not executed, by what was wrong with it; Prefect's client knows them. */
export type RequestErrorCode =
  | "GRAPHQL_PARSE_FAILED"
  | "GRAPHQL_VALIDATION_FAILED"
  | "INPUT_INVALID"
  | "BODY_TOO_LARGE"
  | "TOO_MANY_REQUESTS";

export function requestError(code: RequestErrorCode, message: string, hint?: string): WireError {
  return { message, extensions: { code, ...(hint === undefined ? {} : { hint }) } };
}

/**
 * What a caller is told of an error: all of ours, all of GraphQL's own, and of anything else only an id that stands in the
 * server's log.
 */
export function toWireError(error: unknown, log: Log): WireError {
  const place = error instanceof GraphQLErrorClass ? placeOf(error) : {};
  const original = causeOf(error);
  if (isMillraceError(original, "DATABASE_FAILED")) return masked(original, log, place, DATABASE_TEXT);
  if (isMillraceError(original)) {
    const { code, hint, details, message } = original;
    // A value that could not be read names its variable only in GraphQL's own message.
    const text = error instanceof GraphQLErrorClass && error.path === undefined ? error.message : message;
    const extensions = { code, ...(hint === undefined ? {} : { hint }), ...(details === undefined ? {} : { details }) };
    return { message: text, ...place, extensions };
  }
  if (error instanceof GraphQLErrorClass && original === undefined) {
    return { message: error.message, ...place, extensions: { code: "INPUT_INVALID", ...error.extensions } };
  }
  return masked(original, log, place, { code: "INTERNAL", said: "Something failed inside the Cloud" });
}

/** Its own message names files, and parts of statements. */
const DATABASE_TEXT = { code: "DATABASE_FAILED", said: "The Cloud's database cannot be used now" };

function masked(error: unknown, log: Log, place: object, { code, said }: { code: string; said: string }): WireError {
  const id = randomUUID();
  log({ level: "error", message: `${code === "INTERNAL" ? "Internal error" : said} ${id}`, id, error });
  return { message: `${said}; look for ${id} in its log.`, ...place, extensions: { code, id } };
}

/** The answer to a request that cannot be answered now: HTTP status 503, which clients wait after. */
export function busyError(why: string, log: Log): WireError {
  const id = randomUUID();
  log({ level: "error", message: `A request was turned away ${id}: ${why}`, id });
  return { message: `The Cloud cannot answer now: ${why}.`, extensions: { code: "CLOUD_BUSY", id } };
}

/** Did the database fail the request, whatever it asked? */
export function isDatabaseFailure(error: unknown): boolean {
  return isMillraceError(causeOf(error), "DATABASE_FAILED");
}

/** What a resolver or scalar threw; GraphQL wraps it, for a variable more than once. Undefined: the error is GraphQL's own. */
function causeOf(error: unknown): unknown {
  let at = error;
  while (at instanceof GraphQLErrorClass) at = at.originalError;
  return at;
}

function placeOf(error: GraphQLError): { locations?: unknown; path?: unknown } {
  return { ...(error.locations ? { locations: error.locations } : {}), ...(error.path ? { path: error.path } : {}) };
}
