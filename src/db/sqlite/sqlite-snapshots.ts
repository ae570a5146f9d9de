import type { Kysely } from "kysely";
import type { Tables } from "../tables.js";
import type { SqliteConnection } from "./sqlite-connection.js";
import { kyselyOver } from "./sqlite-dialect.js";

/** Readers at once, each with a page cache of its own; others wait for their turn, which is a matter of milliseconds. */
const MAX_READERS = 4;

interface Reader {
  readonly connection: SqliteConnection;
  readonly kysely: Kysely<Tables>;
}

/** Connections that are opened when they are needed, and each hold one moment still for one reader. */
export class SqliteSnapshots {
  readonly #open: () => SqliteConnection;
  readonly #readers: Reader[] = [];
  readonly #idle: Reader[] = [];
  readonly #waiting: ((reader: Reader) => void)[] = [];
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(open: () => SqliteConnection) {
    this.#open = open;
  }

  read<T>(work: (read: Kysely<Tables>) => Promise<T>): Promise<T> {
    const done = this.#read(work);
    const settled = done.catch(() => {}).finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return done;
  }

  /** Waits for the readers that are at work. */
  async close(): Promise<void> {
    await Promise.all(this.#underWay);
    for (const { connection } of this.#readers) connection.close();
  }

  async #read<T>(work: (read: Kysely<Tables>) => Promise<T>): Promise<T> {
    const reader = await this.#take();
    try {
      reader.connection.run("BEGIN", []);
      const answer = await work(reader.kysely);
      reader.connection.run("COMMIT", []);
      return answer;
    } catch (error) {
      reader.connection.rollback();
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next) next(reader);
      else this.#idle.push(reader);
    }
  }

  async #take(): Promise<Reader> {
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#readers.length >= MAX_READERS) return new Promise((resolve) => this.#waiting.push(resolve));
    const connection = this.#open();
    const reader = { connection, kysely: kyselyOver(connection) };
    this.#readers.push(reader);
    return reader;
  }
}
