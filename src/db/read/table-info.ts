import type { Tables } from "../tables.js";

/**
 * What a column holds, and so how it is answered and compared.
 * `rowNumber` is a counted key that is answered as a UUID; `interval` is seconds, answered as HH:MM:SS.
 */
export type ColumnKind = "uuid" | "text" | "int" | "bool" | "json" | "instant" | "interval" | "rowNumber" | "stateId";

export interface ColumnInfo {
  readonly name: string;
  /** The table's own column; another than `name` where the protocol has a word for what the table holds under another. */
  readonly column: string;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  /** False: answered, but neither filtered nor ordered by, since the answer is not what the column holds. */
  readonly comparable: boolean;
  /** The protocol has it and our tables do not: always null. */
  readonly absent?: true;
  /** The id of a row of `to` that has its `column` in common with this row: no index finds this id, and one finds that. */
  readonly within?: { readonly to: ReadableTable; readonly column: string };
  /** For JSON objects: keys of this column of the related row are laid over the row's own. */
  readonly overlay?: { readonly relation: string; readonly column: string };
}

export interface RelationInfo {
  readonly name: string;
  readonly to: ReadableTable;
  /** True: a list of rows that point here. False: the one row that this one points to. */
  readonly many: boolean;
  /** The column on this side and the one on the other that hold the same id. */
  readonly here: string;
  readonly there: string;
  /** An object relation that may be missing. */
  readonly nullable: boolean;
  /** A column by which an index has the rows of this side in order, for each related row. */
  readonly inOrderOf?: string;
  /** A column that both sides have with the same value: it narrows the search to rows that an index finds. */
  readonly shared?: string;
}

export interface TableInfo {
  readonly table: ReadableTable | "utility_traversal";
  /** The name in GraphQL. */
  readonly name: string;
  readonly columns: ReadonlyMap<string, ColumnInfo>;
  readonly relations: ReadonlyMap<string, RelationInfo>;
  /** The columns of the primary key: they break ties, so that pages never overlap. */
  readonly key: readonly string[];
  /** The column that says whose row it is. */
  readonly tenant: string;
  /** The order of lists that ask for none. */
  readonly order: readonly string[];
}

/** Of a table proper: what is not made by a function. */
export type OfTable = TableInfo & { readonly table: ReadableTable };

/** Secrets' values and the server's own books are not for reading. */
export type ReadableTable = Exclude<
  keyof Tables,
  "report_stream" | "concurrency_slot" | "slot_request" | "secret" | "service_mark" | "membership"
>;
