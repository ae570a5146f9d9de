import type { SqlValue } from "./database.js";

/*
 * A hot statement's text is a constant: prepared statements are found by it, and a text that is put together anew for each
 * call is hashed anew, which costs as much as SQLite takes for a look-up.
 */

/** The texts of the hot statements, made once from their column lists. */
export function insertSql(table: string, columns: readonly string[]): string {
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map((_, index) => `?${index + 1}`).join(", ")})`;
}

/** The key is the last parameter. */
export function updateSql(table: string, columns: readonly string[], key: string): string {
  const set = columns.map((column, index) => `${column} = ?${index + 1}`);
  return `UPDATE ${table} SET ${set.join(", ")} WHERE ${key} = ?${columns.length + 1}`;
}

/** A row's values in the order of the columns. */
export function valuesOf<Row extends object, Column extends keyof Row & string>(
  row: Row,
  columns: readonly Column[],
): SqlValue[] {
  const values = new Array<SqlValue>(columns.length);
  for (let index = 0; index < columns.length; index++) values[index] = row[columns[index]!] as SqlValue;
  return values;
}

/** A list as one parameter, read by `json_each`. */
export const listOf = (values: readonly (string | number)[]): string => JSON.stringify(values);
