import t from "tap";
import { isMillraceError } from "../../src/core/errors.js";
import {
  type ColumnInfo,
  infoOf,
  type ReadableTable,
  type RelationInfo,
  tableInfo,
} from "../../src/db/read/describe-tables.js";
import { plainFilter } from "../helpers/plain-filter.js";
import { openReadWorld, uuid } from "../helpers/read-world.js";

type Row = Record<string, unknown>;

const world = await openReadWorld(t.testdir());
t.after(() => world.close());
/** As the database has them, with its defaults. */
const rows: Record<string, Row[]> = {};
for (const { table, tenant } of tableInfo.values()) {
  rows[table] = await world.database.all<Row>(`SELECT * FROM ${table} WHERE ${tenant} = ?1`, uuid(1, 1, 0));
}

/** Each run of the suite tries other questions; a failure names the seed that asks them again. */
const seed = Number(process.env.READ_SEED ?? Date.now() % 1_000_000);
const FILTERS = 1_500;
const FUZZED = 1_500;

let state = seed;
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}
const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
const some = <T>(most: number, make: () => T): T[] => Array.from({ length: random(most + 1) }, make);
const tables = [...tableInfo.keys()];

/** A value that stands in the column somewhere, or one that does not. */
function operandOf(table: ReadableTable, column: ColumnInfo): unknown {
  const stored = pick(rows[table]!)[column.column];
  switch (column.kind) {
    case "uuid":
      return stored ?? uuid(9, 9, 9);
    case "int":
      return random(9) - 1;
    case "bool":
      return random(2) === 1;
    case "instant": {
      const at = String(stored ?? "2026-11-23T10:00:05.000Z");
      return pick([
        at,
        at.slice(0, -1),
        at.replace("Z", "+00:00"),
        new Date(Date.parse(at) + 7_200_000).toISOString().replace("Z", "+02:00"),
      ]);
    }
    case "json":
      return pick([
        JSON.parse(String(stored ?? "{}")),
        [],
        {},
        ["eu"],
        "eu",
        1,
        true,
        { n: random(8) },
        [1, { a: null }],
        { deep: {} },
      ]);
    case "interval":
      return pick([90, 0]);
    default:
      return pick([String(stored ?? ""), "", "a", "Running"]);
  }
}

function comparison(table: ReadableTable, column: ColumnInfo): object {
  const operand = () => operandOf(table, column);
  const like = () =>
    pick(["%", "%e%", "_ed%", "\\%o%", "%-_", "B%", "b%", "", "%*%", "%[%", String(operandOf(table, column))]);
  const choices: [string, () => unknown][] =
    column.kind === "json"
      ? [
          ["_eq", operand],
          ["_neq", operand],
          ["_contains", operand],
          ["_has_key", () => pick(["eu", "n", "deep", "type", ""])],
        ]
      : [
          ...["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"].map((name): [string, () => unknown] => [name, operand]),
          ["_in", () => some(4, operand)],
          ["_nin", () => some(4, operand)],
        ];
  if (column.kind === "text")
    choices.push(...["_like", "_nlike", "_ilike", "_nilike"].map((name): [string, () => unknown] => [name, like]));
  choices.push(["_is_null", () => random(2) === 1]);
  return Object.fromEntries(
    Array.from({ length: 1 + random(2) }, () => {
      const [operator, make] = pick(choices);
      return [operator, random(10) === 0 ? null : make()];
    }),
  );
}

interface Hop {
  from: ReadableTable;
  relation: RelationInfo;
}

/** Filters lead over two lists at most, and not back. */
function mayFollow(way: readonly Hop[], hop: Hop): boolean {
  const { relation } = hop;
  const last = way.at(-1);
  if (last?.from === relation.to && last.relation.here === relation.there && last.relation.there === relation.here)
    return false;
  const seen = new Set([...way, hop].map((each) => each.from));
  return !relation.many || (!seen.has(relation.to) && way.filter((each) => each.relation.many).length < 2);
}

function filterOf(table: ReadableTable, nesting: number, way: readonly Hop[] = []): object {
  const info = infoOf(table);
  const hops = [...info.relations.values()]
    .map((relation): Hop => ({ from: table, relation }))
    .filter((hop) => mayFollow(way, hop));
  const columns = [...info.columns.values()].filter(({ comparable, kind }) => comparable && kind !== "rowNumber");
  return Object.fromEntries(
    some(3, (): [string, unknown] => {
      const what = nesting > 3 ? 9 : random(10);
      if (what < 2) return [pick(["_and", "_or"]), some(3, () => filterOf(table, nesting + 1, way))];
      if (what === 2) return ["_not", filterOf(table, nesting + 1, way)];
      if (what < 5 && hops.length > 0) {
        const hop = pick(hops);
        const { name, to } = hop.relation;
        return [name, random(12) === 0 ? null : filterOf(to, nesting + 1, [...way, hop])];
      }
      const column = pick(columns);
      return [column.name, comparison(table, column)];
    }),
  );
}

t.test(`${FILTERS} random filters let through what the plain filter does (READ_SEED=${seed})`, async (t) => {
  let found = 0;
  for (let n = 0; n < FILTERS; n++) {
    const table = pick(tables);
    const where = filterOf(table, 1);
    const { name, key } = infoOf(table);
    const query = `query ($w: ${name}_bool_exp) { ${name}(where: $w) { id } ${name}_aggregate(where: $w) { aggregate { count } } }`;
    const { data, errors } = await world.ask(query, { w: where });
    if (errors) throw new Error(`seed ${seed}: ${JSON.stringify({ table, where })}`, { cause: errors[0] });
    const expected = plainFilter(rows, table, where);
    const idOf = (row: Record<string, unknown>) =>
      table === "log"
        ? `00000000-0000-0000-0000-${Number(row.id).toString(16).padStart(12, "0")}`
        : key.map((part) => row[part]).join(":");
    const answered = (data![name] as { id: string }[]).map(({ id }) => id).sort();
    const wanted = expected.map((row) => idOf(row as Record<string, unknown>)).sort();
    if (answered.join() !== wanted.join()) t.same(answered, wanted, JSON.stringify({ seed, table, where }));
    t.equal((data![`${name}_aggregate`] as { aggregate: { count: number } }).aggregate.count, wanted.length);
    if (wanted.length > 0 && wanted.length < rows[table]!.length) found++;
  }
  t.ok(found > FILTERS / 20, `${found} filters let through some rows and not all`);
});

t.test(`random orders, pages and distinct columns agree with sorting in memory (READ_SEED=${seed})`, async (t) => {
  const columns = [...infoOf("flow_run").columns.values()].filter(({ kind }) => kind !== "json");
  for (let n = 0; n < 400; n++) {
    const order = Array.from({ length: 1 + random(3) }, () => ({
      column: pick(columns),
      direction: pick(["asc", "desc", "asc_nulls_first", "desc_nulls_last"]),
    }));
    const distinct = random(2) === 0 ? [] : [pick(columns).name];
    const [limit, offset] = [random(3) === 0 ? null : random(9), random(3) === 0 ? random(5) : null];
    const by = order.map(({ column, direction }) => ({ [column.name]: direction }));
    const query = `query ($o: [flow_run_order_by!], $d: [flow_run_select_column!], $l: Int, $s: Int) {
      flow_run(order_by: $o, distinct_on: $d, limit: $l, offset: $s) { id }
      tenant { flows { flow_runs(order_by: $o, distinct_on: $d, limit: $l, offset: $s) { id flow_id } } } }`;
    const { data, errors } = await world.ask(query, { o: by, d: distinct, l: limit, s: offset });
    t.equal(errors, undefined);
    const plain = (list: Row[]) => page(firstOfEach(sorted(list, order), distinct), limit, offset);
    const label = JSON.stringify({ seed, by, distinct, limit, offset });
    t.same(
      (data!.flow_run as Row[]).map(({ id }) => id),
      plain(rows.flow_run!),
      label,
    );
    for (const { flow_runs } of (data!.tenant as { flows: { flow_runs: Row[] }[] }[])[0]!.flows) {
      if (flow_runs.length === 0) continue;
      const own = rows.flow_run!.filter(({ flow_id }) => flow_id === flow_runs[0]!.flow_id);
      t.same(
        flow_runs.map(({ id }) => id),
        plain(own),
        label,
      );
    }
  }
});

function sorted(list: Row[], order: { column: ColumnInfo; direction: string }[]): Row[] {
  return [...list].sort((one, other) => {
    for (const { column, direction } of order) {
      const [a, b] = [one[column.column] ?? null, other[column.column] ?? null];
      if (a === b) continue;
      const nullsFirst = direction.endsWith("first") || direction === "desc";
      if (a === null || b === null) return (a === null) === nullsFirst ? -1 : 1;
      return (a < b ? -1 : 1) * (direction.startsWith("desc") ? -1 : 1);
    }
    // Ties: by id, in the direction of the last key.
    return (String(one.id) < String(other.id) ? -1 : 1) * (order.at(-1)!.direction.startsWith("desc") ? -1 : 1);
  });
}

function firstOfEach(list: Row[], distinct: string[]): Row[] {
  const seen = new Set<string>();
  return list.filter((row) => {
    const key = JSON.stringify(distinct.length ? distinct.map((name) => row[name] ?? null) : row.id);
    return !seen.has(key) && seen.add(key);
  });
}

function page(list: Row[], limit: number | null, offset: number | null): unknown[] {
  return list.slice(offset ?? 0, limit === null ? undefined : (offset ?? 0) + limit).map(({ id }) => id);
}

const strange: unknown[] = [
  null,
  "",
  "x",
  "'; DROP TABLE flow; --",
  "\u0000",
  "\ud83d",
  "%",
  -1,
  0,
  1.5,
  2 ** 31,
  2 ** 53,
  true,
  [],
  [[]],
  {},
  { _eq: 1 },
  { $ne: 1 },
  "2026-11-23",
  "9".repeat(400),
  "__proto__",
  { constructor: 1 },
  [null],
];

function mangled(value: unknown, depth = 0): unknown {
  if (random(8) === 0 || depth > 6) return pick(strange);
  if (Array.isArray(value)) return value.map((one) => mangled(one, depth + 1));
  if (typeof value !== "object" || value === null) return random(4) === 0 ? pick(strange) : value;
  const entries = Object.entries(value).map(([key, one]) => [
    random(15) === 0 ? pick(["id", "name", "_eq", "labels", "flow", "x"]) : key,
    mangled(one, depth + 1),
  ]);
  return Object.fromEntries(entries);
}

t.test(`${FUZZED} mangled requests are answered or refused, never failed (READ_SEED=${seed})`, async (t) => {
  let refused = 0;
  for (let n = 0; n < FUZZED; n++) {
    const table = pick(tables);
    const { name } = infoOf(table);
    const args = {
      w: mangled(filterOf(table, 1)),
      o: mangled([{ name: "asc" }, { id: "desc" }]),
      l: mangled(5),
      s: mangled(0),
      d: mangled(["id"]),
      i: mangled(uuid(4, 1, 1)),
    };
    const query = `query ($w: ${name}_bool_exp, $o: [${name}_order_by!], $l: Int, $s: Int, $d: [${name}_select_column!]) {
      ${name}(where: $w, order_by: $o, limit: $l, offset: $s, distinct_on: $d) { id } ${name}_aggregate(where: $w, limit: $l) { aggregate { count } }
      ${name}_by_pk(id: ${typeof args.i === "string" ? JSON.stringify(args.i) : '"?"'}) { id } }`;
    const valid = random(2) === 0 ? { ...args, o: [], l: null, s: null, d: null } : args;
    const { errors } = await world.ask(query, valid as never);
    for (const { originalError, message } of errors ?? []) {
      refused++;
      // Without an original error it is GraphQL's own, of a value that is not of its type.
      if (originalError && !isMillraceError(originalError, "INPUT_INVALID") && !/^Variable "/.test(message)) {
        t.fail(`seed ${seed}: ${message}`, { table, args, cause: originalError.stack });
      }
    }
  }
  t.ok(refused > FUZZED / 10, `${refused} refusals`);
  const { data } = await world.ask("{ flow_aggregate { aggregate { count } } }");
  t.same(data, { flow_aggregate: { aggregate: { count: 3 } } }, "the tables are as they were");
});
