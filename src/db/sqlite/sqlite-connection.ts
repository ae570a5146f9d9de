import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { SqlValue } from "../database.js";
import { toDatabaseError } from "../database-error.js";

/** How long SQLite waits for another process's lock before it gives up. The event loop stands still meanwhile. */
const BUSY_TIMEOUT_MS = 5_000;
/**
 * How far the write-ahead log grows, in pages of 4 KiB, before a commit moves it into the file. SQLite's own 1,000 does it
 * four times as often; each time costs two flushes of the disk while nothing else runs.
 */
const CHECKPOINT_PAGES = 4_000;
/** In KiB. SQLite's own 2 MiB makes a database of a few thousand runs read its pages again and again. */
const CACHE_KB = 64 * 1024;
/** Statements that are kept prepared. The query files have about 50 texts; the rest is for those that Kysely makes. */
const MAX_STATEMENTS = 300;

export interface ConnectionOptions {
  /** When a commit counts as done: handed to the system (it survives any crash of ours), or on the disk. */
  readonly synchronous?: "NORMAL" | "FULL";
  /** How long to wait for another process's lock. Default 5,000 ms. */
  readonly busyTimeoutMs?: number;
  /** For a connection that must not write. */
  readonly queryOnly?: boolean;
}

interface Prepared {
  readonly statement: StatementSync;
  /** For each place in the text the parameter that goes there, or null when they are in order already. */
  readonly order: readonly number[] | null;
}

/** There is one writer, so every row that it reads is its own until it commits. */
const ROW_LOCK = / FOR (?:UPDATE|SHARE)(?: OF \w+)?(?: SKIP LOCKED)?/gi;

/** Our texts number their parameters, `?1`; before Node 22.14 node:sqlite took such a number for a name. */
function toPositional(sql: string): { text: string; order: number[] | null } {
  const order: number[] = [];
  const text = sql.replaceAll(ROW_LOCK, "").replaceAll(/\?(\d+)/g, (_, number: string) => {
    order.push(Number(number) - 1);
    return "?";
  });
  return { text, order: order.every((index, place) => index === place) ? null : order };
}

function arrange(parameters: readonly SqlValue[], order: readonly number[] | null): readonly SqlValue[] {
  return order === null ? parameters : order.map((index) => parameters[index] ?? null);
}

/**
 * One connection to a SQLite file: statements prepared once, and errors in our words. It keeps to what node:sqlite had in
 * Node 22.13: `timeout`, `isTransaction`, `isOpen` and `columns()` came later.
 */
export class SqliteConnection {
  readonly path: string;
  readonly #database: DatabaseSync;
  #open = true;
  readonly #statements = new Map<string, Prepared>();

  /** @throws DATABASE_FAILED */
  constructor(path: string, options: ConnectionOptions = {}) {
    this.path = path;
    try {
      this.#database = new DatabaseSync(path, { enableForeignKeyConstraints: true });
    } catch (error) {
      throw toDatabaseError(error, path);
    }
    try {
      this.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs ?? BUSY_TIMEOUT_MS}`);
      this.exec(`PRAGMA synchronous = ${options.synchronous ?? "NORMAL"}`);
      this.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      this.exec(`PRAGMA cache_size = -${CACHE_KB}`);
      if (options.queryOnly) this.exec("PRAGMA query_only = ON");
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  all<Row>(sql: string, parameters: readonly SqlValue[]): Row[] {
    try {
      const { statement, order } = this.#prepare(sql);
      return statement.all(...arrange(parameters, order)) as Row[];
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  runMany(sql: string, lists: readonly (readonly SqlValue[])[]): void {
    try {
      const { statement, order } = this.#prepare(sql);
      for (const parameters of lists) statement.run(...arrange(parameters, order));
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  run(sql: string, parameters: readonly SqlValue[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    try {
      const { statement, order } = this.#prepare(sql);
      return statement.run(...arrange(parameters, order));
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  /** Ends the transaction, if there is one: SQLite itself has rolled back after some errors, for instance a full disk. */
  rollback(): void {
    try {
      this.#database.exec("ROLLBACK");
    } catch (error) {
      if (!/no transaction is active/.test((error as Error).message)) throw toDatabaseError(error, this.path);
    }
  }

  /** Safe to call twice. */
  close(): void {
    this.#statements.clear();
    if (!this.#open) return;
    this.#open = false;
    this.#database.close();
  }

  /** The least recently used statement goes first. */
  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const { text, order } = toPositional(sql);
    const prepared = { statement: this.#database.prepare(text), order };
    if (this.#statements.size >= MAX_STATEMENTS) {
      const oldest = this.#statements.keys().next();
      if (!oldest.done) this.#statements.delete(oldest.value);
    }
    this.#statements.set(sql, prepared);
    return prepared;
  }
}
