import { randomUUID } from "node:crypto";
import type { Client, Notification } from "pg";
import { toPostgresError } from "./postgres-errors.js";

/** How long a lost connection is left alone before the next try; doubled up to the second. */
const [FIRST_PAUSE_MS, MAX_PAUSE_MS] = [100, 5_000];
/** Messages that wait while others are on their way; of more the oldest are given up, since all of them only save time. */
const MAX_WAITING = 1_000;

interface LineOptions {
  readonly connect: () => Client;
  readonly name: string;
  readonly schema: string;
}

/**
 * A connection beside the pool, for what lasts longer than a statement: it hears what other servers tell (LISTEN), and holds
 * the locks of work that one server at a time does. When it is lost it is made anew; what was told meanwhile is not heard.
 */
export class PostgresLine {
  readonly #options: LineOptions;
  readonly #self = randomUUID();
  readonly #exclusive = new Set<string>();
  #take: (message: string) => void = () => {};
  #client: Promise<Client> | undefined;
  #waiting: string[] = [];
  #telling: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #closed = false;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** @throws DATABASE_FAILED */
  async open(): Promise<void> {
    await this.#connected();
  }

  onTold(take: (message: string) => void): void {
    this.#take = take;
  }

  tell(message: string): void {
    if (this.#closed) return;
    this.#waiting.push(message);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
    });
  }

  async exclusively(name: string, work: () => Promise<void>): Promise<boolean> {
    // A session may take its own lock twice.
    if (this.#exclusive.has(name)) return false;
    this.#exclusive.add(name);
    try {
      const client = await this.#connected();
      if (!(await this.#lock(client, name))) return false;
      try {
        await work();
      } finally {
        await this.#unlock(client, name);
      }
      return true;
    } finally {
      this.#exclusive.delete(name);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#telling;
    const client = await this.#client?.catch(() => undefined);
    await client?.end();
  }

  async #lock(client: Client, name: string): Promise<boolean> {
    try {
      const { rows } = await client.query<{ taken: number }>(
        "SELECT pg_try_advisory_lock(hashtextextended($1, 1)) AS taken",
        [`${this.#options.schema} ${name}`],
      );
      return rows[0]?.taken === 1;
    } catch (error) {
      throw toPostgresError(error, this.#options.name);
    }
  }

  async #unlock(client: Client, name: string): Promise<void> {
    try {
      await client.query("SELECT pg_advisory_unlock(hashtextextended($1, 1))", [`${this.#options.schema} ${name}`]);
    } catch {
      // The lock was the connection's: where that is gone, so is the lock. One that only fails must not keep it.
      await client.end();
    }
  }

  async #tellAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closed) {
      const messages = this.#waiting.splice(0);
      try {
        const client = await this.#connected();
        const text = "SELECT pg_notify($1, m) FROM unnest($2::text[]) AS m";
        await client.query(text, [this.#options.schema, messages.map((message) => `${this.#self} ${message}`)]);
      } catch {
        // Told at most once: whoever does not hear it finds out at the next look into the database.
      }
    }
  }

  #connected(): Promise<Client> {
    this.#client ??= this.#connect().catch((error: unknown) => {
      this.#client = undefined;
      this.#connectLater();
      throw toPostgresError(error, this.#options.name);
    });
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const client = this.#options.connect();
    client.on("error", () => {});
    client.on("notification", (notification) => this.#hear(notification));
    try {
      await client.connect();
      await client.query(`LISTEN "${this.#options.schema}"`);
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    client.once("end", () => {
      this.#client = undefined;
      this.#connectLater();
    });
    this.#pauseMs = FIRST_PAUSE_MS;
    return client;
  }

  #connectLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      // A failed try arms the next one itself.
      this.#connected().catch(() => {});
    }, this.#pauseMs);
    this.#retry.unref();
    this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
  }

  #hear({ payload = "" }: Notification): void {
    const space = payload.indexOf(" ");
    if (payload.slice(0, space) !== this.#self) this.#take(payload.slice(space + 1));
  }
}
