import { sql } from "kysely";
import { infoOf, type TableInfo } from "./describe-tables.js";
import type { Sql } from "./read-dialect.js";
import {
  allOf,
  type Condition,
  compileFilter,
  isNeverNull,
  linkOf,
  namesIds,
  ownRows,
  rowsWithin,
} from "./read-filter.js";
import {
  type ListRead,
  type OrderDirection,
  orderDirections,
  type Reading,
  refuse,
  wholeList,
} from "./read-request.js";

export type RowKey = string | number;

/** The column that points to the parent rows, and their ids. */
export interface Parents {
  column: string;
  ids: readonly RowKey[];
  /** Another column that parents and rows have in common, and its values: it is there for its index. */
  shared?: { column: string; values: readonly RowKey[] } | undefined;
}

/** The rows that one statement reads: of the root, or below all the parents of a level at once. */
export interface RowsRead {
  info: TableInfo;
  list: ListRead;
  /** What to select of each row, by the name it gets. */
  select: ReadonlyMap<string, Sql>;
  /** Null at the root. */
  parents: Parents | null;
  /** At most this many rows in a list; null: as many as there are. */
  limit: number | null;
  /** At most this many rows in all, of however many lists; null: as many as there are. */
  most: number | null;
  /** False: the order does not matter, for instance to count. */
  ordered: boolean;
  /** A column, and the only values of it that rows can have: each value's rows are found by themselves. */
  branches?: { column: string; ids: readonly RowKey[]; literal?: boolean } | undefined;
  /** Where the rows come from, when it is not the table. */
  from?: Sql | undefined;
}

/** The row that a statement is about goes by this name in it. */
export const ROW = "t";
/** The name under which a row's link to its parent is selected. */
export const LINK = "link_";

interface SortKey {
  value: Sql;
  direction: OrderDirection;
  nullable: boolean;
}

/**
 * The rows as one SELECT, in order; null when the filter lets none through whatever the tables hold. Several parents share
 * one statement: a limit for each of them is counted out by row_number().
 * @throws INPUT_INVALID
 */
export function compileRows(reading: Reading, read: RowsRead): Sql | null {
  const { info, list, parents } = read;
  const where = compileWhere(reading, read);
  if (where === false) return null;
  const sorted = sortKeys(reading, read);
  const distinct = list.distinctOn.map((name) => distinctColumn(info, name));
  const base = { select: read.select, where, from: read.from ?? sql.table(info.table) };
  if (read.branches) return compileBranches(read, base, sorted);
  const perParent = isLimited(read) && parents !== null && parents.ids.length > 1;
  if (distinct.length === 0 && !perParent) {
    return sql`${selectFrom(base, [])}${orderBy(sorted)}${page(read)}`;
  }
  const order = sorted.map((key, at) => ({ ...key, name: `order_${at}` }));
  const outer = order.map((key) => ({ ...key, value: sql.ref(`r.${key.name}`) }));
  const extra = order.map((key) => sql`${key.value} as ${sql.ref(key.name)}`);
  const link = parents ? [sql.ref(`${ROW}.${parents.column}`)] : [];
  const partition = distinct.length > 0 ? [...link, ...distinct] : link;
  const numbered = sql`row_number() over (partition by ${sql.join(partition)}${orderBy(order)}) as place_`;
  let rows = selectFrom(base, [...extra, numbered]);
  if (distinct.length > 0) {
    rows = sql`select r.* from (${rows}) as r where r.place_ = 1`;
    if (!perParent) return sql`${rows}${orderBy(outer)}${page(read)}`;
    const again = sql`row_number() over (partition by ${sql.ref(`r.${LINK}`)}${orderBy(outer)}) as rank_`;
    rows = sql`select r.*, ${again} from (${rows}) as r`;
  }
  const rank = sql.ref(distinct.length > 0 ? "p.rank_" : "p.place_");
  const last = read.limit === null ? sql`` : sql` and ${rank} <= ${list.offset + read.limit}`;
  return sql`select p.* from (${rows}) as p where ${rank} > ${list.offset}${last} order by ${rank}${page({ ...read, limit: null, list: wholeList })}`;
}

/** The first rows of each branch, and of these the page. */
function compileBranches(read: RowsRead, base: Parameters<typeof selectFrom>[0], sorted: SortKey[]): Sql | null {
  const { column, ids, literal } = read.branches!;
  if (ids.length === 0) return null;
  const order = sorted.map((key, at) => ({ ...key, name: `order_${at}` }));
  const extra = order.map((key) => sql`${key.value} as ${sql.ref(key.name)}`);
  const first = page({ ...read, limit: (read.limit ?? 0) + read.list.offset, list: wholeList });
  const each = ids.map((id) => {
    const where = allOf([branchOf(column, id, literal === true), base.where]);
    return sql`select b.* from (${selectFrom({ ...base, where }, extra)}${orderBy(sorted)}${first}) as b`;
  });
  const outer = order.map((key) => ({ ...key, value: sql.ref(`p.${key.name}`) }));
  return sql`select p.* from (${sql.join(each, sql` union all `)}) as p${orderBy(outer)}${page(read)}`;
}

/** An index of some rows only, or of an expression, is used where the text says both. */
function branchOf(column: string, id: RowKey, literal: boolean): Sql {
  const value = sql.ref(`${ROW}.${column}`);
  return literal ? sql`coalesce(${value}, '') = ${sql.lit(id)} and ${value} = ${sql.lit(id)}` : sql`${value} = ${id}`;
}

function isLimited(read: RowsRead): boolean {
  return read.limit !== null || read.list.offset > 0;
}

/**
 * What was asked for, or the table's own order. Ties are broken by the primary key, in the direction of the last key, so that
 * one page ends where the next begins and lines of one instant stay in the order in which they were written.
 */
function sortKeys(reading: Reading, read: RowsRead): SortKey[] {
  const { info, list } = read;
  const asked = list.orderBy.map((key) => {
    const sort = sortKey(reading, info, key.path, key.column, key.direction);
    // What the filter says of the row's own column: an index gives the order of a column only where none is null.
    return key.path.length === 0 && isNeverNull(list.where, key.column) ? { ...sort, nullable: false } : sort;
  });
  const plain = (direction: OrderDirection) => (column: string) => ({
    value: sql.ref(`${ROW}.${column}`),
    direction,
    nullable: false,
  });
  const keys = !read.ordered
    ? []
    : asked.length > 0
      ? asked
      : [...ownFirst(reading, info), ...info.order.map(plain("asc"))];
  if (keys.length === 0 && !isLimited(read) && list.distinctOn.length === 0) return [];
  return [...keys, ...info.key.map(plain(keys.at(-1)?.direction.startsWith("desc") ? "desc" : "asc"))];
}

/** Clients that know no tenant yet take the first of the list: it is the one that they ask for. */
function ownFirst(reading: Reading, info: TableInfo): SortKey[] {
  if (info.table !== "tenant") return [];
  const value = sql`case when ${sql.ref(`${ROW}.id`)} = ${reading.tenantId} then 0 else 1 end`;
  return [{ value, direction: "asc", nullable: false }];
}

function compileWhere(reading: Reading, read: RowsRead): Condition {
  const { info, list, parents } = read;
  const filter = compileFilter(reading, info, ROW, list.where);
  if (filter === false) return false;
  const found = parents !== null || namesIds(info, list.where);
  const linked = (column: string, ids: readonly RowKey[]) => oneOf(reading, sql.ref(`${ROW}.${column}`), ids);
  const links = parents === null ? [] : [linked(parents.column, parents.ids)];
  if (parents?.shared) links.push(linked(parents.shared.column, parents.shared.values));
  const within = rowsWithin(reading, info, ROW, list.where);
  return allOf([...links, ...within, ownRows(reading, info, ROW, found), filter]);
}

function oneOf(reading: Reading, column: Sql, ids: readonly RowKey[]): Sql {
  return ids.length === 1 ? sql`${column} = ${ids[0]}` : reading.dialect.inList(column, ids);
}

function selectFrom(base: { select: ReadonlyMap<string, Sql>; where: Condition; from: Sql }, extra: Sql[]): Sql {
  const columns = [...base.select].map(([name, value]) => sql`${value} as ${sql.ref(name)}`);
  return sql`select ${sql.join([...columns, ...extra])} from ${base.from} as ${sql.ref(ROW)} where ${base.where as Sql}`;
}

function sortKey(
  reading: Reading,
  info: TableInfo,
  path: readonly string[],
  name: string,
  direction: OrderDirection,
): SortKey {
  if (!orderDirections.includes(direction)) throw refuse(info, `"${direction}" is no direction to sort in`);
  const { value, nullable } = valueToSort(reading, info, ROW, path, name);
  return { value, direction, nullable };
}

/** A column of the row called `alias`, or of a row that object relations lead to from there. */
function valueToSort(
  reading: Reading,
  info: TableInfo,
  alias: string,
  path: readonly string[],
  name: string,
): { value: Sql; nullable: boolean } {
  const [first, ...rest] = path;
  if (first === undefined) {
    const column = info.columns.get(name);
    if (!column?.comparable) throw refuse(info, `there is nothing called "${name}" to sort by`);
    return { value: sql.ref(`${alias}.${column.column}`), nullable: column.nullable };
  }
  const relation = info.relations.get(first);
  if (!relation || relation.many) throw refuse(info, `there is nothing called "${first}" to sort by`);
  const to = infoOf(relation.to);
  const inner = `o${path.length}`;
  const { value } = valueToSort(reading, to, inner, rest, name);
  const own = ownRows(reading, to, inner, true);
  const link = linkOf(relation, inner, alias);
  const found = sql`(select ${value} from ${sql.table(to.table)} as ${sql.ref(inner)} where ${link} and ${own})`;
  return { value: found, nullable: true };
}

function distinctColumn(info: TableInfo, name: string): Sql {
  const column = info.columns.get(name);
  if (!column?.comparable) throw refuse(info, `there is nothing called "${name}" to be distinct on`);
  return sql.ref(`${ROW}.${column.column}`);
}

/** Where Postgres puts nulls is where they go: last when ascending, first when descending, unless the direction says. */
function orderBy(keys: readonly SortKey[]): Sql {
  if (keys.length === 0) return sql``;
  const parts = keys.map(({ value, direction, nullable }) => {
    const descending = direction.startsWith("desc");
    const first = direction.endsWith("first") || (descending && !direction.endsWith("last"));
    // A column without nulls is left plain: only then can an index give the order.
    const nulls = nullable ? (first ? sql` nulls first` : sql` nulls last`) : sql``;
    return sql`${value}${descending ? sql` desc` : sql` asc`}${nulls}`;
  });
  return sql` order by ${sql.join(parts)}`;
}

// Literals: SQLite would read bound ones when it plans the query, and plan it anew at each call.
function page({ limit, most, list }: RowsRead): Sql {
  if (limit === null && most === null && list.offset === 0) return sql``;
  // SQLite has no OFFSET without a LIMIT; more rows than that there are not.
  const rows = sql` limit ${sql.lit(Math.min(limit ?? Number.MAX_SAFE_INTEGER, most ?? Number.MAX_SAFE_INTEGER))}`;
  return list.offset === 0 ? rows : sql`${rows} offset ${list.offset}`;
}
