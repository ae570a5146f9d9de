import type { Kysely } from "kysely";
import { MillraceError } from "../../core/errors.js";
import type { Tables } from "../tables.js";
import type { RelationInfo, TableInfo } from "./describe-tables.js";
import type { ReadDialect } from "./read-dialect.js";

/** A condition over a table's rows, in the protocol's form: `{ name: { _eq: "a" }, flow: { archived: { _eq: false } } }`. */
export type Filter = Readonly<Record<string, unknown>>;

export const orderDirections = [
  "asc",
  "asc_nulls_first",
  "asc_nulls_last",
  "desc",
  "desc_nulls_first",
  "desc_nulls_last",
] as const;
export type OrderDirection = (typeof orderDirections)[number];

/** One sort key; `path` holds the object relations that lead to the column. */
export interface OrderKey {
  path: readonly string[];
  column: string;
  direction: OrderDirection;
}

/** Which rows of a list, and in which order. */
export interface ListRead {
  where: Filter | null;
  /** The first key sorts first. */
  orderBy: readonly OrderKey[];
  /** Null: none was asked for. */
  limit: number | null;
  offset: number;
  /** Columns of which each combination is answered once, with the row that sorts first. */
  distinctOn: readonly string[];
}

/** What to read of each row: columns, and what hangs on the row. */
export interface RowRead {
  columns: readonly string[];
  relations: readonly RelationRead[];
}

export type RelationRead = {
  /** The place in the answer: rows keep it under `relationKey(answerKey)`, away from their columns. */
  answerKey: string;
  relation: RelationInfo;
  list: ListRead;
} & ({ answer: "row" | "rows"; rows: RowRead } | { answer: "aggregate"; aggregates: AggregateRead });

/** What is asked of a list's `_aggregate`. */
export interface AggregateRead {
  values: readonly AggregateValue[];
  /** The rows themselves, by the place in the answer. */
  nodes: readonly { answerKey: string; rows: RowRead }[];
}

/** One number or value over all rows of a list. */
export interface AggregateValue {
  fn: AggregateFunction;
  /** Count: of rows, or of the rows or different values of these columns. Else: the one column. */
  columns: readonly string[];
  distinct: boolean;
}
export type AggregateFunction = "count" | "min" | "max" | "avg" | "sum";

/** An aggregate as it is answered. */
export interface Aggregated {
  /** By `aggregateKey`. */
  values: ReadonlyMap<string, unknown>;
  /** By the place in the answer. */
  nodes: ReadonlyMap<string, readonly ReadRow[]>;
}

/** Says which of an aggregate's values it is. */
export function aggregateKey({ fn, columns, distinct }: AggregateValue): string {
  return `${fn}${distinct ? " distinct" : ""}(${columns.join()})`;
}

/** A row as it is answered: columns by name, what hangs on it under `relationKey`. */
export type ReadRow = Record<string, unknown>;

/** Where a row keeps a relation: an alias may be the name of a column, so the two are kept apart. */
export function relationKey(answerKey: string): string {
  return `/${answerKey}`;
}

/** The limits of one query, and what is used of them. */
export interface ReadBudget {
  /** Rows of a list at the root that names no limit. */
  readonly defaultRows: number;
  /** The highest limit a list may name, and the limit of each inner list that names none. */
  readonly maxRows: number;
  /** Rows that may still be read, of all tables together. */
  rowsLeft: number;
  /** When the next statement may be executed: one in each turn of the event loop, so that others are answered meanwhile. */
  turn: Promise<void>;
  /** When the operation has taken too long, as `performance.now()` counts: none of its statements is begun after that. */
  readonly until: number;
  /** Set when the operation is refused: none of its other parts reads any more. */
  refused: boolean;
}

/** All that reading needs: whose rows, from where, how much. */
export interface Reading {
  db: Kysely<Tables>;
  dialect: ReadDialect;
  tenantId: string;
  /** Whose tenants may be listed besides; null: nobody's. */
  userId?: string | null;
  budget: ReadBudget;
}

export const wholeList: ListRead = { where: null, orderBy: [], limit: null, offset: 0, distinctOn: [] };

/** What a caller asked for and cannot have. @returns INPUT_INVALID */
export function refuse(info: TableInfo, message: string, hint?: string, cause?: unknown): MillraceError {
  return new MillraceError("INPUT_INVALID", `A query of "${info.name}" cannot be answered: ${message}.`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
