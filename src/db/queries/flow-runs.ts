import type { Selectable } from "kysely";
import { isTerminal, stateTypes } from "../../core/state.js";
import type { Reads, Transaction } from "../database.js";
import { insertSql, listOf, updateSql, valuesOf } from "../sql.js";
import type { FlowRunTable } from "../tables.js";
import { isWaiting } from "./claim.js";
import { STATE_COLUMNS } from "./state-columns.js";

export type NewFlowRunRow = Omit<Selectable<FlowRunTable>, "late_at" | "claim_id">;

/** What a run's author gave it: of any size, and read only when an agent takes the run. */
type Given = "parameters" | "run_config" | "context";

/** A flow run as changes of its state see it. A new one was never claimed. */
export type FlowRunRow = Omit<NewFlowRunRow, Given> & Partial<Pick<Selectable<FlowRunTable>, "claim_id">>;

/**
 * What a change of state, a claim or a lease may change. Columns are written by groups, those of which anything has changed:
 * SQLite writes each index anew that has a column of the statement, whether or not its value is another.
 */
const SEEN = ["updated", "heartbeat"] as const satisfies (keyof FlowRunRow)[];
const STARTED = ["start_time"] as const satisfies (keyof FlowRunRow)[];
const HELD = [
  "agent_id",
  "lease_agent_id",
  "lease_expires_at",
  "fence",
  "times_resurrected",
  "claim_id",
] as const satisfies (keyof FlowRunRow)[];
const IN_SEEN_OR_STARTED: ReadonlySet<string> = new Set([...SEEN, ...STARTED]);
const STATE = STATE_COLUMNS.filter((column) => !IN_SEEN_OR_STARTED.has(column));
const GROUPS: readonly (readonly (keyof FlowRunRow)[])[] = [STATE, STARTED, HELD];
const CHANGING = [...STATE_COLUMNS, ...HELD] as const satisfies (keyof FlowRunRow)[];

const GIVEN = ["parameters", "run_config", "context"] as const satisfies Given[];
const FIXED = [
  "id",
  "created",
  "tenant_id",
  "flow_id",
  "engine",
  "name",
  "labels",
  "scheduled_start_time",
  "auto_scheduled",
  "idempotency_key",
] as const satisfies (keyof FlowRunRow)[];

const ALL = [...FIXED, ...GIVEN, ...CHANGING.filter((column) => column !== "claim_id")];
const SELECT = `SELECT ${[...FIXED, ...CHANGING].join(", ")} FROM flow_run`;
const SELECT_ONE = `${SELECT} WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE`;
// In the order of the ids: two that want the same rows go one after the other, and not each with one that the other wants.
const SELECT_SOME = `${SELECT} WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?2)) ORDER BY id FOR UPDATE`;
/** Runs that someone else works on are passed over; of those that someone has just taken nothing is to be had. */
const SELECT_FREE = `${SELECT} WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?2)) AND lease_agent_id IS NULL
  AND (state = 'Running' OR ${isWaiting()}) ORDER BY id FOR UPDATE SKIP LOCKED`;
const SELECT_GIVEN = `SELECT id, ${GIVEN.join(", ")} FROM flow_run WHERE id IN (SELECT value FROM json_each(?1))`;
const INSERT = insertSql("flow_run", ALL);
/** For each choice of groups (bit 0 is the first) its columns and its text. */
const UPDATES = Array.from({ length: 2 ** GROUPS.length }, (_, choice) => {
  const columns = [...SEEN, ...GROUPS.filter((_, group) => choice & (1 << group)).flat()];
  return { columns, sql: updateSql("flow_run", columns, "id") };
});

/** Under this a row keeps itself as it was read. A map of rows would be simpler, and cost the garbage collector more than the statements save. */
const STORED = Symbol("as it was read");
type ReadRow = FlowRunRow & { [STORED]?: FlowRunRow };

function remember(rows: ReadRow[]): FlowRunRow[] {
  for (const row of rows) row[STORED] = { ...row };
  return rows;
}

/** The flow runs of these ids that there are, in any order. In a transaction nobody else changes them until it ends. */
export async function loadFlowRuns(reads: Reads, tenantId: string, ids: readonly string[]): Promise<FlowRunRow[]> {
  // One id, the usual case of a run's own stream, needs no list.
  if (ids.length === 1) return remember(await reads.all(SELECT_ONE, ids[0]!, tenantId));
  return remember(await reads.all(SELECT_SOME, tenantId, listOf(ids)));
}

/** Those of these flow runs that may be claimed, for this transaction alone: no other finds them until it ends. */
export async function lockFreeFlowRuns(
  transaction: Transaction,
  tenantId: string,
  ids: readonly string[],
): Promise<FlowRunRow[]> {
  return remember(await transaction.all(SELECT_FREE, tenantId, listOf(ids)));
}

export type GivenRow = Pick<NewFlowRunRow, "id" | Given>;

/** What the authors of these runs gave them. */
export function givenOfFlowRuns(reads: Reads, ids: readonly string[]): Promise<GivenRow[]> {
  return reads.all(SELECT_GIVEN, listOf(ids));
}

/** Which of these flow runs there are. */
export async function knownFlowRunIds(reads: Reads, tenantId: string, ids: readonly string[]): Promise<Set<string>> {
  const rows = await reads.all<{ id: string }>(
    "SELECT id FROM flow_run WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?2))",
    tenantId,
    listOf(ids),
  );
  return new Set(rows.map((each) => each.id));
}

export async function findFlowRunByKey(
  reads: Reads,
  flowId: string,
  idempotencyKey: string,
): Promise<string | undefined> {
  const [row] = await reads.all<{ id: string }>(
    "SELECT id FROM flow_run WHERE flow_id = ?1 AND idempotency_key = ?2",
    flowId,
    idempotencyKey,
  );
  return row?.id;
}

export function insertFlowRun(transaction: Transaction, row: NewFlowRunRow): Promise<number> {
  return transaction.run(INSERT, ...valuesOf(row, ALL));
}

/** Writes what has changed of each row since it was read. */
export async function writeFlowRuns(transaction: Transaction, rows: readonly FlowRunRow[]): Promise<void> {
  for (const [choice, those] of Map.groupBy(rows, changedGroups)) {
    const { columns, sql } = UPDATES[choice]!;
    await transaction.runMany(
      sql,
      those.map((row) => [...valuesOf(row, columns), row.id]),
    );
  }
}

function changedGroups(row: ReadRow): number {
  const before = row[STORED];
  if (before === undefined) return UPDATES.length - 1;
  let choice = 0;
  for (let group = 0; group < GROUPS.length; group++) {
    for (const column of GROUPS[group]!) {
      if (row[column] === before[column]) continue;
      choice |= 1 << group;
      break;
    }
  }
  return choice;
}

const TERMINAL = stateTypes.filter((type) => isTerminal({ type })).map((type) => `'${type}'`);

export interface AskedForRow {
  id: string;
  /** The task run that asked for it, and its state. */
  task_run_id: string;
  task_run_state: string | null;
}

/**
 * The runs that tasks of this run asked for and that have not ended. A task asks under its task run's id as idempotency key,
 * or the id and a count, see `core/control/run-flow`.
 */
export function flowRunsAskedForBy(reads: Reads, tenantId: string, flowRunId: string): Promise<AskedForRow[]> {
  return reads.all(
    // CROSS JOIN: SQLite would begin with all flow runs. With || the id is a mere text, as the index has it; the column is not.
    `SELECT c.id, t.id AS task_run_id, t.state AS task_run_state FROM task_run t CROSS JOIN flow_run c
     WHERE substr(c.idempotency_key, 1, 36) = t.id || '' AND c.idempotency_key IS NOT NULL
       AND t.flow_run_id = ?1 AND c.tenant_id = ?2 AND c.state NOT IN (${TERMINAL.join(", ")}) ORDER BY c.id`,
    flowRunId,
    tenantId,
  );
}

export function setFlowRunName(
  transaction: Transaction,
  { tenantId, id, name, now }: { tenantId: string; id: string; name: string; now: string },
): Promise<number> {
  return transaction.run(
    "UPDATE flow_run SET name = ?1, updated = ?2 WHERE id = ?3 AND tenant_id = ?4",
    name,
    now,
    id,
    tenantId,
  );
}

/** @param labels as they are stored: normalized, as JSON */
export function setFlowRunLabels(
  transaction: Transaction,
  { tenantId, id, labels, now }: { tenantId: string; id: string; labels: string; now: string },
): Promise<number> {
  return transaction.run(
    "UPDATE flow_run SET labels = ?1, updated = ?2 WHERE id = ?3 AND tenant_id = ?4",
    labels,
    now,
    id,
    tenantId,
  );
}

export function touchFlowRun(
  transaction: Transaction,
  tenantId: string,
  flowRunId: string,
  now: string,
): Promise<number> {
  return transaction.run(
    "UPDATE flow_run SET heartbeat = ?1, updated = ?1 WHERE id = ?2 AND tenant_id = ?3",
    now,
    flowRunId,
    tenantId,
  );
}

/** Runs of a flow version that no agent has ever begun; one that was given back or taken back had begun before. */
export async function waitingRunsOfFlow(
  reads: Reads,
  flowId: string,
): Promise<{ id: string; auto_scheduled: number }[]> {
  return reads.all(
    "SELECT id, auto_scheduled FROM flow_run WHERE flow_id = ?1 AND state = 'Scheduled' AND start_time IS NULL ORDER BY id FOR UPDATE",
    flowId,
  );
}

export function deleteFlowRuns(transaction: Transaction, ids: readonly string[]): Promise<number> {
  return transaction.run("DELETE FROM flow_run WHERE id IN (SELECT value FROM json_each(?1))", listOf(ids));
}
