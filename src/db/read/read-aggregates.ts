import { sql } from "kysely";
import type { TableInfo } from "./describe-tables.js";
import type { ReadDialect, Sql } from "./read-dialect.js";
import { type AggregateFunction, type AggregateValue, aggregateKey, refuse } from "./read-request.js";
import { LINK, ROW } from "./read-rows.js";
import { toAnswer } from "./read-values.js";

/** The kinds of column that each function takes. `count` takes all that can be sorted. */
export const aggregated: Readonly<Record<Exclude<AggregateFunction, "count">, readonly string[]>> = {
  min: ["text", "int", "instant", "interval"],
  max: ["text", "int", "instant", "interval"],
  avg: ["int"],
  sum: ["int"],
};

const OF_ROWS = "c";
const nameOf = (column: string) => `of_${column}`;

/** What the rows must hold so that `values` can be made of them, by the name it gets. @throws INPUT_INVALID */
export function columnsToAggregate(info: TableInfo, values: readonly AggregateValue[]): Map<string, Sql> {
  const columns = new Map<string, Sql>();
  for (const name of values.flatMap((value) => value.columns)) {
    const column = info.columns.get(name);
    if (!column?.comparable) throw refuse(info, `there is nothing called "${name}" to aggregate`);
    columns.set(nameOf(name), sql.ref(`${ROW}.${column.column}`));
  }
  return columns;
}

/** One row for each parent, of all its rows. `grouped` false: one row of all rows, also when there are none. */
export function compileAggregates(rows: Sql, values: readonly AggregateValue[], grouped: boolean): Sql {
  const made = values.map((value, at) => sql`${compileValue(value)} as ${sql.ref(`value_${at}`)}`);
  const link = grouped ? sql.ref(`${OF_ROWS}.${LINK}`) : sql`0`;
  const select = sql.join([sql`${link} as ${sql.ref(LINK)}`, ...made]);
  const whole = sql`select ${select} from (${rows}) as ${sql.ref(OF_ROWS)}`;
  return grouped ? sql`${whole} group by ${link}` : whole;
}

function compileValue({ fn, columns, distinct }: AggregateValue): Sql {
  const [first, ...others] = columns.map((column) => sql.ref(`${OF_ROWS}.${nameOf(column)}`));
  if (fn !== "count") return sql`${sql.raw(fn)}(${first!})`;
  if (first === undefined || (others.length > 0 && !distinct)) return sql`count(*)`;
  return distinct
    ? sql`count(distinct ${others.length === 0 ? first : asOne([first, ...others])})`
    : sql`count(${first})`;
}

/** Several values as one text, another one for other values: SQLite counts different values of one expression only. */
function asOne(columns: readonly Sql[]): Sql {
  const parts = columns.map(
    (column) =>
      sql`case when ${column} is null then 'n' else 'v' || length(cast(${column} as text)) || ':' || cast(${column} as text) end`,
  );
  return sql`(${sql.join(parts, sql` || `)})`;
}

/** The values of a stored row, by their keys. */
export function readValues(
  dialect: ReadDialect,
  info: TableInfo,
  values: readonly AggregateValue[],
  row: Readonly<Record<string, unknown>> | undefined,
): ReadonlyMap<string, unknown> {
  return new Map(
    values.map((value, at) => [aggregateKey(value), answerOf(dialect, info, value, row?.[`value_${at}`] ?? null)]),
  );
}

function answerOf(dialect: ReadDialect, info: TableInfo, { fn, columns }: AggregateValue, stored: unknown): unknown {
  if (fn === "count") return Number(stored ?? 0);
  if (stored === null) return null;
  return fn === "min" || fn === "max" ? toAnswer(info.columns.get(columns[0]!)!.kind, stored, dialect) : Number(stored);
}
