import { sql } from "kysely";
import { stateTypes } from "../../core/state.js";
import { infoOf, type RelationInfo } from "./describe-tables.js";
import { compileFilter } from "./read-filter.js";
import type { Filter, Reading } from "./read-request.js";
import { compileRows, ROW, type RowKey, type RowsRead } from "./read-rows.js";

/*
 * "The newest runs of flows called so": walking all runs from the newest on is quick where such a flow has many, and reads the
 * whole table where it has few. So the flows are looked up first, and where they are not many, the newest of each are found by
 * the index of runs by flow: as many rows as the page has, for each of them.
 */

/** Rows of the related table; with more of them the list is walked: some of them will be near its beginning. */
const MAX_BRANCHES = 100;

/**
 * The column and its values to look the list up by; null where the list is to be walked. Takes a statement where the filter
 * is about a relation by which the list is indexed in its order.
 */
export async function findBranches(
  reading: Reading,
  read: Omit<RowsRead, "most" | "ordered">,
): Promise<NonNullable<RowsRead["branches"]> | null> {
  const { info, list, parents } = read;
  const [first, ...others] = list.orderBy;
  const isPlain = first?.path.length === 0 && others.length === 0 && list.distinctOn.length === 0;
  if (parents !== null || read.limit === null || !isPlain) return null;
  for (const relation of info.relations.values()) {
    const filter = relation.inOrderOf === first.column ? filterOf(list.where, relation) : null;
    if (filter === null) continue;
    const to = infoOf(relation.to);
    if (typeof compileFilter(reading, to, ROW, filter) === "boolean") continue;
    const rows = compileRows(reading, {
      info: to,
      list: { where: filter, orderBy: [], limit: null, offset: 0, distinctOn: [] },
      select: new Map([["id_", sql.ref(`${ROW}.${relation.there}`)]]),
      parents: null,
      limit: MAX_BRANCHES + 1,
      most: null,
      ordered: false,
    });
    const found = rows === null ? [] : (await rows.execute(reading.db)).rows;
    if (found.length > MAX_BRANCHES) continue;
    return { column: relation.here, ids: found.map((row) => (row as { id_: RowKey }).id_) };
  }
  return info.table === "flow_run" && first.column === "created" ? stateBranches(list.where) : null;
}

/** States by which flow runs are listed, as the index `flow_run_by_state` has them. Nearly all runs are a Success: those are found by walking. */
const LISTED_STATES: ReadonlySet<unknown> = new Set(stateTypes.filter((type) => type !== "Success"));

/** "The newest runs that failed": of states that few runs are in, those of each are looked up. */
function stateBranches(where: Filter | null): NonNullable<RowsRead["branches"]> | null {
  const { _in, _eq } = (where?.state ?? {}) as { _in?: unknown; _eq?: unknown };
  const states = Array.isArray(_in) ? _in : [_eq];
  if (states.length === 0 || !states.every((state) => LISTED_STATES.has(state))) return null;
  return { column: "state", ids: [...new Set(states as string[])], literal: true };
}

/** What the filter says of the related row, at its top. */
function filterOf(where: Filter | null, relation: RelationInfo): Filter | null {
  const said = where?.[relation.name];
  if (typeof said === "object" && said !== null && !Array.isArray(said)) return said as Filter;
  const parts = where?._and ?? [];
  for (const part of Array.isArray(parts) ? parts : [parts]) {
    const inner = filterOf(part as Filter | null, relation);
    if (inner) return inner;
  }
  return null;
}
