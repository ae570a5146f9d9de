import type { Kysely } from "kysely";
import { MillraceError } from "../../core/errors.js";
import type { Database, SqlValue, Transaction } from "../database.js";
import type { Tables } from "../tables.js";
import type { SqliteConnection } from "./sqlite-connection.js";
import { kyselyOver } from "./sqlite-dialect.js";
import { SqliteSnapshots } from "./sqlite-snapshots.js";

/** How long transactions may go on joining one commit, in milliseconds: the first of them waits for it. A small one takes 0.2. */
const MAX_TOGETHER_MS = 2;

const FAILED = Symbol("failed");

/** A transaction that was asked for. */
interface Asked {
  readonly work: (transaction: Transaction) => Promise<unknown>;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** It shared a commit that failed: now it is on its own. */
  readonly alone: boolean;
}

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
  /** Transactions that were asked for and have not begun, in the order of the calls. */
  readonly #waiting: Asked[] = [];
  /** Settles when none waits any more; it never rejects. Undefined: none does. */
  #running: Promise<void> | undefined;
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
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Asked["resolve"], reject, alone: false });
      this.#running ??= this.#runAll();
    });
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

  async #runAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#runTogether();
    this.#running = undefined;
  }

  /**
   * Those that wait share one commit: most of what a small transaction costs is the pages that its commit writes, and
   * transactions of the same tables write the same pages. Each is answered when all are committed; one that fails takes back
   * its own writes alone.
   */
  async #runTogether(): Promise<void> {
    const done: { asked: Asked; answer: unknown }[] = [];
    const endAt = performance.now() + MAX_TOGETHER_MS;
    let asked = this.#waiting.shift();
    try {
      // IMMEDIATE: the lock is taken before anything is read, so that what was read is still true when it is written.
      this.#writer.run("BEGIN IMMEDIATE", []);
      while (asked !== undefined) {
        const isFirst = done.length === 0;
        if (!isFirst) this.#writer.run("SAVEPOINT one", []);
        const answer = await this.#try(asked, isFirst);
        if (answer !== FAILED) done.push({ asked, answer });
        else if (isFirst) return;
        asked = undefined;
        const next = this.#waiting[0];
        if (next === undefined || next.alone || done[0]?.asked.alone || performance.now() >= endAt) break;
        asked = this.#waiting.shift();
      }
      this.#writer.run("COMMIT", []);
    } catch (error) {
      if (asked !== undefined) done.push({ asked, answer: undefined });
      try {
        this.#writer.rollback();
      } catch (failure) {
        // The connection is past use; each that comes is told so by its own BEGIN.
        for (const each of done) each.asked.reject(failure);
        return;
      }
      // What has failed for all may have been the matter with one: each gets its own try, and its own error.
      if (done.length === 1) done[0]!.asked.reject(error);
      else this.#waiting.unshift(...done.map((each) => ({ ...each.asked, alone: true })));
      return;
    }
    for (const each of done) each.asked.resolve(each.answer);
  }

  /** @returns FAILED when its caller has been told why and its writes are undone; throws where the others' are undone too */
  async #try(asked: Asked, isFirst: boolean): Promise<unknown> {
    try {
      const answer = await asked.work(this.#transaction);
      if (!isFirst) this.#writer.run("RELEASE one", []);
      return answer;
    } catch (error) {
      if (isFirst) this.#writer.rollback();
      else {
        // After some errors, for instance a full disk, SQLite has rolled back everything, and there is no such savepoint.
        this.#writer.run("ROLLBACK TO one", []);
        this.#writer.run("RELEASE one", []);
      }
      asked.reject(error);
      return FAILED;
    }
  }

  close(): Promise<void> {
    this.#closed ??= (this.#running ?? Promise.resolve()).then(async () => {
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
