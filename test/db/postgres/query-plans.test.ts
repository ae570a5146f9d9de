import t from "tap";
import type { Reads, SqlValue, Transaction } from "../../../src/db/database.js";
import { openDatabase } from "../../../src/db/open-database.js";
import {
  cancellingOf,
  dueFlowRuns,
  dueRunningFlowRuns,
  earliestDue,
  expiredLeases,
  nextDueAt,
  waitingLabelSets,
} from "../../../src/db/queries/claim.js";
import { findFlowRunByKey, loadFlowRuns, lockFreeFlowRuns } from "../../../src/db/queries/flow-runs.js";
import { queuedRuns } from "../../../src/db/queries/services.js";
import {
  claimedTaskRuns,
  loadMappedTaskRuns,
  loadTaskRuns,
  openTaskRunsOf,
} from "../../../src/db/queries/task-runs.js";
import { makeDatabase, needsPostgres } from "../../helpers/test-database.js";

const engine = "millrace" as const;
const question = { tenantId: "t", engine, labels: "[]", before: "2026", after: "2026", flowGroupId: "g", limit: 5 };
const hot: [name: string, ask: (reads: Reads) => Promise<unknown>, uses: RegExp][] = [
  ["label sets of waiting runs", (reads) => waitingLabelSets(reads, "t", engine), /flow_run_waiting/],
  ["due runs", (reads) => dueFlowRuns(reads, question), /Index Scan using flow_run_waiting/],
  ["the next due run", (reads) => nextDueAt(reads, question), /Index Scan using flow_run_waiting/],
  ["due task runs", (reads) => dueRunningFlowRuns(reads, "t", engine, "2026"), /task_run_waiting/],
  ["the earliest due run", (reads) => earliestDue(reads, "2026"), /flow_run_waiting/],
  ["expired leases", (reads) => expiredLeases(reads, "2026"), /flow_run_leased/],
  ["runs Queued for long", (reads) => queuedRuns(reads, "2026", { created: "", id: "" }, 5), /flow_run_by_state/],
  ["runs to cancel", (reads) => cancellingOf(reads, "t", "a"), /flow_run_cancelling/],
  ["one flow run", (reads) => loadFlowRuns(reads, "t", ["a"]), /LockRows[\s\S]*flow_run_pkey/],
  ["flow runs", (reads) => loadFlowRuns(reads, "t", ["a", "b"]), /LockRows[\s\S]*flow_run_pkey/],
  [
    "runs to claim",
    (reads) => lockFreeFlowRuns(reads as Transaction, "t", ["a", "b"]),
    // Without rows all of them cost the same.
    /LockRows[\s\S]*(flow_run_pkey|flow_run_waiting|flow_run_by_state)/,
  ],
  ["a run by its key", (reads) => findFlowRunByKey(reads, "f", "k"), /Index Scan using flow_run_/],
  ["task runs", (reads) => loadTaskRuns(reads, "t", ["a", "b"]), /task_run_pkey/],
  ["open task runs of a run", (reads) => openTaskRunsOf(reads, "r"), /task_run_flow_run_id_task_id_map_index_key/],
  ["task runs of claimed runs", (reads) => claimedTaskRuns(reads, ["r"]), /task_run_flow_run_id_task_id_map_index_key/],
  ["children of a mapped task", (reads) => loadMappedTaskRuns(reads, "r", "t", [1]), /Index Scan using task_run_/],
];

t.test("hot queries on Postgres", needsPostgres, async (t) => {
  const database = await openDatabase(await makeDatabase(t, t.testdirName));
  t.teardown(() => database.close());
  for (const [name, ask, uses] of hot) {
    await t.test(`${name}: found by an index`, async (t) => {
      const plan = await database.write(async (transaction) => {
        // Tables without rows are read through faster; what is asked is whether the index can be used.
        await transaction.run("SET LOCAL enable_seqscan = off");
        const plans: string[] = [];
        const all = async <Row>(sql: string, ...parameters: SqlValue[]): Promise<Row[]> => {
          const rows = await transaction.all<{ "QUERY PLAN": string }>(`EXPLAIN ${sql}`, ...parameters);
          plans.push(...rows.map((row) => row["QUERY PLAN"]));
          return [];
        };
        await ask({ all });
        return plans.join("\n");
      });
      t.match(plan, uses);
      t.notMatch(plan, /Seq Scan on (flow_run|task_run)/, "no table is read through");
    });
  }
});
