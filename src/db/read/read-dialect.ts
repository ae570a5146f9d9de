import { type RawBuilder, sql } from "kysely";
import type { Database } from "../database.js";

/** A condition or a value in SQL; its parameters are bound. */
export type Sql = RawBuilder<unknown>;

/**
 * What the read API asks of a database in that database's own words. All else that it writes is SQL that SQLite and
 * Postgres both take.
 */
export interface ReadDialect {
  /** True where the column equals one of the values. One parameter, however many the values. */
  inList(column: Sql, values: readonly (string | number)[]): Sql;
  /** `column`, in a form that no index is chosen for: for conditions that are there to be safe and not to find rows. */
  unindexed(column: Sql): Sql;
  /** LIKE as Postgres has it: `%`, `_` and `\` as the escape. */
  like(column: Sql, pattern: string, caseSensitive: boolean): Sql;
  /** True where the JSON contains `operand` (`@>`), or, with `exact`, equals it. */
  jsonMatches(column: Sql, operand: unknown, exact: boolean): Sql;
  /** True where `key` is a key of the JSON object or a text in the JSON list. */
  jsonHasKey(column: Sql, key: string): Sql;
  /** JSON as the driver hands it over, to a value. */
  parseJson(stored: unknown): unknown;
}

const sqliteReads: ReadDialect = {
  inList: (column, values) => sql`${column} in (select value from json_each(${JSON.stringify(values)}))`,
  // A unary plus keeps SQLite's planner, which has no statistics, from taking the tenant's index over a better one.
  unindexed: (column) => sql`+${column}`,
  // SQLite's LIKE always ignores the case (of ASCII letters); its GLOB never does.
  like: (column, pattern, caseSensitive) =>
    caseSensitive ? sql`${column} glob ${globOf(pattern)}` : sql`${column} like ${pattern} escape '\\'`,
  jsonMatches(column, operand, exact) {
    // A list is said to contain a single value too, at the top only.
    const top = sql`select 1 from json_each(json_array(json(${column}))) as j0 where ${matches("j0", operand, exact, 1)}`;
    if (exact || (typeof operand === "object" && operand !== null)) return sql`exists (${top})`;
    return sql`(exists (${top}) or exists (select 1 from json_each(${column}) as j0 where typeof(j0.key) = 'integer' and ${matches("j0", operand, false, 1)}))`;
  },
  jsonHasKey: (column, key) =>
    sql`exists (select 1 from json_each(${column}) as j0 where j0.key = ${key} or (typeof(j0.key) = 'integer' and j0.type = 'text' and j0.value = ${key}))`,
  parseJson: (stored) => (typeof stored === "string" ? JSON.parse(stored) : stored),
};

/** Text that Postgres takes for JSON: it refuses what no text can hold, NUL and halves of a surrogate pair, even as escapes. */
const jsonOf = (column: Sql): Sql =>
  sql`(case when ${column} like '%\\\\u%' then regexp_replace(${column}, '\\\\u(0000|d[89a-f][0-9a-f]{2})', '\\\\ufffd', 'g') else ${column} end)::jsonb`;

const postgresReads: ReadDialect = {
  inList: (column, values) => sql`${column} = any(${[...values]})`,
  unindexed: (column) => column,
  like: (column, pattern, caseSensitive) =>
    caseSensitive ? sql`${column} like ${pattern}` : sql`${column} ilike ${pattern}`,
  jsonMatches: (column, operand, exact) =>
    exact
      ? sql`${jsonOf(column)} = ${JSON.stringify(operand)}::jsonb`
      : sql`${jsonOf(column)} @> ${JSON.stringify(operand)}::jsonb`,
  jsonHasKey: (column, key) => sql`${jsonOf(column)} ? ${key}::text`,
  parseJson: (stored) => (typeof stored === "string" ? JSON.parse(stored) : stored),
};

/** The words of each kind of database. */
export const readDialects: Readonly<Record<Database["kind"], ReadDialect>> = {
  sqlite: sqliteReads,
  postgres: postgresReads,
};

/** Whether the row of json_each called `row` contains, or equals, the operand; written out along the operand's own shape. */
function matches(row: string, operand: unknown, exact: boolean, depth: number): Sql {
  const type = sql.ref(`${row}.type`);
  const value = sql.ref(`${row}.value`);
  if (operand === null) return sql`${type} = 'null'`;
  if (typeof operand === "boolean") return sql`${type} = ${operand ? "true" : "false"}`;
  if (typeof operand === "number") return sql`(${type} in ('integer', 'real') and ${value} = ${operand})`;
  if (typeof operand === "string") return sql`(${type} = 'text' and ${value} = ${operand})`;
  const inner = `j${depth}`;
  const key = sql.ref(`${inner}.key`);
  const isList = Array.isArray(operand);
  const entries = Object.entries(operand as object);
  const conditions = entries.map(([name, wanted]) => {
    const place = isList ? (exact ? sql`${key} = ${Number(name)} and ` : sql``) : sql`${key} = ${name} and `;
    return sql`exists (select 1 from json_each(${value}) as ${sql.ref(inner)} where ${place}${matches(inner, wanted, exact, depth + 1)})`;
  });
  if (exact) conditions.push(sql`(select count(*) from json_each(${value})) = ${entries.length}`);
  return sql`(case when ${type} = ${isList ? "array" : "object"} then ${conditions.length === 0 ? sql`1` : sql.join(conditions, sql` and `)} else 0 end)`;
}

function globOf(pattern: string): string {
  let glob = "";
  for (let at = 0; at < pattern.length; at++) {
    const sign = pattern[at]!;
    if (sign === "%") glob += "*";
    else if (sign === "_") glob += "?";
    else glob += literal(sign === "\\" && at + 1 < pattern.length ? pattern[++at]! : sign);
  }
  return glob;
}

function literal(sign: string): string {
  return sign === "*" || sign === "?" || sign === "[" ? `[${sign}]` : sign;
}
