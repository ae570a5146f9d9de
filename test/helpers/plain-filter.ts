import { type ColumnInfo, infoOf, type ReadableTable, type TableInfo } from "../../src/db/read/describe-tables.js";

type Row = Record<string, unknown>;
type Rows = Readonly<Record<string, readonly Row[]>>;
/** SQL's truth: null is "not known". */
type Truth = boolean | null;

/** The read API's filters as their definition says, over rows in memory: what SQL is compared with. */
export function plainFilter(rows: Rows, table: ReadableTable, where: unknown): Row[] {
  return (rows[table] ?? []).filter((row) => holds(rows, infoOf(table), row, where) === true);
}

function holds(rows: Rows, info: TableInfo, row: Row, where: unknown): Truth {
  if (where === null || where === undefined) return true;
  return and(Object.entries(where).map(([word, value]) => holdsWord(rows, info, row, word, value)));
}

function holdsWord(rows: Rows, info: TableInfo, row: Row, word: string, value: unknown): Truth {
  if (value === null) return true;
  const list = Array.isArray(value) ? value : [value];
  if (word === "_and") return and(list.map((one) => holds(rows, info, row, one)));
  if (word === "_or") return not(and(list.map((one) => not(holds(rows, info, row, one)))));
  if (word === "_not") return not(holds(rows, info, row, value));
  const column = info.columns.get(word);
  if (column)
    return and(
      Object.entries(value as object).map(([operator, operand]) =>
        compare(column, row[column.column] ?? null, operator, operand),
      ),
    );
  const relation = info.relations.get(word)!;
  const related = (rows[relation.to] ?? []).filter((one) => one[relation.there] === row[relation.here]);
  return related.some((one) => holds(rows, infoOf(relation.to), one, value) === true);
}

function compare(column: ColumnInfo, stored: unknown, operator: string, operand: unknown): Truth {
  if (operand === null) return true;
  if (operator === "_is_null") return (stored === null) === operand;
  if ((operator === "_in" || operator === "_nin") && (operand as unknown[]).length === 0) return operator === "_nin";
  if (stored === null) return null;
  if (column.kind === "json") return compareJson(JSON.parse(stored as string), operator, operand);
  const value =
    column.kind === "instant" ? Date.parse(stored as string) : column.kind === "bool" ? stored === 1 : stored;
  const wanted = (one: unknown) => (column.kind === "instant" ? Date.parse(one as string) : one);
  switch (operator) {
    case "_eq":
      return value === wanted(operand);
    case "_neq":
      return value !== wanted(operand);
    case "_gt":
      return (value as number) > (wanted(operand) as number);
    case "_gte":
      return (value as number) >= (wanted(operand) as number);
    case "_lt":
      return (value as number) < (wanted(operand) as number);
    case "_lte":
      return (value as number) <= (wanted(operand) as number);
    case "_in":
      return (operand as unknown[]).some((one) => wanted(one) === value);
    case "_nin":
      return !(operand as unknown[]).some((one) => wanted(one) === value);
    default: {
      const [, negated, flags] = /^_(n?)(i?)like$/.exec(operator)!;
      return likePattern(operand as string, flags!).test(value as string) !== (negated === "n");
    }
  }
}

function likePattern(pattern: string, flags: string): RegExp {
  const source = pattern.replace(/\\(.)|[%_]|[\s\S]/gu, (sign, escaped?: string) => {
    if (escaped !== undefined) return literal(escaped);
    return sign === "%" ? "[\\s\\S]*" : sign === "_" ? "[\\s\\S]" : literal(sign);
  });
  return new RegExp(`^${source}$`, `u${flags}`);
}

function literal(sign: string): string {
  return sign.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}

function compareJson(stored: unknown, operator: string, operand: unknown): boolean {
  if (operator === "_eq") return equal(stored, operand);
  if (operator === "_neq") return !equal(stored, operand);
  if (operator === "_has_key") {
    return Array.isArray(stored)
      ? stored.includes(operand)
      : isObject(stored) && Object.hasOwn(stored, operand as string);
  }
  const inList = Array.isArray(stored) && (typeof operand !== "object" || operand === null) && stored.includes(operand);
  return inList || contains(stored, operand);
}

/** As Postgres has `@>`. */
function contains(stored: unknown, operand: unknown): boolean {
  if (Array.isArray(operand)) {
    return Array.isArray(stored) && operand.every((wanted) => stored.some((one) => contains(one, wanted)));
  }
  if (!isObject(operand)) return stored === operand;
  return (
    isObject(stored) &&
    Object.entries(operand).every(([key, wanted]) => Object.hasOwn(stored, key) && contains(stored[key], wanted))
  );
}

function equal(one: unknown, other: unknown): boolean {
  if (Array.isArray(one))
    return Array.isArray(other) && one.length === other.length && one.every((value, n) => equal(value, other[n]));
  if (!isObject(one)) return one === other;
  const keys = Object.keys(one);
  return (
    isObject(other) &&
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && equal(one[key], other[key]))
  );
}

function isObject(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function and(truths: Truth[]): Truth {
  return truths.includes(false) ? false : truths.includes(null) ? null : true;
}

function not(truth: Truth): Truth {
  return truth === null ? null : !truth;
}
