import t from "tap";
import type { Transaction } from "../../../src/db/database.js";
import { type Violation, verifyDatabase } from "../../../src/db/verify/verify-database.js";
import { type BusyCloud, busyCloud } from "../../helpers/busy-cloud.js";

const UNDO = Symbol("undo");
const AT = "2026-11-23T10:00:00.000Z";
const busy: BusyCloud = await busyCloud(t);
const { database } = busy.cloud.server;
const { runs } = busy;

/** Breaks the database in a transaction, looks at it from within, and takes it all back. */
async function foundAfter(breakIt: (transaction: Transaction) => Promise<unknown>): Promise<Violation[]> {
  let found: Violation[] = [];
  await database
    .write(async (transaction) => {
      // Rows that no program of ours could write.
      if (database.kind === "sqlite") await transaction.run("PRAGMA defer_foreign_keys = ON");
      else await transaction.run("SET LOCAL session_replication_role = replica");
      await breakIt(transaction);
      found = await verifyDatabase({ kind: database.kind, snapshot: (work) => work(transaction.query) }, Date.now());
      throw UNDO;
    })
    .catch((error: unknown) => {
      if (error !== UNDO) throw error;
    });
  return found;
}

/** A table without one of its unique keys: in SQLite one that stands before it, with what it holds, and its history's too. */
async function withoutKey(transaction: Transaction, table: string, key: string): Promise<void> {
  if (database.kind === "postgres") {
    const sql = `SELECT conname FROM pg_constraint WHERE conrelid = '${table}'::regclass AND contype = 'u'
      AND pg_get_constraintdef(oid) = 'UNIQUE ${key}'`;
    const [row] = await transaction.all<{ conname: string }>(sql);
    await transaction.run(`ALTER TABLE ${table} DROP CONSTRAINT ${row!.conname}`);
    return;
  }
  for (const each of table === "flow" ? ["flow"] : [table, `${table}_state`]) {
    await transaction.run(`CREATE TEMPORARY TABLE ${each} AS SELECT * FROM main.${each}`);
  }
}

/** A copy of one row with some columns changed. */
async function copy(transaction: Transaction, table: string, id: string, changes: Record<string, string | number>) {
  const [row] = await transaction.all<Record<string, string | number | null>>(
    `SELECT * FROM ${table} WHERE id = ?1`,
    id,
  );
  const entries = Object.entries({ ...row, ...changes });
  const places = entries.map((_, index) => `?${index + 1}`).join(", ");
  await transaction.run(
    `INSERT INTO ${table} (${entries.map(([name]) => name).join(", ")}) VALUES (${places})`,
    ...entries.map(([, value]) => value),
  );
}

const taskOf = (slug: string, flowRunId: string) =>
  `(SELECT t.id FROM task_run t JOIN task k ON k.id = t.task_id WHERE t.flow_run_id = '${flowRunId}' AND k.slug = '${slug}')`;
const next = (kind: string, id: string, state: string, version: string) =>
  `INSERT INTO ${kind}_state (${kind}_id, tenant_id, version, timestamp, state, serialized_state)
   SELECT ${kind}_id, tenant_id, ${version}, timestamp, '${state}', serialized_state FROM ${kind}_state
   WHERE ${kind}_id = ${id} ORDER BY version DESC LIMIT 1`;
const follow = (kind: string, id: string) =>
  `UPDATE ${kind} SET version = s.version, state = s.state, state_message = s.message, state_result = s.result, state_start_time = s.start_time,
     state_timestamp = s.timestamp, serialized_state = s.serialized_state FROM ${kind}_state s
   WHERE s.${kind}_id = ${id} AND ${kind}.id = ${id} AND s.version = (SELECT max(version) FROM ${kind}_state WHERE ${kind}_id = ${id})`;
const quoted = (id: string) => `'${id}'`;
/** A state that the judge never saw, in the history and in the row. */
const moves =
  (kind: "flow_run" | "task_run", id: string, state: string, by = 1) =>
  async (transaction: Transaction) => {
    await transaction.run(next(kind, id, state, `version + ${by}`));
    await transaction.run(follow(kind, id));
  };
const sql =
  (...texts: string[]) =>
  async (transaction: Transaction) => {
    for (const text of texts) await transaction.run(text);
  };

t.test("a clean Cloud in which much is under way breaks no rule", async (t) => {
  t.strictSame(await verifyDatabase(database, Date.now()), []);
  t.strictSame(await foundAfter(async () => {}), []);
  t.strictSame(
    await busy.cloud.rows("SELECT kind, count(*) AS n FROM concurrency_slot GROUP BY kind ORDER BY kind"),
    [
      { kind: "flow_label", n: 4 },
      { kind: "task_tag", n: 1 },
    ],
    "slots are held",
  );
  t.strictSame(await busy.cloud.rows("SELECT count(*) AS n FROM slot_request"), [{ n: 1 }], "and waited for");
  t.strictSame(await busy.cloud.rows("SELECT count(*) AS n FROM flow_run WHERE auto_scheduled = 1"), [{ n: 10 }]);
});

const [firstAuto] = await busy.cloud.rows<{ id: string; idempotency_key: string }>(
  "SELECT id, idempotency_key FROM flow_run WHERE auto_scheduled = 1 ORDER BY scheduled_start_time LIMIT 1",
);
const a = (flowRunId: string) => taskOf("a-1", flowRunId);

/** How it is broken, the rule, and what the sentence names. */
const BROKEN: [string, string, string, (transaction: Transaction) => Promise<unknown>][] = [
  [
    "a flow run's end is changed",
    "END_CHANGED flow_run_state",
    runs.ended,
    moves("flow_run", quoted(runs.ended), "Cancelled"),
  ],
  ["a task run's end is changed", "END_CHANGED task_run_state", "Success", moves("task_run", a(runs.ended), "Failed")],
  [
    "a run of ours is retried after its failure, as only Prefect's runner may",
    "END_CHANGED task_run_state",
    "Retrying",
    async (transaction) => {
      await transaction.run(next("task_run", taskOf("b-1", runs.running), "Failed", "version + 1"));
      await transaction.run(next("task_run", taskOf("b-1", runs.running), "Retrying", "version + 1"));
      await transaction.run(follow("task_run", taskOf("b-1", runs.running)));
    },
  ],
  [
    "a flow run makes a move that none may",
    "MOVE_ILLEGAL flow_run_state",
    "from Scheduled to Looped",
    moves("flow_run", quoted(firstAuto!.id), "Looped"),
  ],
  [
    "a state is none",
    "STATE_UNKNOWN flow_run_state",
    '"Sleeping"',
    moves("flow_run", quoted(runs.scheduled), "Sleeping"),
  ],
  [
    "a version is left out",
    "VERSION_GAP flow_run_state",
    runs.running,
    moves("flow_run", quoted(runs.running), "Running", 2),
  ],
  [
    "a row is not its newest state",
    "ROW_DIFFERS flow_run",
    runs.running,
    sql(`UPDATE flow_run SET state_message = 'other' WHERE id = '${runs.running}'`),
  ],
  [
    "a task run's row is behind its history",
    "ROW_DIFFERS task_run",
    "ends at version 2",
    sql(next("task_run", taskOf("c-1", runs.running), "Running", "version + 1")),
  ],
  [
    "a lease has no end",
    "LEASE_INCOMPLETE flow_run",
    runs.running,
    sql(`UPDATE flow_run SET lease_expires_at = NULL WHERE id = '${runs.running}'`),
  ],
  [
    "an ended run is leased",
    "LEASE_LEFT flow_run",
    runs.ended,
    sql(`UPDATE flow_run SET lease_agent_id = 'x', lease_expires_at = '${AT}' WHERE id = '${runs.ended}'`),
  ],
  [
    "a run is Submitted to nobody",
    "RUN_UNHELD flow_run",
    runs.submitted,
    sql(
      `UPDATE flow_run SET lease_agent_id = NULL, lease_expires_at = NULL, heartbeat = NULL WHERE id = '${runs.submitted}'`,
    ),
  ],
  [
    "a process of Prefect's was silent for hours, and no server saw to it",
    "note RUN_FORGOTTEN flow_run",
    runs.prefect,
    sql(`UPDATE flow_run SET heartbeat = '2020-01-01T00:00:00.000Z' WHERE id = '${runs.prefect}'`),
  ],
  [
    "a task run is open under an ended flow run",
    "TASK_RUN_LEFT_OPEN task_run",
    runs.ended,
    moveAside(taskOf("c-1", runs.ended)),
  ],
  [
    "a task runs before its flow run",
    "TASK_RUN_TOO_EARLY task_run",
    runs.submitted,
    moves("task_run", a(runs.submitted), "Running"),
  ],
  [
    "an ended run holds a slot",
    "SLOT_LEFT concurrency_slot",
    runs.ended,
    sql(
      `UPDATE concurrency_slot SET run_id = '${runs.ended}', flow_run_id = '${runs.ended}' WHERE run_id = '${runs.running}'`,
    ),
  ],
  [
    "a task run that waits for nothing holds a slot",
    "SLOT_LEFT concurrency_slot",
    'tag "db"',
    sql(`UPDATE concurrency_slot SET run_id = ${taskOf("b-1", runs.running)} WHERE kind = 'task_tag'`),
  ],
  [
    "more slots are taken than there are",
    "SLOTS_OVER_LIMIT concurrency_slot",
    "4 slots",
    sql("UPDATE flow_concurrency_limit SET slots = 3"),
  ],
  [
    "a limit was lowered beneath what runs",
    "note SLOTS_OVER_LOWERED_LIMIT concurrency_slot",
    "4 slots",
    sql(`UPDATE flow_concurrency_limit SET slots = 3, updated = '${new Date(Date.now() + 1_000).toISOString()}'`),
  ],
  [
    "a task run that has ended stands in line",
    "PLACE_IN_LINE_LEFT slot_request",
    runs.ended,
    sql(`UPDATE slot_request SET run_id = ${a(runs.ended)}, flow_run_id = '${runs.ended}'`),
  ],
  [
    "a start time has lost its key",
    "START_TIME_WITHOUT_KEY flow_run",
    firstAuto!.id,
    sql(`UPDATE flow_run SET idempotency_key = NULL WHERE id = '${firstAuto!.id}'`),
  ],
  ["a start time has no run", "START_TIME_WITHOUT_RUN flow", busy.scheduledFlowId, remove(firstAuto!.id)],
  [
    "a start time has two runs",
    "FLOW_RUN_DOUBLE flow_run",
    firstAuto!.idempotency_key,
    async (transaction) => {
      await withoutKey(transaction, "flow_run", "(flow_id, idempotency_key)");
      await copyRun(transaction, "flow_run", firstAuto!.id);
    },
  ],
  [
    "a task has two runs at one place",
    "TASK_RUN_DOUBLE task_run",
    runs.running,
    async (transaction) => {
      await withoutKey(transaction, "task_run", "(flow_run_id, task_id, map_index)");
      const [task] = await transaction.all<{ id: string }>(`SELECT ${taskOf("c-1", runs.running)} AS id`);
      await copyRun(transaction, "task_run", task!.id);
    },
  ],
  [
    "a mapped child is of another flow's task",
    "TASK_RUN_OF_OTHER_FLOW task_run",
    runs.running,
    async (transaction) => {
      const [other] = await transaction.all<{ id: string }>(
        "SELECT id FROM task WHERE flow_id = ?1 AND slug = 'b-1'",
        busy.prefectFlowId,
      );
      await transaction.run(
        `UPDATE task_run SET map_index = 0, task_id = '${other!.id}' WHERE id = ${taskOf("c-1", runs.running)}`,
      );
    },
  ],
  [
    "an edge leads to a task of another flow",
    "EDGE_LOOSE edge",
    busy.flowId,
    sql(
      `UPDATE edge SET upstream_task_id = 'nowhere' WHERE id = (SELECT min(id) FROM edge WHERE flow_id = '${busy.flowId}')`,
    ),
  ],
  [
    "a task belongs to another tenant",
    "TENANT_DIFFERS task",
    busy.flowId,
    sql(`UPDATE task SET tenant_id = 'other' WHERE flow_id = '${busy.flowId}' AND slug = 'b-1'`),
  ],
  [
    "a run is for agents of another kind than its flow",
    "ENGINE_DIFFERS flow_run",
    runs.scheduled,
    sql(`UPDATE flow_run SET engine = 'prefect' WHERE id = '${runs.scheduled}'`),
  ],
  [
    "a flow group has two flows of one version",
    "FLOW_VERSION_DOUBLE flow",
    "2 flows of version 1",
    async (transaction) => {
      await withoutKey(transaction, "flow", "(flow_group_id, version)");
      await copy(transaction, "flow", busy.flowId, { id: "00000000-0000-4000-8000-000000000001" });
    },
  ],
  [
    "JSON does not parse",
    "JSON_UNREADABLE flow_run",
    "parameters",
    sql(`UPDATE flow_run SET parameters = '{"a":' WHERE id = '${runs.scheduled}'`),
  ],
  [
    "an instant has another form",
    "INSTANT_UNREADABLE agent",
    "2026-11-23 10:00",
    sql("UPDATE agent SET last_queried = '2026-11-23 10:00:00+00'"),
  ],
  [
    "a row refers to none",
    database.kind === "sqlite" ? "REFERENCE_LOOSE (file)" : "REFERENCE_LOOSE log",
    "log",
    sql(looseLog()),
  ],
  [
    "the tables are of another version",
    "SCHEMA_VERSION (schema)",
    "version 99",
    sql(database.kind === "sqlite" ? "PRAGMA user_version = 99" : "UPDATE schema_version SET version = 99"),
  ],
];

for (const [how, rule, names, breakIt] of BROKEN) {
  t.test(`${how}: ${rule}`, async (t) => {
    const found = await foundAfter(breakIt);
    const rules = found.map(({ note, code, table }) => `${note ? "note " : ""}${code} ${table}`);
    t.strictSame(rules, [rule], JSON.stringify(found));
    t.match(`${found[0]?.message} ${JSON.stringify(found[0]?.ids)}`.replaceAll('\\"', '"'), names);
    t.equal(found[0]?.total, 1);
    t.strictSame(await verifyDatabase(database, Date.now()), [], "it was taken back");
  });
}

t.test("of many rows that break one rule the first twenty are named, and all are counted", async (t) => {
  const found = await foundAfter(async (transaction) => {
    for (let index = 0; index < 25; index++) {
      await transaction.run(
        `INSERT INTO agent (id, created, updated, tenant_id, name, type, last_queried)
         SELECT '${index}', 'today', created, tenant_id, name, type, last_queried FROM agent WHERE created <> 'today' LIMIT 1`,
      );
    }
  });
  t.equal(found.length, 20);
  t.ok(found.every(({ code, table, total }) => code === "INSTANT_UNREADABLE" && table === "agent" && total === 25));
});

function looseLog(): string {
  return `INSERT INTO log (tenant_id, flow_run_id, timestamp, level) VALUES ('t', 'nowhere', '${AT}', 'INFO')`;
}

/** A task run as if its flow run had forgotten it: back to the state before its last. */
function moveAside(id: string) {
  return async (transaction: Transaction) => {
    await transaction.run(`DELETE FROM task_run_state WHERE task_run_id = ${id} AND version > 1`);
    await transaction.run(follow("task_run", id));
  };
}

function remove(flowRunId: string) {
  return async (transaction: Transaction) => {
    const tasks = `SELECT id FROM task_run WHERE flow_run_id = '${flowRunId}'`;
    await transaction.run(`DELETE FROM task_run_state WHERE task_run_id IN (${tasks})`);
    await transaction.run(`DELETE FROM task_run WHERE flow_run_id = '${flowRunId}'`);
    await transaction.run(`DELETE FROM flow_run_state WHERE flow_run_id = '${flowRunId}'`);
    await transaction.run(`DELETE FROM flow_run WHERE id = '${flowRunId}'`);
  };
}

/** With its history, so that only the place is taken twice. */
async function copyRun(transaction: Transaction, table: "flow_run" | "task_run", id: string): Promise<void> {
  const to = "00000000-0000-4000-8000-000000000002";
  await copy(transaction, table, id, { id: to });
  const columns = "tenant_id, version, timestamp, state, message, result, start_time, serialized_state";
  await transaction.run(
    `INSERT INTO ${table}_state (${table}_id, ${columns}) SELECT '${to}', ${columns} FROM ${table}_state WHERE ${table}_id = '${id}'`,
  );
}
