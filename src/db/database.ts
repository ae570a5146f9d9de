import type { Kysely } from "kysely";
import type { Tables } from "./tables.js";

export type SqlValue = string | number | bigint | null | Uint8Array;

/** The longest message that `tell` passes on, in UTF-8: Postgres takes 8,000 bytes, and a little is ours. */
export const MAX_MESSAGE_BYTES = 7_500;

/**
 * The seam between the server and a database. Each kind of database implements these two; the query files of this folder
 * are written against them, and `server/` knows nothing else.
 */
export interface Database extends Reads {
  readonly kind: "sqlite" | "postgres";
  /** Committed rows only. It sees no transaction that is under way, and does not wait for one; nor does `all`. */
  readonly read: Kysely<Tables>;
  /**
   * Runs `work` with reads that all see the rows of one moment, for an answer that is put together from several. It holds a
   * connection until it is done: a single read needs none.
   * @throws DATABASE_FAILED
   */
  snapshot<T>(work: (read: Kysely<Tables>) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a transaction of its own and commits when it returns; nothing is written when it throws. SQLite runs one
   * after the other in the order of the calls, Postgres several at once: see `lock` and FOR UPDATE. `work` may be run again
   * after a deadlock, so it has no effects of its own; it may await the transaction's own methods and nothing else.
   * @throws DATABASE_FAILED, also where the connection was lost and nobody knows whether the commit came through
   */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /**
   * Runs `work` unless work of that name is under way already, here or in another server of this database: for loops of
   * which one is enough. It saves work and protects nothing: a server that loses its connection may be joined by another, so
   * the transactions in `work` must be right beside others.
   * @returns whether it was run
   * @example if (!(await database.exclusively("scheduler", () => scheduleRuns(parts)))) return;
   */
  exclusively(name: string, work: () => Promise<void>): Promise<boolean>;
  /**
   * Passes a message on to the other servers of this database, soon and at most once; those that lost their connection
   * never hear it. Of at most `MAX_MESSAGE_BYTES`. SQLite has one server, and nobody to tell.
   */
  tell(message: string): void;
  /** Who is called with what other servers tell; the last one set. */
  onTold(take: (message: string) => void): void;
  /** Waits for the transactions that were asked for, then closes. Safe to call twice. */
  close(): Promise<void>;
}

/** What a database and a transaction have in common. */
export interface Reads {
  /** A hot query, prepared once for each text. Parameters are numbered from ?1. */
  all<Row>(sql: string, ...parameters: SqlValue[]): Promise<Row[]>;
}

/** Valid until the `work` it was given to returns. */
export interface Transaction extends Reads {
  /** Queries that are not on the hot path. */
  readonly query: Kysely<Tables>;
  /** @returns how many rows were changed */
  run(sql: string, ...parameters: SqlValue[]): Promise<number>;
  /**
   * Holds a name until the transaction ends: two that ask for the same one go one after the other. For what must be read
   * and then written as one (a version number, a limit's slots). Nothing to do where there is one writer.
   */
  lock(name: string): Promise<void>;
  /** The same statement once for each list of parameters. */
  runMany(sql: string, lists: readonly (readonly SqlValue[])[]): Promise<void>;
}
