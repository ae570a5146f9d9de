import { MillraceError } from "../../core/errors.js";
import type { ReadBudget } from "../../db/read/read-request.js";

/** How much one GraphQL operation may read. */
export interface ReadLimits {
  /** Selections in selections, the root's being the first. */
  maxDepth: number;
  /** Rows of a list at the root that names no limit. */
  defaultRows: number;
  /** The highest limit that a list may name; also the limit of inner lists that name none. */
  maxRows: number;
  /** Rows that the operation may really read, of all tables together. */
  maxRowsRead: number;
  /** The estimate of rows above which the operation is refused before it reads any. */
  maxCost: number;
  /** The SQL statements of the operation: one for each root, and for each relation in its selections. */
  maxStatements: number;
  /** How long the operation may take, in milliseconds, before none of its statements is begun any more. */
  maxMs: number;
}

export const defaultReadLimits: Readonly<ReadLimits> = {
  // What the front door of the protocol's own server allows.
  maxDepth: 7,
  defaultRows: 1_000,
  maxRows: 10_000,
  // About a second of reading and answering with SQLite.
  maxRowsRead: 100_000,
  maxCost: 1_000_000,
  // Several times what any client's query has; a statement may take as long as a look through a whole table.
  maxStatements: 100,
  // The protocol's client waits 15 s for an answer.
  maxMs: 10_000,
};

/** Rows taken for a list at the root that names no limit: most such lists are short, or found by an id. */
const ASSUMED_ROOT_ROWS = 100;
/** Rows taken for an inner list that names no limit. */
const ASSUMED_INNER_ROWS = 10;
/** What a statement costs before its first row, in rows. */
const STATEMENT_COST = 10;

/** What one operation has used so far: its roots share it, or a thousand aliases would each have the whole. */
export class OperationCost {
  readonly limits: Readonly<ReadLimits>;
  readonly budget: ReadBudget;
  #cost = 0;
  #statements = 0;

  constructor(limits: Readonly<ReadLimits>) {
    this.limits = limits;
    const { defaultRows, maxRows, maxRowsRead, maxMs } = limits;
    const until = performance.now() + maxMs;
    this.budget = { defaultRows, maxRows, rowsLeft: maxRowsRead, turn: Promise.resolve(), until, refused: false };
  }

  /**
   * Counts a list, or one row, below each of `parents` rows (null: at the root), and answers how many rows that makes.
   * @throws INPUT_INVALID when the operation is too large
   */
  add(parents: number | null, list: { limit: number | null } | "one"): number {
    const assumed = parents === null ? ASSUMED_ROOT_ROWS : ASSUMED_INNER_ROWS;
    const rows = (parents ?? 1) * (list === "one" ? 1 : Math.max(0, list.limit ?? assumed));
    this.#cost += STATEMENT_COST + rows;
    this.#statements += 1;
    const { maxCost, maxStatements } = this.limits;
    if (this.#cost > maxCost) {
      const hint = "Give its lists smaller limits, or ask in several queries.";
      throw this.#refuse(`The query may read more than ${maxCost} rows.`, hint);
    }
    if (this.#statements > maxStatements) {
      const hint = "Ask in several queries.";
      throw this.#refuse(`The query has more than ${maxStatements} lists, counts and related rows in it.`, hint);
    }
    return rows;
  }

  /** @throws INPUT_INVALID */
  checkDepth(depth: number): void {
    if (depth <= this.limits.maxDepth) return;
    const message = `The query is more than ${this.limits.maxDepth} levels deep.`;
    throw this.#refuse(message, "Ask for the inner rows in a query of their own.");
  }

  #refuse(message: string, hint: string): MillraceError {
    this.budget.refused = true;
    return new MillraceError("INPUT_INVALID", message, { hint });
  }
}
