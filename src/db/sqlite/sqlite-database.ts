import type { Kysely } from "kysely";
import { MillraceError } from "../../core/errors.js";
import type { Database, SqlValue, Transaction } from "../database.js";
import type { Tables } from "../tables.js";
import type { SqliteConnection } from "./sqlite-connection.js";
import { kyselyOver } from "./sqlite-dialect.js";
import { SqliteSnapshots } from "./sqlite-snapshots.js";

/**
 * A SQLite file with two connections: one that writes, for one transaction at a time, and one that only reads; and a few
 * more for readers that need one moment to last. Under WAL none waits for another, and a reader never sees half a transaction.
 */
export class SqliteDatabase implements Database {
  readonly kind = "sqlite";
  readonly read: Kysely<Tables>;
  readonly #writer: SqliteConnection;
  readonly #reader: SqliteConnection;
  readonly #snapshots: SqliteSnapshots;
  readonly #transaction: Transaction;
  /** The last transaction asked for, settled or not; it never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;
  readonly #exclusive = new Set<string>();

  /** @param openReader Opens a connection that only reads. */
  constructor(writer: SqliteConnection, openReader: () => SqliteConnection) {
    const reader = openReader();
    this.#writer = writer;
    this.#reader = reader;
    this.#snapshots = new SqliteSnapshots(openReader);
    this.read = kyselyOver(reader);
    this.#transaction = {
      query: kyselyOver(writer),
      all: async <Row>(sql: string, ...parameters: SqlValue[]) => writer.all<Row>(sql, parameters),
      run: async (sql, ...parameters) => Number(writer.run(sql, parameters).changes),
      lock: async () => {},
      runMany: async (sql, lists) => writer.runMany(sql, lists),
    };
  }

  async all<Row>(sql: string, ...parameters: SqlValue[]): Promise<Row[]> {
    return this.#reader.all<Row>(sql, parameters);
  }

  snapshot<T>(work: (read: Kysely<Tables>) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError(this.#writer.path));
    return this.#snapshots.read(work);
  }

  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError(this.#writer.path));
    const done = this.#last.then(() => this.#run(work));
    // The caller has `done` and its rejection; the queue only needs to know that its turn is over.
    this.#last = done.catch(() => {});
    return done;
  }

  async exclusively(name: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#exclusive.has(name)) return false;
    this.#exclusive.add(name);
    try {
      await work();
    } finally {
      this.#exclusive.delete(name);
    }
    return true;
  }

  tell(): void {}

  onTold(): void {}

  async #run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    // IMMEDIATE: the lock is taken before anything is read, so that what was read is still true when it is written.
    this.#writer.run("BEGIN IMMEDIATE", []);
    try {
      const answer = await work(this.#transaction);
      this.#writer.run("COMMIT", []);
      return answer;
    } catch (error) {
      this.#writer.rollback();
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#last.then(async () => {
      await this.#snapshots.close();
      this.#reader.close();
      try {
        this.#writer.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } finally {
        this.#writer.close();
      }
    });
    return this.#closed;
  }
}

function closedError(path: string): MillraceError {
  return new MillraceError("DATABASE_FAILED", `The database "${path}" is closed.`, { hint: "The server is stopping." });
}
