import { sql } from "kysely";
import { type ColumnInfo, infoOf, type RelationInfo, type TableInfo } from "./describe-tables.js";
import type { Sql } from "./read-dialect.js";
import { type Filter, type Reading, refuse } from "./read-request.js";
import { toOperand } from "./read-values.js";

/** A condition in SQL; or its answer, where that is known without asking. */
export type Condition = Sql | boolean;

/** Conditions of one filter, each comparison and each connective counted: ten times what any client of ours sends. */
const MAX_CONDITIONS = 500;
/** How deep conditions may stand in each other. */
const MAX_NESTING = 20;
/**
 * Lists that may lead into each other along one path of a filter. A list in a filter is looked through for each row outside it, so
 * that the work is the product of the lists on the path.
 */
const MAX_LISTS = 2;
/** The values of one `_in`: as many as the longest page has rows. */
const MAX_IN_VALUES = 10_000;
/** Characters of a LIKE pattern; SQLite refuses patterns above 50,000, and long ones cost time. */
const MAX_PATTERN_LENGTH = 1000;

const comparisons: Readonly<Record<string, Sql>> = {
  _eq: sql`=`,
  _neq: sql`<>`,
  _gt: sql`>`,
  _gte: sql`>=`,
  _lt: sql`<`,
  _lte: sql`<=`,
};

interface Compiling {
  reading: Reading;
  /** Of the table that the query is about, for messages. */
  root: TableInfo;
  conditions: number;
  aliases: number;
  /** The relations that led to where it stands. */
  path: Hop[];
}

interface Hop {
  from: TableInfo;
  relation: RelationInfo;
}

/**
 * A filter as SQL over the rows called `alias`. A null operand, an absent filter and `{}` are always true: clients send
 * them for "no matter which".
 * @throws INPUT_INVALID for words that the table does not have, values that a column cannot hold, and filters above the limits
 */
export function compileFilter(reading: Reading, info: TableInfo, alias: string, where: Filter | null): Condition {
  if (where === null) return true;
  return compileAll({ reading, root: info, conditions: 0, aliases: 0, path: [] }, info, alias, where, 1);
}

/** All of the conditions. */
export function allOf(conditions: readonly Condition[]): Condition {
  if (conditions.includes(false)) return false;
  const open = conditions.filter((condition): condition is Sql => condition !== true);
  return open.length === 0 ? true : open.length === 1 ? open[0]! : sql`(${sql.join(open, sql` and `)})`;
}

/** The condition where SQL needs to see one. */
export function toSql(condition: Condition): Sql {
  return typeof condition === "boolean" ? (condition ? sql`1 = 1` : sql`1 = 0`) : condition;
}

/** The related rows, called `inner`, of the row called `alias`. */
export function linkOf(relation: RelationInfo, inner: string, alias: string): Sql {
  const link = sql`${sql.ref(`${inner}.${relation.there}`)} = ${sql.ref(`${alias}.${relation.here}`)}`;
  const { shared } = relation;
  return shared === undefined
    ? link
    : sql`${link} and ${sql.ref(`${inner}.${shared}`)} = ${sql.ref(`${alias}.${shared}`)}`;
}

/** Only the caller's rows. `found`: other conditions find the rows, this one only makes sure. */
export function ownRows(reading: Reading, info: TableInfo, alias: string, found: boolean): Sql {
  const tenant = sql.ref(`${alias}.${info.tenant}`);
  const own = sql`${found ? reading.dialect.unindexed(tenant) : tenant} = ${reading.tenantId}`;
  if (info.table !== "tenant" || (reading.userId ?? null) === null) return own;
  // Of the tenants, all that the user may act for: what is in the others is still read under their own header alone.
  return sql`(${own} or ${tenant} in (select m.tenant_id from membership as m where m.user_id = ${reading.userId}))`;
}

/** True when the filter names rows by an id, so that few are left whatever else it says. */
export function namesIds(info: TableInfo, where: Filter | null): boolean {
  return Object.entries(where ?? {}).some(([word, value]) => {
    if (value === null || typeof value !== "object") return false;
    if (word === "_and") return asList(value).some((part) => namesIds(info, part as Filter));
    const column = info.columns.get(word);
    const { _eq, _in } = value as { _eq?: unknown; _in?: unknown };
    return (
      (column?.kind === "uuid" || column?.kind === "rowNumber") && ((_eq ?? null) !== null || (_in ?? null) !== null)
    );
  });
}

function compileAll(compiling: Compiling, info: TableInfo, alias: string, where: unknown, nesting: number): Condition {
  if (where === null || where === undefined) return true;
  if (typeof where !== "object" || Array.isArray(where)) throw refuse(compiling.root, "a filter is an object");
  if (nesting > MAX_NESTING) throw refuse(compiling.root, `its filter is more than ${MAX_NESTING} levels deep`);
  return allOf(
    Object.entries(where).map(([word, value]) => compileWord(compiling, info, alias, word, value, nesting + 1)),
  );
}

function compileWord(
  compiling: Compiling,
  info: TableInfo,
  alias: string,
  word: string,
  value: unknown,
  nesting: number,
): Condition {
  if (value === null || value === undefined) return true;
  count(compiling, 1);
  const inner = (part: unknown) => compileAll(compiling, info, alias, part, nesting);
  if (word === "_and") return allOf(asList(value).map(inner));
  if (word === "_or") return anyOf(asList(value).map(inner));
  if (word === "_not") return not(inner(value));
  const column = info.columns.get(word);
  if (column?.comparable) return compileColumn(compiling, info, alias, column, value);
  const relation = info.relations.get(word);
  if (relation) return compileRelation(compiling, alias, { from: info, relation }, value, nesting);
  throw refuse(compiling.root, `"${info.name}" has nothing called "${word}" to filter by`);
}

function compileRelation(compiling: Compiling, alias: string, hop: Hop, where: unknown, nesting: number): Condition {
  const { reading, path } = compiling;
  const { relation } = hop;
  checkHop(compiling, hop);
  const to = infoOf(relation.to);
  const inner = `f${++compiling.aliases}`;
  path.push(hop);
  const condition = compileAll(compiling, to, inner, where, nesting);
  path.pop();
  if (condition === false) return false;
  // A row that must be there, and of which nothing is asked, need not be looked up.
  if (condition === true && !relation.many && !relation.nullable) return true;
  const all = allOf([linkOf(relation, inner, alias), ownRows(reading, to, inner, true), condition]);
  return sql`exists (select 1 from ${sql.table(to.table)} as ${sql.ref(inner)} where ${all as Sql})`;
}

/** Refuses paths whose work grows with the power of their length: over many lists, or again and again over the same rows. */
function checkHop({ root, path }: Compiling, { from, relation }: Hop): void {
  const words = [...path.map((hop) => hop.relation.name), relation.name].join(".");
  const before = path.at(-1)?.relation;
  const isInverse = before?.here === relation.there && before.there === relation.here;
  const isKnown = [from, ...path.map((hop) => hop.from)].some(({ table }) => table === relation.to);
  if ((isInverse && path.at(-1)?.from.table === relation.to) || (relation.many && isKnown)) {
    throw refuse(root, `its filter goes back to where it came from, by "${words}"`, "Say it of the rows outside.");
  }
  if (relation.many && path.filter((hop) => hop.relation.many).length >= MAX_LISTS) {
    const hint = "Ask for the ids of the inner rows first, and compare with _in.";
    throw refuse(root, `its filter leads over more than ${MAX_LISTS} lists, by "${words}"`, hint);
  }
}

function compileColumn(
  compiling: Compiling,
  info: TableInfo,
  alias: string,
  column: ColumnInfo,
  value: unknown,
): Condition {
  if (typeof value !== "object" || Array.isArray(value)) {
    throw refuse(compiling.root, `"${column.name}" is compared by an object such as { _eq: … }`);
  }
  const ref = sql.ref(`${alias}.${column.column}`);
  return allOf(
    Object.entries(value as object).map(([operator, operand]) => {
      if (operand === null || operand === undefined) return true;
      count(compiling, 1);
      return compileComparison(compiling, info, ref, column, operator, operand);
    }),
  );
}

/**
 * Where the rows must be that the filter names, at its top, by an id that no index finds (`within`). Beside the filter and not
 * in it: where the id is null it is false, and the filter's own comparison is neither true nor false.
 */
export function rowsWithin(reading: Reading, info: TableInfo, alias: string, where: Filter | null): Sql[] {
  return Object.entries(where ?? {}).flatMap(([word, value]) => {
    if (value === null || typeof value !== "object") return [];
    if (word === "_and") return asList(value).flatMap((part) => rowsWithin(reading, info, alias, part as Filter));
    const within = info.columns.get(word)?.within;
    const { _eq, _in } = value as { _eq?: unknown; _in?: unknown };
    const named = _eq ?? _in ?? null;
    if (!within || named === null) return [];
    const to = infoOf(within.to);
    const ids = asList(named).map((id) => toOperand(to, to.columns.get("id")!, id));
    const found = reading.dialect.inList(sql.ref("w.id"), ids);
    const shared = sql.ref(`w.${within.column}`);
    return [
      sql`${sql.ref(`${alias}.${within.column}`)} in (select ${shared} from ${sql.table(to.table)} as w where ${found})`,
    ];
  });
}

/** Does the filter, at its top, leave no row where the column is null? */
export function isNeverNull(where: Filter | null, column: string): boolean {
  return Object.entries(where ?? {}).some(([word, value]) => {
    if (value === null || typeof value !== "object") return false;
    if (word === "_and") return asList(value).some((part) => isNeverNull(part as Filter, column));
    return word === column && (value as { _is_null?: unknown })._is_null === false;
  });
}

function compileComparison(
  compiling: Compiling,
  info: TableInfo,
  ref: Sql,
  column: ColumnInfo,
  operator: string,
  operand: unknown,
): Condition {
  const { dialect } = compiling.reading;
  if (operator === "_is_null" && typeof operand === "boolean") {
    if (!column.nullable) return !operand;
    return operand ? sql`${ref} is null` : sql`${ref} is not null`;
  }
  if (column.kind === "json") return compileJson(compiling, ref, column, operator, operand);
  const comparison = Object.hasOwn(comparisons, operator) ? comparisons[operator] : undefined;
  if (comparison) return sql`${ref} ${comparison} ${toOperand(info, column, operand)}`;
  if (operator === "_in" || operator === "_nin") {
    const values = asList(operand).map((one) => toOperand(info, column, one));
    if (values.length > MAX_IN_VALUES) {
      throw refuse(
        compiling.root,
        `"${column.name}" is compared with ${values.length} values, and ${MAX_IN_VALUES} are the most`,
      );
    }
    if (values.length === 0) return operator === "_nin";
    const among = values.length === 1 ? sql`${ref} = ${values[0]}` : dialect.inList(ref, values);
    return operator === "_in" ? among : sql`not (${among})`;
  }
  if (column.kind === "text" && /^_n?i?like$/.test(operator) && typeof operand === "string") {
    if (operand.length > MAX_PATTERN_LENGTH) {
      throw refuse(
        compiling.root,
        `the pattern for "${column.name}" has ${operand.length} characters, and ${MAX_PATTERN_LENGTH} are the most`,
      );
    }
    const like = dialect.like(ref, operand, !operator.endsWith("ilike"));
    return operator.startsWith("_n") ? sql`not (${like})` : like;
  }
  throw refuse(compiling.root, `"${column.name}" cannot be compared by "${operator}" with such a value`);
}

function compileJson(
  compiling: Compiling,
  ref: Sql,
  column: ColumnInfo,
  operator: string,
  operand: unknown,
): Condition {
  const { dialect } = compiling.reading;
  count(compiling, sizeOf(compiling, operand, 1));
  const condition = (() => {
    if (operator === "_eq") return dialect.jsonMatches(ref, operand, true);
    if (operator === "_neq") return sql`not ${dialect.jsonMatches(ref, operand, true)}`;
    if (operator === "_contains") return dialect.jsonMatches(ref, operand, false);
    if (operator === "_has_key" && typeof operand === "string") return dialect.jsonHasKey(ref, operand);
    if (operator === "_has_keys_any" || operator === "_has_keys_all") {
      const keys = asList(operand).map((key) => dialect.jsonHasKey(ref, String(key)));
      return toSql(operator === "_has_keys_any" ? anyOf(keys) : allOf(keys));
    }
    throw refuse(compiling.root, `"${column.name}" cannot be compared by "${operator}" with such a value`);
  })();
  // SQL's own null, which is neither like the operand nor unlike it.
  return column.nullable ? sql`(case when ${ref} is null then null else ${condition} end)` : condition;
}

/** How many values the JSON holds. */
function sizeOf(compiling: Compiling, json: unknown, nesting: number): number {
  if (typeof json !== "object" || json === null) return 1;
  if (nesting > MAX_NESTING) throw refuse(compiling.root, `JSON in its filter is more than ${MAX_NESTING} levels deep`);
  let size = 1;
  for (const value of Object.values(json)) size += sizeOf(compiling, value, nesting + 1);
  return size;
}

function count(compiling: Compiling, conditions: number): void {
  compiling.conditions += conditions;
  if (compiling.conditions > MAX_CONDITIONS) {
    throw refuse(
      compiling.root,
      `its filter has more than ${MAX_CONDITIONS} conditions`,
      "Use _in for long lists of values.",
    );
  }
}

function anyOf(conditions: readonly Condition[]): Condition {
  if (conditions.includes(true)) return true;
  const open = conditions.filter((condition): condition is Sql => condition !== false);
  return open.length === 0 ? false : open.length === 1 ? open[0]! : sql`(${sql.join(open, sql` or `)})`;
}

function not(condition: Condition): Condition {
  return typeof condition === "boolean" ? !condition : sql`(not ${condition})`;
}

/** A single value stands for a list of one. */
function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}
