import type { Kysely } from "kysely";
import type { Pool, PoolClient } from "pg";
import type { Tables } from "../tables.js";
import { kyselyOver } from "./postgres-dialect.js";
import { isLost } from "./postgres-errors.js";
import { toBound } from "./postgres-values.js";

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/**
 * Runs `work` on a connection that holds one moment still.
 * @param again Waits before the next try where a connection was lost before `work` began, or throws that it was the last.
 */
export async function readSnapshot<T>(
  pool: Pool,
  work: (read: Kysely<Tables>) => Promise<T>,
  again: (error: unknown) => Promise<void>,
): Promise<T> {
  const client = await begin(pool, again);
  let failure: unknown;
  const run = async (text: string, parameters: readonly unknown[]) => {
    try {
      return await client.query<object>({ text, values: parameters.map(toBound) });
    } catch (error) {
      failure ??= error;
      throw error;
    }
  };
  try {
    return await work(kyselyOver(run));
  } finally {
    // There is nothing to commit: the end of a transaction that only reads is the same either way.
    const ended = isLost(failure)
      ? false
      : await client.query("ROLLBACK").then(
          () => true,
          () => false,
        );
    client.release(!ended);
  }
}

async function begin(pool: Pool, again: (error: unknown) => Promise<void>): Promise<PoolClient> {
  for (;;) {
    let client: PoolClient | undefined;
    try {
      client = await pool.connect();
      await client.query(BEGIN);
      return client;
    } catch (error) {
      client?.release(true);
      await again(error);
    }
  }
}
