import type { Kysely } from "kysely";
import type { Tables } from "./tables.js";

export type SqlValue = string | number | bigint | null | Uint8Array;

/**
 * The seam between the server and a database. Each kind of database implements these two; the query files of this folder
 * are written against them, and `server/` knows nothing else.
 */
export interface Database extends Reads {
  readonly kind: "sqlite";
  /** Committed rows only. It sees no transaction that is under way, and does not wait for one; nor does `all`. */
  readonly read: Kysely<Tables>;
  /**
   * Runs `work` in a transaction of its own, one after the other in the order of the calls, and commits when it returns.
   * Nothing is written when it throws. `work` may await the transaction's own methods and nothing else.
   * @throws DATABASE_FAILED
   */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
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
