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

/** Anything that was thrown, as plain data. Never throws, whatever the value's getters do. */
export function toFailure(thrown: unknown, depth = 0): FailureRecord {
  try {
    if (!(thrown instanceof Error)) return plain("Error", describeThrown(thrown));
    const own = thrown as Error & { code?: unknown; hint?: unknown };
    return {
      name: String(own.name),
      message: String(own.message),
      code: typeof own.code === "string" ? own.code : null,
      hint: typeof own.hint === "string" ? own.hint : null,
      stack: typeof own.stack === "string" ? own.stack : null,
      details: isMillraceError(thrown) ? jsonOrNull(thrown.details) : null,
      cause: own.cause === undefined || depth >= MAX_CAUSES ? null : toFailure(own.cause, depth + 1),
    };
  } catch {
    return plain("Error", "an error that cannot be read");
  }
}

/** The error again. A code of ours makes it a MillraceError; anything else an Error with the name and code it had. */
export function fromFailure(failure: FailureRecord): Error {
  const cause = failure.cause ? fromFailure(failure.cause) : undefined;
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

function describeThrown(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  try {
    return `thrown value ${JSON.stringify(thrown) ?? String(thrown)}`;
  } catch {
    return `a thrown ${typeof thrown}`;
  }
}

function jsonOrNull(value: unknown): unknown {
  try {
    return value === undefined ? null : JSON.parse(JSON.stringify(value));
  } catch {
    return null;
  }
}
