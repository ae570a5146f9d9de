import { randomInt } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Kysely } from "kysely";
import type { Pool, PoolClient } from "pg";
import { MillraceError } from "../../core/errors.js";
import type { Database, SqlValue, Transaction } from "../database.js";
import type { Tables } from "../tables.js";
import { type Answer, kyselyOver } from "./postgres-dialect.js";
import { fateUnknown, isConflict, isLost, toPostgresError, wasNeverSent } from "./postgres-errors.js";
import type { PostgresLine } from "./postgres-line.js";
import type { ColumnTypes } from "./postgres-many.js";
import { readSnapshot } from "./postgres-snapshot.js";
import { type Statement, Statements } from "./postgres-statements.js";
import { PostgresTransaction, type TransactionParts } from "./postgres-transaction.js";
import { toBound } from "./postgres-values.js";

/** How often a transaction is run, when others that want the same rows have it rolled back. */
const MAX_CONFLICTS = 10;
/** The longest pause after the first conflict, doubled each time: conflicts end when one of the two is late. */
const CONFLICT_PAUSE_MS = 4;
/** How often what lost its connection is tried: connections that a restart has broken are all found at once. */
const MAX_LOSSES = 4;
/** A restart of Postgres takes a few tenths of a second. Clients try again for longer than that by themselves. */
const LOSS_PAUSE_MS = 50;

/** Two pools: transactions that wait for each other's locks, with every connection of theirs, hold up no read. */
export interface Pools {
  readonly readers: Pool;
  readonly writers: Pool;
}

/** A Postgres database: pools of connections, each with one transaction or one read at a time. */
export class PostgresDatabase implements Database {
  readonly kind = "postgres";
  readonly read: Kysely<Tables>;
  readonly #pools: Pools;
  readonly #name: string;
  readonly #line: PostgresLine;
  readonly #parts: TransactionParts;
  readonly #statements = new Statements();
  readonly #underWay = new Set<Promise<unknown>>();
  #types: Promise<ColumnTypes> | undefined;
  #closed: Promise<void> | undefined;

  constructor(pools: Pools, line: PostgresLine, { name, schema }: { name: string; schema: string }) {
    this.#pools = pools;
    this.#line = line;
    this.#name = name;
    this.#parts = { statements: this.#statements, schema, columnTypes: () => this.#columnTypes(schema) };
    this.read = kyselyOver((text, parameters) => this.#read({ text, values: parameters.map(toBound) }));
  }

  async all<Row>(sql: string, ...parameters: SqlValue[]): Promise<Row[]> {
    return (await this.#read(this.#statements.one(sql, parameters))).rows as Row[];
  }

  snapshot<T>(work: (read: Kysely<Tables>) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError(this.#name));
    let losses = 0;
    const again = async (error: unknown) => {
      if (!isLost(error) || ++losses >= MAX_LOSSES || this.#closed) throw error;
      await pause(LOSS_PAUSE_MS, losses);
    };
    return this.#waitedFor(
      readSnapshot(this.#pools.readers, work, again).catch((error: unknown) => {
        throw toPostgresError(error, this.#name);
      }),
    );
  }

  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError(this.#name));
    return this.#waitedFor(this.#write(work));
  }

  /** What is under way when the database is closed is let come to its end. */
  #waitedFor<T>(done: Promise<T>): Promise<T> {
    const settled = done.catch(() => {}).finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return done;
  }

  exclusively(name: string, work: () => Promise<void>): Promise<boolean> {
    return this.#line.exclusively(name, work);
  }

  tell(message: string): void {
    this.#line.tell(message);
  }

  onTold(take: (message: string) => void): void {
    this.#line.onTold(take);
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.all(this.#underWay);
      await this.#line.close();
      await Promise.all([this.#pools.readers.end(), this.#pools.writers.end()]);
    })();
    return this.#closed;
  }

  async #write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let conflicts = 0, losses = 0; ; ) {
      const outcome = await this.#attempt(work);
      if ("answer" in outcome) return outcome.answer;
      const { error, again } = outcome;
      if (again === "conflict" && ++conflicts < MAX_CONFLICTS) await pause(CONFLICT_PAUSE_MS, conflicts);
      else if (again === "lost" && ++losses < MAX_LOSSES && !this.#closed) await pause(LOSS_PAUSE_MS, losses);
      else throw toPostgresError(error, this.#name);
    }
  }

  async #attempt<T>(work: (transaction: Transaction) => Promise<T>): Promise<Attempt<T>> {
    let client: PoolClient;
    try {
      client = await this.#pools.writers.connect();
    } catch (error) {
      return { error, again: isLost(error) ? "lost" : null };
    }
    const transaction = new PostgresTransaction(client, this.#parts);
    try {
      transaction.begin();
      const answer = await work(transaction);
      await transaction.settled();
      await this.#commit(client);
      client.release();
      return { answer };
    } catch (error) {
      const { failure } = transaction;
      await rollBack(client, failure);
      if (isConflict(failure)) return { error: failure, again: "conflict" };
      if (isLost(failure)) return { error: failure, again: "lost" };
      if (isConflict(error)) return { error, again: "conflict" };
      if (wasNeverSent(error)) return { error, again: "lost" };
      return { error, again: null };
    }
  }

  async #commit(client: PoolClient): Promise<void> {
    try {
      await client.query("COMMIT");
    } catch (error) {
      throw isLost(error) && !wasNeverSent(error) ? fateUnknown(error, this.#name) : error;
    }
  }

  async #read(statement: Statement): Promise<Answer> {
    for (let losses = 1; ; losses++) {
      if (this.#closed) throw closedError(this.#name);
      try {
        return await this.#pools.readers.query<object>(statement);
      } catch (error) {
        if (!isLost(error) || losses >= MAX_LOSSES || this.#closed) throw toPostgresError(error, this.#name);
        await pause(LOSS_PAUSE_MS, losses);
      }
    }
  }

  #columnTypes(schema: string): Promise<ColumnTypes> {
    this.#types ??= this.#readColumnTypes(schema).catch((error: unknown) => {
      this.#types = undefined;
      throw error;
    });
    return this.#types;
  }

  async #readColumnTypes(schema: string): Promise<ColumnTypes> {
    const rows = await this.all<{ table_name: string; column_name: string; data_type: string }>(
      "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = ?1",
      schema,
    );
    const types = new Map<string, Map<string, string>>();
    for (const { table_name, column_name, data_type } of rows) {
      const columns = types.get(table_name) ?? new Map<string, string>();
      types.set(table_name, columns.set(column_name, data_type));
    }
    return types;
  }
}

/** What became of a transaction: its answer, or why there is none and whether another try may have one. */
type Attempt<T> = { answer: T } | { error: unknown; again: "conflict" | "lost" | null };

async function rollBack(client: PoolClient, failure: unknown): Promise<void> {
  let broken = isLost(failure);
  if (!broken)
    await client.query("ROLLBACK").catch(() => {
      // Postgres rolls back itself when the connection goes.
      broken = true;
    });
  client.release(broken);
}

/** Twice as long each time, and never as long as somebody else's. */
function pause(firstMs: number, times: number): Promise<void> {
  const most = firstMs * 2 ** times;
  return wait(randomInt(Math.ceil(most / 2), most + 1));
}

function closedError(name: string): MillraceError {
  return new MillraceError("DATABASE_FAILED", `The database "${name}" is closed.`, { hint: "The server is stopping." });
}
