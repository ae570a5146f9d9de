import { randomUUID } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { MillraceError } from "../../core/errors.js";
import { SqliteConnection } from "./sqlite-connection.js";

/** A backup as it lies there. */
export interface Backup {
  readonly file: string;
  readonly bytes: number;
}

/**
 * Copies a SQLite file, also one that a server is writing to: what was committed when it began. The copy is checked, is for
 * this user alone, and takes its name when it is whole; a copy of that name is replaced.
 * @throws DATABASE_FAILED
 */
export function backupSqlite(source: string, target: string): Backup {
  const [from, to] = [resolve(source), resolve(target)];
  if (!statSync(from, { throwIfNoEntry: false })?.isFile()) throw failed(from, "there is no such file");
  if (isSame(from, to)) throw failed(from, "the copy would take the place of the database itself");
  const partial = join(dirname(to), `.${basename(to)}.${randomUUID()}.partial`);
  try {
    // SQLite writes into an empty file, and leaves its mode.
    closeSync(openSync(partial, "wx", 0o600));
    chmodSync(partial, 0o600);
    copyInto(from, partial);
    check(partial);
    flush(partial);
    renameSync(partial, to);
    flush(dirname(to));
    return { file: to, bytes: statSync(to).size };
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw failed(from, (error as Error).message, error);
  } finally {
    for (const end of ["", "-journal", "-wal", "-shm"]) rmSync(`${partial}${end}`, { force: true });
  }
}

function copyInto(from: string, partial: string): void {
  const connection = new SqliteConnection(from);
  try {
    connection.run("VACUUM INTO ?1", [partial]);
  } finally {
    connection.close();
  }
}

function check(file: string): void {
  const connection = new SqliteConnection(file, { queryOnly: true });
  try {
    const rows = connection.all<{ integrity_check: string }>("PRAGMA integrity_check", []);
    if (rows.length !== 1 || rows[0]?.integrity_check !== "ok") {
      throw failed(file, `the copy is damaged: ${rows[0]?.integrity_check ?? "no answer"}`);
    }
  } finally {
    connection.close();
  }
}

function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function isSame(one: string, other: string): boolean {
  if (!statSync(other, { throwIfNoEntry: false })) return false;
  return realpathSync(one) === realpathSync(other);
}

function failed(file: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError("DATABASE_FAILED", `The database "${file}" could not be backed up: ${why}.`, {
    hint: "Name the server's database with `--database`, and for the copy a file in a folder with room for it.",
    cause,
  });
}
