import type { SqlValue } from "../database.js";

/** The type of each column, by table. */
export type ColumnTypes = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** One statement in place of many: every parameter is the list of a column's values. */
export interface ManyText {
  readonly text: string;
  /** The places of the parameters that say which row is changed; none: rows are added. */
  readonly keys: readonly number[];
}

const INSERT = /^INSERT INTO (\w+) \(([^)]+)\) VALUES \(([^)]+)\)( ON CONFLICT(?: \([^)]+\))? DO NOTHING)?$/;
const UPDATE = /^UPDATE (\w+) SET (.+) WHERE (.+)$/;
const ASSIGNED = /^(\w+) = \?(\d+)$/;

/** The text for many rows at once; null for one that has more to it than values for columns. */
export function toManyText(sql: string, types: ColumnTypes): ManyText | null {
  return insertMany(sql, types) ?? updateMany(sql, types);
}

function insertMany(sql: string, types: ColumnTypes): ManyText | null {
  const [, table, names, values, conflict = ""] = INSERT.exec(sql) ?? [];
  if (table === undefined || names === undefined || values === undefined) return null;
  const columns = names.split(", ");
  const places = values.split(", ").map((value) => /^\?(\d+)$/.exec(value)?.[1]);
  const rows = rowsOf(
    table,
    columns.map((column, index) => [column, Number(places[index])]),
    types,
  );
  if (rows === null || places.includes(undefined)) return null;
  const selected = places.map((place) => `p${place}`).join(", ");
  return { text: `INSERT INTO ${table} (${names}) SELECT ${selected} FROM ${rows}${conflict}`, keys: [] };
}

function updateMany(sql: string, types: ColumnTypes): ManyText | null {
  const [, table, set, where] = UPDATE.exec(sql) ?? [];
  if (table === undefined || set === undefined || where === undefined) return null;
  const [assigned, compared] = [readPairs(set, ", "), readPairs(where, " AND ")];
  if (assigned === null || compared === null) return null;
  const rows = rowsOf(table, [...assigned, ...compared], types);
  if (rows === null) return null;
  const changes = assigned.map(([column, place]) => `${column} = v.p${place}`).join(", ");
  const keys = compared.map(([column, place]) => `${table}.${column} = v.p${place}`).join(" AND ");
  return {
    text: `UPDATE ${table} SET ${changes} FROM ${rows} WHERE ${keys}`,
    keys: compared.map(([, place]) => place - 1),
  };
}

function readPairs(list: string, between: string): [column: string, place: number][] | null {
  const pairs = list.split(between).map((part) => ASSIGNED.exec(part));
  if (pairs.includes(null)) return null;
  return pairs.map((pair) => [pair![1]!, Number(pair![2])]);
}

/** The values as rows, each column of the type that its table says. */
function rowsOf(table: string, pairs: readonly [column: string, place: number][], types: ColumnTypes): string | null {
  const known = new Map<number, string>();
  for (const [column, place] of pairs) {
    const type = types.get(table)?.get(column);
    if (type === undefined) return null;
    known.set(place, type);
  }
  const count = Math.max(...known.keys());
  if (known.size !== count) return null;
  const places = Array.from({ length: count }, (_, index) => index + 1);
  const arrays = places.map((place) => `$${place}::${known.get(place)}[]`).join(", ");
  return `unnest(${arrays}) AS v(${places.map((place) => `p${place}`).join(", ")})`;
}

/**
 * The parameters of the one statement. Of changes to the same row the last counts, as it would one after the other: in one
 * statement Postgres makes one of them, and does not say which.
 */
export function toManyParameters({ keys }: ManyText, lists: readonly (readonly SqlValue[])[]): SqlValue[][] {
  const rows =
    keys.length === 0
      ? lists
      : [
          ...new Map(
            lists.map((row) => [keys.length === 1 ? row[keys[0]!] : JSON.stringify(keys.map((at) => row[at])), row]),
          ).values(),
        ];
  return rows[0]!.map((_, column) => rows.map((row) => row[column] ?? null));
}
