import type { SqlValue } from "../database.js";
import type { Answer } from "./postgres-dialect.js";
import { type ColumnTypes, type ManyText, toManyParameters, toManyText } from "./postgres-many.js";
import { toPostgresText } from "./postgres-text.js";
import { toBound, toBoundAll } from "./postgres-values.js";

/** What pg is asked: a name has the server parse and plan the text once a connection. */
export interface Statement {
  readonly text: string;
  readonly values: unknown[];
  readonly name?: string;
}

/** Whoever runs statements: the pool, or one connection with its transaction. */
export type Execute = (statement: Statement) => Promise<Answer>;

/**
 * Statements that each connection keeps prepared. The query files have some hundred texts; a text that is made anew at each
 * call must not fill the server's memory.
 */
const MAX_NAMED = 500;

interface Prepared {
  readonly text: string;
  readonly lists: readonly boolean[];
  readonly name: string | undefined;
}
interface PreparedMany extends ManyText {
  readonly name: string | undefined;
}

/** Our texts as Postgres takes them: each is translated once, and has one name on every connection. */
export class Statements {
  readonly #single = new Map<string, Prepared>();
  readonly #many = new Map<string, PreparedMany | null>();
  #named = 0;

  one(sql: string, parameters: readonly SqlValue[]): Statement {
    let prepared = this.#single.get(sql);
    if (prepared === undefined) {
      prepared = { ...toPostgresText(sql), name: this.#nextName() };
      // One without a name is translated each time: there may be any number of them.
      if (prepared.name !== undefined) this.#single.set(sql, prepared);
    }
    const { text, lists, name } = prepared;
    return { text, values: toBoundAll(parameters, lists), ...(name === undefined ? {} : { name }) };
  }

  /** One statement for all the lists, or null where there can be none. */
  many(sql: string, lists: readonly (readonly SqlValue[])[], types: ColumnTypes): Statement | null {
    let prepared = this.#many.get(sql);
    if (prepared === undefined) {
      const many = toManyText(sql, types);
      prepared = many && { ...many, name: this.#nextName() };
      this.#many.set(sql, prepared);
    }
    if (prepared === null) return null;
    const { text, name } = prepared;
    const values = toManyParameters(prepared, lists).map(toBound);
    return { text, values, ...(name === undefined ? {} : { name }) };
  }

  #nextName(): string | undefined {
    if (this.#named >= MAX_NAMED) return undefined;
    this.#named += 1;
    return `millrace_${this.#named}`;
  }
}
