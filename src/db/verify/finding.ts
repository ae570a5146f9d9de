import { CompiledQuery, type Kysely } from "kysely";
import { isTerminal, stateTypes } from "../../core/state.js";
import type { Tables } from "../tables.js";

/** A row that breaks a rule of the database, or is worth knowing of. */
export interface Violation {
  /** The rule. */
  readonly code: string;
  /** True: worth knowing, and nothing is broken. */
  readonly note: boolean;
  readonly table: string;
  /** The row's key, and what else tells it from others. */
  readonly ids: Readonly<Record<string, string | number | null>>;
  /** One sentence: what is wrong with this row. */
  readonly message: string;
  /** How many rows break the same rule in this table; the first 20 are named. */
  readonly total: number;
}

/** How many rows that break one rule are named. */
export const MAX_NAMED = 20;

export type Row = Readonly<Record<string, string | number | null>>;

/** Reads of one moment, of a database of either kind. */
export interface Moment {
  readonly kind: "sqlite" | "postgres";
  readonly read: Kysely<Tables>;
  /** ISO 8601. */
  readonly now: string;
}

/** What is said of a row that breaks a rule. */
export interface Rule {
  readonly note?: true;
  readonly say: (row: Row) => string;
}

/** One look at the database: a query that answers the rows that break a rule, with the rule's code. */
export interface Check {
  readonly table: string;
  /** Columns of the answer that name the row. */
  readonly ids: readonly string[];
  readonly sql: string;
  readonly rules: Readonly<Record<string, Rule>>;
}

/** A query of any text; its rows as plain records. */
export async function select(moment: Moment, sql: string): Promise<Row[]> {
  const { rows } = await moment.read.executeQuery(CompiledQuery.raw(sql));
  return rows as Row[];
}

/** Runs a check: the first rows for each code, and how many there are. */
export async function runCheck(moment: Moment, { table, ids, sql, rules }: Check): Promise<Violation[]> {
  const rows = await select(
    moment,
    `SELECT * FROM (
       SELECT f.*, row_number() OVER (PARTITION BY f.code) AS place, count(*) OVER (PARTITION BY f.code) AS total FROM (${sql}) f
     ) g WHERE place <= ${MAX_NAMED}`,
  );
  return rows.map((row) => {
    const rule = rules[row.code as string]!;
    return {
      code: row.code as string,
      note: rule.note ?? false,
      table,
      ids: Object.fromEntries(ids.map((id) => [id, row[id] ?? null])),
      message: rule.say(row),
      total: Number(row.total),
    };
  });
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(", ");

/** For `IN`: all states. */
export const STATES = `(${quoted(stateTypes)})`;
/** For `IN`: those that no other may follow. */
export const ENDED = `(${quoted(stateTypes.filter((type) => isTerminal({ type })))})`;
/** For `IN`: those of a flow run that somebody runs. */
export const UNDER_WAY = "('Running', 'Submitted', 'Cancelling')";
/** For `IN`: those that wait to be picked up. */
export const WAITING = "('Scheduled', 'Paused', 'Resume', 'Retrying', 'Queued')";

/** For `IN`: `from>to` of all moves that are not refused. */
export function legalMoves(refuse: (from: (typeof stateTypes)[number], to: (typeof stateTypes)[number]) => unknown) {
  const moves = stateTypes.flatMap((from) =>
    stateTypes.filter((to) => refuse(from, to) === null).map((to) => `${from}>${to}`),
  );
  return `(${quoted(moves)})`;
}
