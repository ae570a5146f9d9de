import type { ClientBase } from "pg";
import type { SqlValue, Transaction } from "../database.js";
import { type Answer, kyselyOver } from "./postgres-dialect.js";
import type { ColumnTypes } from "./postgres-many.js";
import type { Statement, Statements } from "./postgres-statements.js";
import { toBound } from "./postgres-values.js";

/** What all transactions of a database share. */
export interface TransactionParts {
  readonly statements: Statements;
  /** Our tables' schema: part of the names of locks, which are the whole database's. */
  readonly schema: string;
  columnTypes(): Promise<ColumnTypes>;
}

/** One transaction on one connection. */
export class PostgresTransaction implements Transaction {
  readonly query: Transaction["query"];
  readonly #client: ClientBase;
  readonly #parts: TransactionParts;
  #begun: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  constructor(client: ClientBase, parts: TransactionParts) {
    this.#client = client;
    this.#parts = parts;
    this.query = kyselyOver((text, parameters) => this.#execute({ text, values: parameters.map(toBound) }));
  }

  /** What the first statement that failed threw: Postgres takes no other after it, whoever caught its error. */
  get failure(): unknown {
    return this.#failure;
  }

  /** BEGIN goes out together with the first statement, which fails too when it does. */
  begin(): void {
    this.#begun = this.#execute({ text: "BEGIN", values: [] });
    this.#begun.catch(() => {});
  }

  /** @throws what a statement threw, be it that nobody listened */
  async settled(): Promise<void> {
    await this.#begun;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async all<Row>(sql: string, ...parameters: SqlValue[]): Promise<Row[]> {
    return (await this.#execute(this.#parts.statements.one(sql, parameters))).rows as Row[];
  }

  async run(sql: string, ...parameters: SqlValue[]): Promise<number> {
    return (await this.#execute(this.#parts.statements.one(sql, parameters))).rowCount ?? 0;
  }

  async lock(name: string): Promise<void> {
    await this.all(
      "SELECT pg_advisory_xact_lock(hashtextextended(?1, 0)) IS NULL AS taken",
      `${this.#parts.schema} ${name}`,
    );
  }

  async runMany(sql: string, lists: readonly (readonly SqlValue[])[]): Promise<void> {
    if (lists.length === 0) return;
    const { statements } = this.#parts;
    const many = lists.length === 1 ? null : statements.many(sql, lists, await this.#parts.columnTypes());
    if (many !== null) {
      await this.#execute(many);
      return;
    }
    // All are on their way before the first is answered.
    await Promise.all(lists.map((parameters) => this.#execute(statements.one(sql, parameters))));
  }

  async #execute(statement: Statement): Promise<Answer> {
    try {
      return await this.#client.query<object>(statement);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }
}
