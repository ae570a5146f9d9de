import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from "kysely";
import { MillraceError } from "../../core/errors.js";
import type { Tables } from "../tables.js";

/** What a statement answered. */
export interface Answer {
  readonly rows: unknown[];
  readonly rowCount: number | null;
}

/** Kysely over whatever runs a text. Transactions are not its business: `Database.write` begins and ends them. */
export function kyselyOver(execute: (text: string, parameters: readonly unknown[]) => Promise<Answer>): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => makeDriver(execute),
      createIntrospector: (kysely) => new PostgresIntrospector(kysely),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

function makeDriver(execute: (text: string, parameters: readonly unknown[]) => Promise<Answer>): Driver {
  const only: DatabaseConnection = {
    executeQuery: async <Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> => {
      const { rows, rowCount } = await execute(sql, parameters);
      return { rows: rows as Row[], numAffectedRows: BigInt(rowCount ?? 0) };
    },
    streamQuery: () => {
      throw new MillraceError("DATABASE_FAILED", "A Postgres query cannot be streamed.", { hint: "Ask with a limit." });
    },
  };
  const refuse = async () => {
    throw new MillraceError("DATABASE_FAILED", "A transaction was begun through Kysely.", {
      hint: "Use Database.write().",
    });
  };
  return {
    init: async () => {},
    acquireConnection: async () => only,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: async () => {},
    destroy: async () => {},
  };
}
