import { join } from "node:path";
import t from "tap";
import type { Reads, SqlValue, Transaction } from "../../src/db/database.js";
import { openSqlite } from "../../src/db/open-database.js";
import {
  cancellingOf,
  dueFlowRuns,
  dueRunningFlowRuns,
  earliestDue,
  expiredLeases,
  nextDueAt,
  waitingLabelSets,
} from "../../src/db/queries/claim.js";
import { deleteAutoRuns } from "../../src/db/queries/flow-groups.js";
import {
  findFlowRunByKey,
  flowRunsAskedForBy,
  loadFlowRuns,
  waitingRunsOfFlow,
} from "../../src/db/queries/flow-runs.js";
import { deleteAgentsUnseenSince, runsEndedBefore } from "../../src/db/queries/retention.js";
import { scheduledFlows, untouchedAutoRuns } from "../../src/db/queries/schedules.js";
import {
  bringHeartbeatsBack,
  lateRuns,
  lockLeasesFromFuture,
  queuedRuns,
  silentRuns,
} from "../../src/db/queries/services.js";
import { claimedTaskRuns, loadMappedTaskRuns, loadTaskRuns, openTaskRunsOf } from "../../src/db/queries/task-runs.js";

const database = openSqlite(join(t.testdir(), "millrace.db"));
t.teardown(() => database.close());

/** How SQLite would answer each query that `ask` makes. */
async function planOf(ask: (reads: Reads) => Promise<unknown>): Promise<string> {
  const plans: string[] = [];
  const reads: Reads = {
    all: async <Row>(sql: string, ...parameters: SqlValue[]): Promise<Row[]> => {
      const rows = await database.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, ...parameters);
      plans.push(...rows.map((row) => row.detail));
      return [];
    },
  };
  await ask(reads);
  return plans.join("\n");
}

const question = {
  tenantId: "t",
  engine: "millrace" as const,
  labels: "[]",
  before: "2026",
  after: "2026",
  flowGroupId: "g",
  limit: 5,
};
const planned = (reads: Reads) =>
  ({
    all: reads.all,
    run: async (sql: string, ...parameters: SqlValue[]) => (await reads.all(sql, ...parameters)).length,
  }) as Transaction;
const hot: [name: string, ask: (reads: Reads) => Promise<unknown>, uses: RegExp][] = [
  [
    "label sets of waiting runs",
    (reads) => waitingLabelSets(reads, "t", "millrace"),
    /flow_run_waiting \(tenant_id=\? AND engine=\? AND labels>\?\)/,
  ],
  ["runs of a flow that wait", (reads) => waitingRunsOfFlow(reads, "f"), /flow_run_scheduled \(flow_id=\?\)/],
  [
    "runs that a flow's schedule made",
    (reads) => deleteAutoRuns(planned(reads), ["f"], "2026"),
    /flow_run_scheduled \(flow_id=\?\)/,
  ],
  [
    "due runs",
    (reads) => dueFlowRuns(reads, question),
    /flow_run_waiting \(tenant_id=\? AND engine=\? AND labels=\? AND state_start_time<\?\)/,
  ],
  [
    "the next due run",
    (reads) => nextDueAt(reads, question),
    /flow_run_waiting \(tenant_id=\? AND engine=\? AND labels=\? AND state_start_time>\?\)/,
  ],
  [
    "due task runs",
    (reads) => dueRunningFlowRuns(reads, "t", "millrace", "2026"),
    /SEARCH t USING .*task_run_waiting \(state_start_time<\?\)/,
  ],
  ["the earliest due run", (reads) => earliestDue(reads, "2026"), /flow_run_waiting/],
  ["expired leases", (reads) => expiredLeases(reads, "2026"), /flow_run_leased \(lease_expires_at<\?\)/],
  ["runs to cancel", (reads) => cancellingOf(reads, "t", "a"), /flow_run_cancelling \(lease_agent_id=\?\)/],
  ["one flow run", (reads) => loadFlowRuns(reads, "t", ["a"]), /SEARCH flow_run USING INDEX .* \(id=\?\)/],
  ["flow runs", (reads) => loadFlowRuns(reads, "t", ["a", "b"]), /SEARCH flow_run USING INDEX .* \(id=\?\)/],
  ["a run by its key", (reads) => findFlowRunByKey(reads, "f", "k"), /\(flow_id=\? AND idempotency_key=\?\)/],
  ["task runs", (reads) => loadTaskRuns(reads, "t", ["a", "b"]), /SEARCH task_run USING INDEX .* \(id=\?\)/],
  ["open task runs of a run", (reads) => openTaskRunsOf(reads, "r"), /\(flow_run_id=\?\)/],
  ["task runs of claimed runs", (reads) => claimedTaskRuns(reads, ["r"]), /SEARCH r USING .* \(flow_run_id=\?\)/],
  ["flows with a schedule", (reads) => scheduledFlows(reads, "a", 5), /SEARCH f USING .*flow_scheduled \(id>\?\)/],
  [
    "runs made ahead of a span",
    (reads) => untouchedAutoRuns(reads, "f", { after: "2026", until: "2027" }),
    /\(flow_id=\? AND idempotency_key>\? AND idempotency_key<\?\)|flow_run_scheduled \(flow_id=\?\)/,
  ],
  [
    "what a run's tasks asked for",
    (reads) => flowRunsAskedForBy(reads, "t", "r"),
    /SEARCH t USING .*\(flow_run_id=\?\).*\nSEARCH c USING INDEX flow_run_by_parent/,
  ],
  ["silent runs", (reads) => silentRuns(reads, "2026", { heartbeat: "", id: "" }, 5), /flow_run_unheld/],
  [
    "runs Queued for long",
    (reads) => queuedRuns(reads, "2026", { created: "", id: "" }, 5),
    /flow_run_by_state \(<expr>=\?/,
  ],
  ["heartbeats from the future", (reads) => bringHeartbeatsBack(planned(reads), "2026", "2025"), /flow_run_unheld/],
  ["leases from the future", (reads) => lockLeasesFromFuture(planned(reads), "2026"), /flow_run_leased/],
  ["late runs", (reads) => lateRuns(planned(reads), "2026", 5), /flow_run_not_late \(state_start_time<\?\)/],
  ["runs that ended long ago", (reads) => runsEndedBefore(reads, "2026", 5), /flow_run_newest \(created<\?\)/],
  [
    "agents that hold nothing",
    (reads) => deleteAgentsUnseenSince(planned(reads), "2026", 5),
    /SCAN r USING (COVERING )?INDEX flow_run_/,
  ],
  [
    "children of a mapped task",
    (reads) => loadMappedTaskRuns(reads, "r", "t", [1]),
    /\(flow_run_id=\? AND task_id=\? AND map_index=\?\)/,
  ],
];

for (const [name, ask, uses] of hot) {
  t.test(`${name}: found by an index`, async (t) => {
    const plan = await planOf(ask);
    t.match(plan, uses);
    t.notMatch(plan, /SCAN (r|t|flow_run|task_run)(?! USING)/, "no table is read through");
  });
}
