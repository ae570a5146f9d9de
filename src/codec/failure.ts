import { types } from "node:util";
import { type ErrorCode, errorCodes, isMillraceError, MillraceError } from "../core/errors.js";

/** An error as plain data: what crosses a thread or the network. */
export interface FailureRecord {
  name: string;
  message: string;
  /** Ours or the error's own, for instance ENOENT. */
  code: string | null;
  hint: string | null;
  stack: string | null;
  details: unknown;
  cause: FailureRecord | null;
}

/** No chain of causes is followed further. */
const MAX_CAUSES = 8;
/** Longer texts are cut, in characters: a failure is read by people and travels with a batch that has a limit (BODY_TOO_LARGE). */
const MAX_TEXT = 16_384;
/** Room for the diff of a flow of some thousand tasks, in characters of JSON. */
const MAX_DETAILS = 262_144;

/** Anything that was thrown, as plain data. Never throws, whatever the value's getters do. */
export function toFailure(thrown: unknown, depth = 0): FailureRecord {
  try {
    if (!isError(thrown)) return plain("Error", cut(describeThrown(thrown)));
    const own = thrown as Error & { code?: unknown; hint?: unknown };
    return {
      name: String(own.name),
      message: cut(messageOf(own)),
      code: typeof own.code === "string" ? own.code : null,
      hint: typeof own.hint === "string" ? cut(own.hint) : null,
      stack: typeof own.stack === "string" ? cut(own.stack) : null,
      details: isMillraceError(thrown) ? jsonOrNull(thrown.details) : null,
      cause: own.cause === undefined || depth >= MAX_CAUSES ? null : toFailure(own.cause, depth + 1),
    };
  } catch {
    return plain("Error", "an error that cannot be read");
  }
}

/** The error again. A code of ours makes it a MillraceError; anything else an Error with the name and code it had. */
export function fromFailure(failure: FailureRecord, depth = 0): Error {
  const cause = failure.cause && depth < MAX_CAUSES ? fromFailure(failure.cause, depth + 1) : undefined;
  const error = isErrorCode(failure.code)
    ? new MillraceError(failure.code, failure.message, {
        ...(failure.hint === null ? {} : { hint: failure.hint }),
        ...(cause ? { cause } : {}),
        details: failure.details ?? undefined,
      })
    : Object.assign(
        new Error(failure.message, cause ? { cause } : undefined),
        failure.code === null ? {} : { code: failure.code },
      );
  if (!isMillraceError(error)) error.name = failure.name;
  if (failure.stack !== null) error.stack = failure.stack;
  return error;
}

function isErrorCode(code: string | null): code is ErrorCode {
  return code !== null && Object.hasOwn(errorCodes, code);
}

function plain(name: string, message: string): FailureRecord {
  return { name, message, code: null, hint: null, stack: null, details: null, cause: null };
}

/** `instanceof` misses errors of another realm, for instance those of node:vm. */
function isError(thrown: unknown): thrown is Error {
  return thrown instanceof Error || types.isNativeError(thrown);
}

/** Node's "could not connect" is an AggregateError with an empty message of its own. */
function messageOf(error: Error & { errors?: unknown }): string {
  const message = String(error.message);
  if (message !== "" || !Array.isArray(error.errors)) return message;
  return error.errors.map((each) => (isError(each) ? each.message : String(each))).join("; ");
}

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`;
}

function describeThrown(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  try {
    return `thrown value ${JSON.stringify(thrown) ?? String(thrown)}`;
  } catch {
    return `a thrown ${typeof thrown}`;
  }
}

/** What is too long, or no JSON, is left out: `details` are for machines, and half of them is of no use. */
function jsonOrNull(value: unknown): unknown {
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text === undefined || text.length > MAX_DETAILS ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
