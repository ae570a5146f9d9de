import { randomBytes } from "node:crypto";
import { toWireState } from "../src/codec/state-json.js";
import { makeState, type StateType } from "../src/core/state.js";
import type { Transaction } from "../src/db/database.js";
import { openDatabase } from "../src/db/open-database.js";
import { insertSql, valuesOf } from "../src/db/sql.js";
import { makeFirstKey } from "../src/server/access/first-key.js";
import { insertFlowsToFill } from "./fill-flows.js";

/** What was made: enough to ask for it. */
export interface Filling {
  token: string;
  flows: readonly FilledFlow[];
  /** A finished run with task runs and log lines, from the middle of the history. */
  finishedRunId: string;
  flowRuns: number;
}

export interface FilledFlow {
  id: string;
  name: string;
  labels: readonly string[];
  taskIds: readonly string[];
}

/** Every flow has so many tasks, so that flow runs are an eighth of the task runs. */
export const TASKS_A_FLOW = 8;
/** Runs made in one transaction. */
const RUNS_A_BATCH = 500;
const HISTORY_MS = 30 * 24 * 60 * 60 * 1000;
const DAY_MS = 24 * 60 * 60 * 1000;

type Values = Record<string, string | number | null>;

/** What a run comes to, and how many of a thousand do. */
const ENDS: readonly [state: StateType, ofThousand: number][] = [
  ["Success", 945],
  ["Failed", 25],
  ["Cancelled", 4],
  ["TimedOut", 1],
  ["Running", 5],
  ["Scheduled", 20],
];

/**
 * Fills an empty database with a month's history of 100 flows: finished runs with all of their states and four log lines, runs
 * that are held by agents, and of a hundred runs one that waits, due, and one that will be due within a day.
 */
export async function fillCloud(place: string, taskRuns: number): Promise<Filling> {
  const database = await openDatabase(place);
  try {
    const now = Date.now();
    const token = (await makeFirstKey(database, instant(now)))!;
    const { tenantId, flows, agentId } = await database.write(insertFlowsToFill);
    const flowRuns = Math.ceil(taskRuns / TASKS_A_FLOW);
    let finishedRunId = "";
    for (let from = 0; from < flowRuns; from += RUNS_A_BATCH) {
      const rows = new Rows();
      for (let at = from; at < Math.min(from + RUNS_A_BATCH, flowRuns); at += 1) {
        const createdAt = now - HISTORY_MS + Math.floor((at / flowRuns) * HISTORY_MS);
        const end = endOf(at);
        const id = addRun(rows, { tenantId, agentId, flow: flows[at % flows.length]!, end, at, createdAt, now });
        if (end === "Success" && at <= flowRuns / 2) finishedRunId = id;
      }
      await database.write((transaction) => rows.write(transaction));
    }
    if (database.kind === "postgres") await database.all("ANALYZE");
    return { token, flows, finishedRunId, flowRuns };
  } finally {
    await database.close();
  }
}

/** By a fixed shuffle, so that every part of the history has its share of each. */
function endOf(at: number): StateType {
  let place = (at * 617) % 1000;
  for (const [state, share] of ENDS) {
    if (place < share) return state;
    place -= share;
  }
  throw new Error("the shares are of a thousand");
}

interface RunToFill {
  tenantId: string;
  agentId: string;
  flow: FilledFlow;
  end: StateType;
  at: number;
  createdAt: number;
  now: number;
}

function addRun(rows: Rows, { tenantId, agentId, flow, end, at, createdAt, now }: RunToFill): string {
  const id = idAt(createdAt, at);
  const waits = end === "Scheduled";
  const dueAt = waits && at % 2 === 0 ? now + DAY_MS * (0.1 + (at % 97) / 100) : createdAt;
  const ownStates: StateType[] = waits ? [end] : ["Scheduled", "Submitted", "Running"];
  if (!waits && end !== "Running") ownStates.push(end);
  const common = { created: instant(createdAt), updated: instant(createdAt + 9_000), tenant_id: tenantId };
  rows.add("flow_run", {
    ...common,
    ...stateColumns(ownStates, dueAt),
    id,
    flow_id: flow.id,
    name: `filled-${at}`,
    labels: JSON.stringify(flow.labels),
    parameters: '{"day":"2026-11-01","rows":1000}',
    scheduled_start_time: instant(dueAt),
    agent_id: waits ? null : agentId,
    lease_agent_id: end === "Running" ? agentId : null,
    lease_expires_at: end === "Running" ? instant(now + DAY_MS) : null,
    fence: waits ? 0 : 1,
  });
  addHistory(rows, "flow_run", { id, tenantId, states: ownStates, from: dueAt });
  flow.taskIds.forEach((taskId, place) => {
    const taskRunId = idAt(createdAt, at * TASKS_A_FLOW + place);
    const from = createdAt + place * 1_000;
    const states: StateType[] = waits || (end === "Running" && place > 2) ? ["Pending"] : ["Pending", "Running"];
    if (states.length > 1 && !(end === "Running" && place === 2)) states.push(place === 7 ? end : "Success");
    rows.add("task_run", {
      ...common,
      ...stateColumns(states, from),
      id: taskRunId,
      flow_run_id: id,
      task_id: taskId,
      map_index: -1,
    });
    addHistory(rows, "task_run", { id: taskRunId, tenantId, states, from });
    if (states.length === 3 && place % 2 === 0) {
      const line = { level: "INFO", name: "millrace.task", message: `Wrote 1,000 rows in ${place} ms.` };
      rows.add("log", {
        tenant_id: tenantId,
        flow_run_id: id,
        task_run_id: taskRunId,
        timestamp: instant(from),
        ...line,
      });
    }
  });
  return id;
}

function stateColumns(states: readonly StateType[], from: number): Values {
  const last = states.at(-1)!;
  const at = from + 300 * (states.length - 1);
  const started = states.indexOf("Running");
  const ended = !["Scheduled", "Pending", "Running"].includes(last);
  return {
    version: states.length,
    heartbeat: started < 0 ? null : instant(at),
    start_time: started < 0 ? null : instant(from + 300 * started),
    end_time: ended ? instant(at) : null,
    state: last,
    state_timestamp: instant(at),
    state_message: messageOf(last),
    state_start_time: last === "Scheduled" ? instant(from) : null,
    serialized_state: serialized(last, at, from),
  };
}

function addHistory(
  rows: Rows,
  kind: "flow_run" | "task_run",
  run: { id: string; tenantId: string; states: readonly StateType[]; from: number },
): void {
  run.states.forEach((state, index) => {
    const at = run.from + 300 * index;
    rows.add(`${kind}_state`, {
      [`${kind}_id`]: run.id,
      tenant_id: run.tenantId,
      version: index + 1,
      timestamp: instant(at),
      state,
      message: messageOf(state),
      start_time: state === "Scheduled" ? instant(run.from) : null,
      serialized_state: serialized(state, at, run.from),
    });
  });
}

const messageOf = (state: StateType): string => `The run entered ${state}.`;

function serialized(type: StateType, at: number, dueAt: number): string {
  const state = makeState(type, messageOf(type), { at: instant(at) });
  return JSON.stringify(toWireState(type === "Scheduled" ? { ...state, startAt: instant(dueAt) } : state));
}

export const instant = (ms: number): string => new Date(ms).toISOString();

/** An id as `newId` would have made it then: later ones sort later. */
function idAt(ms: number, count: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, "0");
  const order = (count % 4096).toString(16).padStart(3, "0");
  const random = randomBytes(7).toString("hex");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${order}-8${random.slice(0, 3)}-${random.slice(2, 14)}`;
}

/** Rows of a transaction by table, each table's with the same columns. */
class Rows {
  readonly #tables = new Map<string, Values[]>();

  add(table: string, values: Values): void {
    const rows = this.#tables.get(table);
    if (rows) rows.push(values);
    else this.#tables.set(table, [values]);
  }

  async write(transaction: Transaction): Promise<void> {
    for (const [table, rows] of this.#tables) {
      const columns = Object.keys(rows[0]!);
      await transaction.runMany(
        insertSql(table, columns),
        rows.map((row) => valuesOf(row, columns)),
      );
    }
  }
}
