import { setImmediate as immediate } from "node:timers/promises";
import { sql } from "kysely";
import { type ColumnInfo, infoOf, type TableInfo } from "./describe-tables.js";
import { columnsToAggregate, compileAggregates, readValues } from "./read-aggregates.js";
import { findBranches } from "./read-branches.js";
import type { ReadDialect, Sql } from "./read-dialect.js";
import { linkOf } from "./read-filter.js";
import {
  type Aggregated,
  type AggregateRead,
  type ListRead,
  type Reading,
  type ReadRow,
  type RelationRead,
  type RowRead,
  refuse,
  relationKey,
  wholeList,
} from "./read-request.js";
import { compileRows, LINK, type Parents, ROW, type RowKey, type RowsRead } from "./read-rows.js";
import { keyOfId, stateId, toAnswer } from "./read-values.js";

/*
 * Reads a tree of rows level by level: one statement for each relation of the selection, whatever the number of rows above
 * it. Only what is selected is read, and only the caller's own rows.
 */

type StoredRow = Record<string, unknown>;

/**
 * The rows of a list at the root, with all that was asked for below them.
 * @param from Where the rows come from; default: the table.
 * @throws INPUT_INVALID
 */
export async function readList(
  reading: Reading,
  info: TableInfo,
  list: ListRead,
  rows: RowRead,
  from?: Sql,
): Promise<ReadRow[]> {
  const limit = checkPage(reading, info, list) ?? reading.budget.defaultRows;
  const stored = await select(reading, { info, list, limit, parents: null, select: columnsOf(info, rows), from });
  return answerRows(reading, info, rows, stored);
}

/** The row with that id, or null. @throws INPUT_INVALID for something that is no id */
export async function readByKey(
  reading: Reading,
  info: TableInfo,
  id: unknown,
  rows: RowRead,
): Promise<ReadRow | null> {
  const [first, ...others] = keyOfId(info, id) ?? [];
  if (first === undefined) return null;
  const where = Object.fromEntries(others.map((value, at) => [info.key[at + 1]!, { _eq: value }]));
  const stored = await select(reading, {
    info,
    list: { ...wholeList, where },
    limit: null,
    parents: { column: info.key[0]!, ids: [first] },
    select: columnsOf(info, rows),
  });
  return (await answerRows(reading, info, rows, stored))[0] ?? null;
}

/** Numbers and values over a list at the root, and its rows. @throws INPUT_INVALID */
export async function readAggregate(
  reading: Reading,
  info: TableInfo,
  list: ListRead,
  read: AggregateRead,
): Promise<Aggregated> {
  const limit = checkPage(reading, info, list);
  const found = await aggregateRows(reading, { info, list, limit, parents: null, select: new Map() }, read);
  const nodes = new Map<string, ReadRow[]>();
  for (const { answerKey, rows } of read.nodes) nodes.set(answerKey, await readList(reading, info, list, rows));
  return { values: found.get(0) ?? readValues(reading.dialect, info, read.values, undefined), nodes };
}

async function answerRows(
  reading: Reading,
  info: TableInfo,
  rows: RowRead,
  stored: readonly StoredRow[],
): Promise<ReadRow[]> {
  const columns = rows.columns.map((name) => info.columns.get(name)!);
  const answers = stored.map((row) => {
    const answer: ReadRow = {};
    for (const column of columns) answer[column.name] = answerColumn(reading.dialect, info, column, row);
    return answer;
  });
  for (const relation of rows.relations) await readRelation(reading, relation, stored, answers);
  return answers;
}

async function readRelation(
  reading: Reading,
  read: RelationRead,
  parents: readonly StoredRow[],
  answers: readonly ReadRow[],
): Promise<void> {
  const { here, there, shared } = read.relation;
  const ids = valuesOf(parents, here);
  const within = shared === undefined ? undefined : { column: shared, values: valuesOf(parents, shared) };
  const below: Parents = { column: there, ids, shared: within };
  const answerOf =
    read.answer === "aggregate"
      ? await aggregatesBelow(reading, read, below)
      : await readBelow(reading, read, below, read.answer === "row" ? () => null : () => []);
  parents.forEach((row, at) => {
    answers[at]![relationKey(read.answerKey)] = answerOf(row[here]);
  });
}

/** By parent id: the values over its list, and the list's rows. */
async function aggregatesBelow(
  reading: Reading,
  { relation, list, aggregates, answerKey }: RelationRead & { answer: "aggregate" },
  parents: Parents,
): Promise<(parent: unknown) => Aggregated> {
  const info = infoOf(relation.to);
  const limit = checkPage(reading, info, list);
  const none = readValues(reading.dialect, info, aggregates.values, undefined);
  const link: [string, Sql] = [LINK, sql.ref(`${ROW}.${relation.there}`)];
  const values =
    parents.ids.length === 0
      ? new Map()
      : await aggregateRows(reading, { info, list, limit, parents, select: new Map([link]) }, aggregates);
  const nodes = new Map<string, (parent: unknown) => unknown>();
  for (const { answerKey: place, rows } of aggregates.nodes) {
    const read = { relation, list, answer: "rows" as const, rows, answerKey };
    nodes.set(place, await readBelow(reading, read, parents, () => []));
  }
  return (parent) => ({
    values: values.get(parent) ?? none,
    nodes: new Map([...nodes].map(([place, rowsOf]) => [place, rowsOf(parent) as ReadRow[]])),
  });
}

function valuesOf(rows: readonly StoredRow[], column: string): RowKey[] {
  return [...new Set(rows.map((row) => row[column] as RowKey | null))].filter((value) => value !== null);
}

/** By parent id: the one row, or the list of rows. */
async function readBelow(
  reading: Reading,
  { relation, answer, list, rows }: RelationRead & { answer: "row" | "rows" },
  parents: Parents,
  none: () => unknown,
): Promise<(parent: unknown) => unknown> {
  const info = infoOf(relation.to);
  const asked = checkPage(reading, info, list);
  if (parents.ids.length === 0) return none;
  const link: [string, Sql] = [LINK, sql.ref(`${ROW}.${relation.there}`)];
  // A list without a limit has the highest one. Below one parent the database counts it out; below many it is left to
  // `rowsLeft`, since numbering every row would cost more than it saves.
  const { maxRows } = reading.budget;
  const limit = asked ?? (answer === "rows" && parents.ids.length === 1 ? maxRows : null);
  const columns = new Map([...columnsOf(info, rows), link]);
  const stored = await select(reading, { info, list, limit, parents, select: columns });
  const answers = await answerRows(reading, info, rows, stored);
  if (answer === "row") {
    const found = new Map(stored.map((row, at) => [row[LINK], answers[at]]));
    return (parent) => found.get(parent) ?? none();
  }
  const lists = new Map<unknown, ReadRow[]>();
  stored.forEach((row, at) => {
    const siblings = lists.get(row[LINK]);
    if (siblings === undefined) lists.set(row[LINK], [answers[at]!]);
    else if (siblings.length < maxRows) siblings.push(answers[at]!);
  });
  return (parent) => lists.get(parent) ?? none();
}

async function select(reading: Reading, read: Omit<RowsRead, "most" | "ordered">): Promise<StoredRow[]> {
  const { budget } = reading;
  await takeTurn(reading, read.info);
  const branches = (await findBranches(reading, read)) ?? undefined;
  // One row more than may be read: its coming says that there are too many.
  const rows = compileRows(reading, { ...read, branches, most: budget.rowsLeft + 1, ordered: true });
  if (rows === null) return [];
  const stored = (await rows.execute(reading.db)).rows as StoredRow[];
  budget.rowsLeft -= stored.length;
  if (budget.rowsLeft >= 0) return stored;
  throw refuse(
    read.info,
    "it reads more rows than one query may",
    "Ask for fewer with where, or page with limit and offset.",
  );
}

/** Waits until the statements of the same operation that came before have left the event loop to others. */
async function takeTurn({ budget }: Reading, info: TableInfo): Promise<void> {
  const { turn } = budget;
  budget.turn = turn.then(() => immediate());
  await turn;
  if (budget.refused) throw refuse(info, "another part of the operation was refused");
  if (performance.now() > budget.until) {
    budget.refused = true;
    throw refuse(info, "the operation has taken longer than one may", "Ask for fewer rows, or in several queries.");
  }
}

/** By parent id, or by 0 at the root. */
async function aggregateRows(
  reading: Reading,
  read: Omit<RowsRead, "most" | "ordered">,
  { values }: AggregateRead,
): Promise<ReadonlyMap<unknown, ReadonlyMap<string, unknown>>> {
  if (values.length === 0) return new Map();
  await takeTurn(reading, read.info);
  const select = new Map([...read.select, ...columnsToAggregate(read.info, values)]);
  if (select.size === 0) select.set(LINK, sql`0`);
  // Which rows of a list are on the page is a matter of its order; how many there are is not.
  const { offset, distinctOn } = read.list;
  const isPart = read.limit !== null || offset > 0 || distinctOn.length > 0;
  const ordered = isPart && values.some(({ columns }) => columns.length > 0);
  const rows = compileRows(reading, { ...read, select, most: null, ordered });
  if (rows === null) return new Map();
  const compiled = compileAggregates(rows, values, read.parents !== null);
  const found = (await compiled.execute(reading.db)).rows as StoredRow[];
  return new Map(found.map((row) => [row[LINK], readValues(reading.dialect, read.info, values, row)]));
}

/** What to select for the columns and relations asked for, by the name it gets in the statement's rows. */
function columnsOf(info: TableInfo, rows: RowRead): Map<string, Sql> {
  const columns = new Map<string, Sql>();
  const add = (name: string) => columns.set(name, sql.ref(`${ROW}.${name}`));
  for (const name of rows.columns) {
    const column = info.columns.get(name);
    if (!column) throw refuse(info, `"${info.name}" has no column "${name}"`);
    if (column.absent) columns.set(column.column, sql`null`);
    else if (column.kind === "stateId") info.key.forEach(add);
    else add(column.column);
    if (column.overlay) columns.set(overlayName(column), overlayOf(info, column.overlay));
  }
  for (const { relation } of rows.relations) {
    add(relation.here);
    if (relation.shared !== undefined) add(relation.shared);
  }
  // A selection may hold nothing of the row itself, for instance __typename alone.
  if (columns.size === 0) add(info.key[0]!);
  return columns;
}

function answerColumn(dialect: ReadDialect, info: TableInfo, column: ColumnInfo, row: StoredRow): unknown {
  if (column.kind === "stateId") return stateId(row[info.key[0]!], row[info.key[1]!]);
  const answer = toAnswer(column.kind, row[column.column], dialect);
  if (!column.overlay) return answer;
  return { ...(answer as object), ...(toAnswer(column.kind, row[overlayName(column)], dialect) as object) };
}

function overlayName(column: ColumnInfo): string {
  return `${column.name}_overlay_`;
}

function overlayOf(info: TableInfo, overlay: { relation: string; column: string }): Sql {
  const relation = info.relations.get(overlay.relation)!;
  return sql`(select ${sql.ref(`g.${overlay.column}`)} from ${sql.table(relation.to)} as g where ${linkOf(relation, "g", ROW)})`;
}

/** The limit asked for. @throws INPUT_INVALID for a limit or offset out of range */
function checkPage(reading: Reading, info: TableInfo, { limit, offset }: ListRead): number | null {
  const { maxRows } = reading.budget;
  if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 0 && limit <= maxRows)) {
    throw refuse(info, `its limit is ${limit}, and a limit is 0 to ${maxRows}`, "Page with limit and offset.");
  }
  if (!(Number.isSafeInteger(offset) && offset >= 0))
    throw refuse(info, `its offset is ${offset}, and an offset is 0 or more`);
  return limit;
}
