import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { SqlValue } from "./database.js";
import { toDatabaseError } from "./database-error.js";

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
  /** For a connection that must not write. */
  readonly queryOnly?: boolean;
}

/** One connection to a SQLite file: statements prepared once, and errors in our words. */
export class SqliteConnection {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws DATABASE_FAILED */
  constructor(path: string, options: ConnectionOptions = {}) {
    this.path = path;
    try {
      this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    } catch (error) {
      throw toDatabaseError(error, path);
    }
    try {
      this.exec("PRAGMA journal_mode = WAL");
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
      return this.#prepare(sql).all(...parameters) as Row[];
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  runMany(sql: string, lists: readonly (readonly SqlValue[])[]): void {
    try {
      const statement = this.#prepare(sql);
      for (const parameters of lists) statement.run(...parameters);
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  run(sql: string, parameters: readonly SqlValue[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    try {
      return this.#prepare(sql).run(...parameters);
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  /** Does this statement answer rows? */
  answersRows(sql: string): boolean {
    try {
      return this.#prepare(sql).columns().length > 0;
    } catch (error) {
      throw toDatabaseError(error, this.path);
    }
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  /** The least recently used statement goes first. */
  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    if (this.#statements.size >= MAX_STATEMENTS) {
      const oldest = this.#statements.keys().next();
      if (!oldest.done) this.#statements.delete(oldest.value);
    }
    this.#statements.set(sql, statement);
    return statement;
  }
}
