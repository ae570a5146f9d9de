import type { RunReportInput, StateReportInput } from "../../client/wire.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { findTask } from "../../db/queries/flows.js";
import { loadMappedTaskRuns, type TaskRunRow } from "../../db/queries/task-runs.js";
import type { Refused } from "./apply-state.js";
import { addTaskRun, type Ledger } from "./ledger.js";

/** Makes the task runs of mapped children, which the Cloud first hears of when they start. */
export interface NewChildren {
  /** The new row in the ledger, or why there can be none. */
  add(flowRun: FlowRunRow, entry: StateReportInput, taskRunId: string): TaskRunRow | Refused;
  /** Takes back a row whose first state was refused: a task run without any is none. */
  drop(row: TaskRunRow): void;
}

/** Looks up, once for a whole batch, what the children in it need: their tasks, and who has their places already. */
export async function findNewChildren(ledger: Ledger, reports: readonly RunReportInput[]): Promise<NewChildren> {
  const tasks = new Map<string, Awaited<ReturnType<typeof findTask>>>();
  const places = new Map<string, string>();
  for (const report of reports) {
    const flowRun = ledger.flowRuns.get(report.flow_run_id);
    if (!flowRun) continue;
    const unknown = report.states.filter((entry) => entry.task_run_id && !ledger.taskRuns.has(entry.task_run_id));
    for (const [slug, entries] of Map.groupBy(unknown, (entry) => entry.task_slug ?? "")) {
      const key = `${flowRun.flow_id} ${slug}`;
      if (!tasks.has(key)) tasks.set(key, await findTask(ledger.transaction, flowRun.flow_id, slug));
      const taskId = tasks.get(key)?.id;
      if (taskId === undefined) continue;
      const indexes = entries.map((entry) => entry.map_index ?? -1);
      for (const row of await loadMappedTaskRuns(ledger.transaction, flowRun.id, taskId, indexes)) {
        places.set(placeOf(flowRun.id, taskId, row.map_index), row.id);
      }
    }
  }
  return {
    add(flowRun, entry, taskRunId) {
      const slug = entry.task_slug ?? "";
      const mapIndex = entry.map_index ?? -1;
      const task = tasks.get(`${flowRun.flow_id} ${slug}`);
      const what = `Task run ${taskRunId} of flow run ${flowRun.id} is not known`;
      if (!task) return refused(`${what}, and its flow has no task "${slug}".`);
      if (mapIndex < 0)
        return refused(`${what}, and only children of a mapped task may be new (map_index is ${mapIndex}).`);
      const { id: taskId, cache_key: cacheKey } = task;
      const place = placeOf(flowRun.id, taskId, mapIndex);
      const taken = places.get(place);
      if (taken !== undefined) return refused(`${what}: child ${mapIndex} of task "${slug}" is task run ${taken}.`);
      places.set(place, taskRunId);
      return addTaskRun(ledger, { id: taskRunId, flowRunId: flowRun.id, taskId, mapIndex, cacheKey });
    },
    drop(row) {
      places.delete(placeOf(row.flow_run_id, row.task_id, row.map_index));
      ledger.taskRuns.delete(row.id);
      ledger.newTaskRuns.delete(row);
    },
  };
}

const placeOf = (flowRunId: string, taskId: string, mapIndex: number): string => `${flowRunId} ${taskId} ${mapIndex}`;
const refused = (message: string): Refused => ({ code: "STATE_REFUSED", message });
