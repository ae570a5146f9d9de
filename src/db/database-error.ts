import { MillraceError } from "../core/errors.js";

/** SQLite's primary result codes, https://www.sqlite.org/rescode.html: what the user can do something about. */
const EXPLAINED: Record<number, readonly [what: string, hint: string]> = {
  5: ["is locked by another process", "Stop the other process that has the file open, or give this one another file."],
  6: ["is locked", "Stop the other process that has the file open, or give this one another file."],
  8: ["cannot be written", "Check that the file and its folder belong to this user and are not read-only."],
  10: ["cannot be read or written by the system", "Check the disk; the cause names the system's error."],
  11: ["is damaged", "Restore it from a backup, or give the server another file."],
  13: ["cannot grow: the disk is full", "Free some space and try again."],
  14: ["cannot be opened", "Check that its folder exists and that this user may write in it."],
  26: ["is not a database", "Give the server another file, or remove this one."],
};
/** SQLITE_CORRUPT, SQLITE_NOTADB */
const DAMAGE: ReadonlySet<number> = new Set([11, 26]);
const CONSTRAINT_UNIQUE = 2067;
const CONSTRAINT_PRIMARY_KEY = 1555;
/** unique_violation, https://www.postgresql.org/docs/current/errcodes-appendix.html */
const POSTGRES_UNIQUE = "23505";

/** A failure of SQLite in words of ours; anything that is the caller's own mistake (a constraint, bad SQL) stays as it is. */
export function toDatabaseError(error: unknown, path: string): unknown {
  if (isClosed(error)) {
    const hint = "The server is stopping.";
    return new MillraceError("DATABASE_FAILED", `The database "${path}" is closed.`, { hint, cause: error });
  }
  const code = sqliteCode(error);
  // The upper bytes of a code only say more of the same.
  const explained = code === undefined ? undefined : EXPLAINED[code & 0xff];
  if (explained === undefined) return error;
  const [what, hint] = explained;
  return new MillraceError("DATABASE_FAILED", `The database "${path}" ${what}: ${(error as Error).message}.`, {
    hint,
    cause: error,
  });
}

/** Was a row refused because one with the same key is there? */
export function isUniqueViolation(error: unknown): boolean {
  if (error instanceof Error && (error as { code?: unknown }).code === POSTGRES_UNIQUE) return true;
  const code = sqliteCode(error);
  return code === CONSTRAINT_UNIQUE || code === CONSTRAINT_PRIMARY_KEY;
}

/** Has SQLite found that a file is damaged, or not a database at all? Also behind an error of ours. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error instanceof MillraceError ? error.cause : error);
  return code !== undefined && DAMAGE.has(code & 0xff);
}

/** node:sqlite says so with Node's own code. */
function isClosed(error: unknown): boolean {
  return error instanceof Error && (error as Error & { code?: unknown }).code === "ERR_INVALID_STATE";
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as Error & { code?: unknown; errcode?: unknown };
  return code === "ERR_SQLITE_ERROR" && typeof errcode === "number" ? errcode : undefined;
}
