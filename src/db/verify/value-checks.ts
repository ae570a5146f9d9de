import { tableInfo } from "../read/describe-tables.js";
import { type Check, MAX_NAMED, type Moment, type Row, type Rule, select, type Violation } from "./finding.js";

/** A table's columns that hold JSON, and those that hold an instant. */
interface Columns {
  readonly table: string;
  readonly key: readonly string[];
  readonly json: readonly string[];
  readonly instants: readonly string[];
}

/** What the read API does not describe. */
const BOOKS: readonly Columns[] = [
  { table: "report_stream", key: ["id"], json: ["answer"], instants: ["updated"] },
  { table: "concurrency_slot", key: ["tenant_id", "kind", "name", "run_id"], json: [], instants: ["taken_at"] },
  { table: "slot_request", key: ["run_id", "name"], json: [], instants: ["asked_at"] },
  { table: "service_mark", key: ["name"], json: [], instants: ["at"] },
  { table: "secret", key: ["id"], json: [], instants: ["created", "updated"] },
  { table: "membership", key: ["user_id", "tenant_id"], json: [], instants: ["created"] },
];

function described(): Columns[] {
  return [...tableInfo.values()].map(({ table, key, columns }) => {
    const of = (kind: string) => [
      ...new Set([...columns.values()].filter((each) => each.kind === kind && !each.absent).map((each) => each.column)),
    ];
    return { table, key, json: of("json"), instants: of("instant") };
  });
}

const COLUMNS: readonly Columns[] = [...described(), ...BOOKS];

/** `2026-11-23T10:53:48.586Z`: in this form instants sort as they read. */
const INSTANT = {
  sqlite: (column: string) => `${column} NOT GLOB '${"dddd-dd-ddTdd:dd:dd.dddZ".replaceAll("d", "[0-9]")}'`,
  postgres: (column: string) => `${column} !~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$'`,
};

const RULES: Record<string, Rule> = {
  JSON_UNREADABLE: { say: (row) => `Its column ${row.bad} holds no JSON.` },
  INSTANT_UNREADABLE: {
    say: (row) => `Its column ${row.bad} holds "${row.value}", and an instant reads 2026-11-23T10:53:48.586Z.`,
  },
};

/** One look at each table. */
export function valueChecks(kind: Moment["kind"]): Check[] {
  return COLUMNS.flatMap(({ table, key, json, instants }) => {
    const bad = [
      ...instants.map((column) => ({ column, code: "INSTANT_UNREADABLE", when: INSTANT[kind](column) })),
      // Postgres has a test for JSON since version 16 only: see `unreadableJson`.
      ...(kind === "sqlite" ? json : []).map((column) => ({
        column,
        code: "JSON_UNREADABLE",
        when: `json_valid(${column}) = 0`,
      })),
    ];
    if (bad.length === 0) return [];
    const first = (value: (each: (typeof bad)[number]) => string) =>
      `CASE ${bad.map((each) => `WHEN ${each.when} THEN ${value(each)}`).join(" ")} END`;
    const sql = `SELECT ${first((each) => `'${each.code}'`)} AS code, ${first((each) => `'${each.column}'`)} AS bad,
      ${first((each) => `substr(${each.column}, 1, 40)`)} AS value, ${key.join(", ")}
      FROM ${table} WHERE ${bad.map((each) => each.when).join(" OR ")}`;
    return [{ table, ids: key, sql, rules: RULES }];
  });
}

/** Rows that one look fetches: a few MB, and never all of a table. */
const PAGE = 5_000;

/** JSON that does not parse, looked for here. */
export async function unreadableJson(moment: Moment): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const columns of COLUMNS) if (columns.json.length > 0) found.push(...(await unreadableIn(moment, columns)));
  return found;
}

async function unreadableIn(moment: Moment, { table, key, json }: Columns): Promise<Violation[]> {
  const named: Omit<Violation, "total">[] = [];
  let total = 0;
  for (let last: Row | undefined; ; ) {
    const after =
      last === undefined ? "" : `WHERE (${key.join(", ")}) > (${key.map((each) => literal(last![each])).join(", ")})`;
    const rows = await select(
      moment,
      `SELECT ${[...key, ...json].join(", ")} FROM ${table} ${after} ORDER BY ${key.join(", ")} LIMIT ${PAGE}`,
    );
    for (const row of rows) {
      const bad = json.find((column) => row[column] !== null && !parses(String(row[column])));
      if (bad === undefined) continue;
      total += 1;
      const ids = Object.fromEntries(key.map((each) => [each, row[each] ?? null]));
      const code = "JSON_UNREADABLE";
      if (total <= MAX_NAMED) named.push({ code, note: false, table, ids, message: RULES[code]!.say({ bad }) });
    }
    last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) break;
  }
  return named.map((each) => ({ ...each, total }));
}

const literal = (value: Row[string] | undefined): string =>
  typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`;

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
