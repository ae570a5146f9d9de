import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { MillraceError } from "../../core/errors.js";
import type { SqlValue } from "../database.js";
import type { Tables } from "../tables.js";
import type { SqliteConnection } from "./sqlite-connection.js";

/** Kysely over one of our connections. Transactions are not its business: `Database.write` begins and ends them. */
export function kyselyOver(connection: SqliteConnection): Kysely<Tables> {
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => makeDriver(connection),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
  return new Kysely<Tables>({ dialect });
}

function makeDriver(connection: SqliteConnection): Driver {
  const only: DatabaseConnection = {
    executeQuery: async <Row>(query: CompiledQuery): Promise<QueryResult<Row>> => {
      const parameters = query.parameters.map(toSqlValue);
      if (answersRows(query)) return { rows: connection.all<Row>(query.sql, parameters) };
      const { changes, lastInsertRowid } = connection.run(query.sql, parameters);
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    },
    streamQuery: () => {
      throw new MillraceError("DATABASE_FAILED", "A SQLite query cannot be streamed.", { hint: "Ask with a limit." });
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

/** Of text that Kysely did not make itself it is not known; `all` runs that too, and only the count of changes is lost. */
function answersRows({ query }: CompiledQuery): boolean {
  return (
    query.kind === "SelectQueryNode" ||
    query.kind === "RawNode" ||
    ("returning" in query && query.returning !== undefined)
  );
}

/** node:sqlite binds neither `undefined` nor, on Node 22, booleans. */
function toSqlValue(value: unknown): SqlValue {
  if (value === undefined) return null;
  if (typeof value === "boolean") return value ? 1 : 0;
  return value as SqlValue;
}
