import { MillraceError } from "../../core/errors.js";

/** SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html: what the user can do something about. */
const EXPLAINED: Record<string, readonly [what: string, hint: string]> = {
  "28P01": [
    "refused the user or the password",
    "Check both in the URL; signs such as @ and / are written %40 and %2F.",
  ],
  "28000": [
    "does not let this user in from here",
    "Check pg_hba.conf, and whether the server asks for TLS (?sslmode=require).",
  ],
  "3D000": ["has no such database", "Make it first: `createdb`, or CREATE DATABASE."],
  "42501": [
    "does not allow this user to do that",
    "The user must own the schema, or be allowed to create one in the database.",
  ],
  "53100": ["cannot grow: its disk is full", "Free some space and try again."],
  "53200": ["is out of memory", "Give the server more memory, or let fewer clients connect."],
  "53300": ["has no connection left", "Raise max_connections there, or take fewer connections here (?pool=5)."],
  "25006": [
    "cannot be written: it is a copy of another one, or read-only",
    "Give the address of the one that takes writes.",
  ],
  "57014": [
    "took too long over a statement",
    "Look at the server's load and at pg_stat_activity; the time limit is a minute.",
  ],
  "55P03": ["did not get hold of a row in time", "Look at pg_locks for who holds it."],
  XX001: ["is damaged", "Restore it from a backup; the cause names the place."],
  XX002: ["has a damaged index", "REINDEX it; the cause names it."],
};
/** The server is going or coming: what was under way has been rolled back. */
const GONE: ReadonlySet<string> = new Set(["57P01", "57P02", "57P03", "57P05", "25P03"]);
const SYSTEM: ReadonlySet<string> = new Set(
  "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ENOTFOUND EAI_AGAIN ETIMEDOUT EHOSTUNREACH ENETUNREACH ENOENT".split(" "),
);
/** pg says these without a code. */
const LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Query read timeout|The server does not support SSL)/;
const DEADLOCK = "40P01";
const SERIALIZATION = "40001";
/** A key too long for its index: 2,704 bytes, a third of a page. */
const INDEX_ROW = "54000";

/** Postgres ended the transaction for another one's sake: run again it may come through. */
export function isConflict(error: unknown): boolean {
  const code = codeOf(error);
  return code === DEADLOCK || code === SERIALIZATION;
}

/** There is no connection, or none any more. */
export function isLost(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return GONE.has(code) || SYSTEM.has(code) || code.startsWith("08");
  if (error instanceof AggregateError) return error.errors.some(isLost);
  return error instanceof Error && LOST.test(error.message);
}

/** The connection was found broken before the statement was sent: what it was to do has not been done. */
export function wasNeverSent(error: unknown): boolean {
  return (
    error instanceof Error &&
    /^Client (has encountered a connection error|was closed) and is not queryable/.test(error.message)
  );
}

/** A failure of Postgres in words of ours; anything that is the caller's own mistake (a constraint, bad SQL) stays as it is. */
export function toPostgresError(error: unknown, name: string): unknown {
  if (error instanceof MillraceError) return error;
  const code = codeOf(error) ?? "";
  const failed = (what: string, hint: string) =>
    new MillraceError("DATABASE_FAILED", `The database "${name}" ${what}: ${messageOf(error)}.`, {
      hint,
      cause: error,
    });
  if (code === "ERR_INVALID_URL") {
    // Whose parts are not known: what is shown of it might be the password.
    return new MillraceError("DATABASE_FAILED", "The URL of the Postgres database cannot be read.", {
      hint: "Write postgres://user:password@host:port/database; in the password @, / and # are %40, %2F and %23.",
    });
  }
  const explained = EXPLAINED[code];
  if (explained) return failed(...explained);
  if (code === INDEX_ROW) {
    return new MillraceError("INPUT_INVALID", "A name, a key or a list of labels is too long for the database.", {
      hint: "Postgres keeps what it looks things up by in indexes, and takes at most some 2,700 bytes there.",
      cause: error,
    });
  }
  if (isConflict(error)) return failed("was asked for the same rows by too many at once", "Try again.");
  if (isLost(error)) {
    return failed(
      "cannot be reached",
      "Check that Postgres runs there and that this machine may connect to it; then try again.",
    );
  }
  return error;
}

/** Nobody knows whether the transaction took place. */
export function fateUnknown(error: unknown, name: string): MillraceError {
  return new MillraceError(
    "DATABASE_FAILED",
    `The connection to the database "${name}" was lost while a transaction was committed: ${messageOf(error)}. Whether it took place is not known.`,
    { hint: "Look before you repeat what cannot be done twice.", cause: error },
  );
}

function messageOf(error: unknown): string {
  // Of several addresses that were tried, pg's error has a list and no message.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  return (first instanceof Error ? first.message : String(first)).replace(/\.$/, "");
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as Error & { code?: unknown };
  return typeof code === "string" ? code : undefined;
}
