import type {
  GetOrCreateTaskRunInput,
  IdPayload,
  SetTaskRunNameInput,
  SuccessPayload,
  TaskRunInfo,
  UpdateTaskRunHeartbeatInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { isTerminal, type StateType } from "../../core/state.js";
import { taskOfFlow } from "../../db/queries/flows.js";
import { loadTaskRuns, type TaskRunRow, taskRunAt, touchTaskRun } from "../../db/queries/task-runs.js";
import { type RequestContext, toInstant } from "../parts.js";
import { moveTaskRun, orThrow } from "../states/apply-state.js";
import { addTaskRun, type Ledger, readFlowRuns, readTaskRunsAndFlowRuns, withLedger } from "../states/ledger.js";
import { checkName } from "./settings-input.js";

/** Prefect's client asks so for each task run that it starts, and first for a mapped child. */
export async function getOrCreateTaskRunInfo(
  input: GetOrCreateTaskRunInput,
  context: RequestContext,
): Promise<TaskRunInfo> {
  return infoOf(await getOrCreate(input, context));
}

export async function getOrCreateTaskRun(input: GetOrCreateTaskRunInput, context: RequestContext): Promise<IdPayload> {
  return { id: (await getOrCreate(input, context)).id };
}

async function getOrCreate(
  { flow_run_id, task_id, map_index }: GetOrCreateTaskRunInput,
  { parts, caller }: RequestContext,
): Promise<TaskRunRow> {
  const { tenantId } = caller;
  const place = { flowRunId: flow_run_id, taskId: task_id, mapIndex: map_index ?? -1 };
  if (place.mapIndex < -1) {
    throw new MillraceError(
      "INPUT_INVALID",
      `get_or_create_task_run: \`map_index\` must be -1 or more, and is ${place.mapIndex}.`,
    );
  }
  // It is there nearly always, and then nobody's transaction is waited for.
  const known = await taskRunAt(parts.database, tenantId, place);
  if (known) return known;
  return withLedger(parts, { tenantId }, (ledger) => create(ledger, place));
}

/** The flow run's row is held meanwhile: two that ask at once for the same place get the same task run. */
async function create(
  ledger: Ledger,
  place: { flowRunId: string; taskId: string; mapIndex: number },
): Promise<TaskRunRow> {
  await readFlowRuns(ledger, [place.flowRunId]);
  const flowRun = ledger.flowRuns.get(place.flowRunId);
  if (!flowRun) throw new MillraceError("FLOW_RUN_NOT_FOUND", `There is no flow run ${place.flowRunId}.`);
  const known = await taskRunAt(ledger.transaction, ledger.tenantId, place);
  if (known) return known;
  const task = await taskOfFlow(ledger.transaction, flowRun.flow_id, place.taskId);
  if (!task) {
    throw new MillraceError("INPUT_INVALID", "Invalid task ID", {
      hint: `The flow of flow run ${flowRun.id} has no task ${place.taskId}.`,
    });
  }
  if (flowRun.state !== null && isTerminal({ type: flowRun.state as StateType })) {
    throw new MillraceError(
      "STATE_REFUSED",
      `Flow run ${flowRun.id} gets no new task runs: it has ended (it is ${flowRun.state}).`,
    );
  }
  const run = addTaskRun(ledger, { id: newId(), ...place, cacheKey: task.cache_key });
  orThrow(moveTaskRun(ledger, flowRun, run, { state: CREATED, at: ledger.now }));
  return run;
}

const CREATED = { type: "Pending", message: "Task run created" };

export async function getTaskRunInfo(
  { task_run_id }: { task_run_id: string },
  { parts, caller }: RequestContext,
): Promise<TaskRunInfo> {
  const [run] = await loadTaskRuns(parts.database, caller.tenantId, [task_run_id]);
  if (!run) throw unknownTaskRun(task_run_id);
  return infoOf(run);
}

function infoOf({ id, version, serialized_state }: TaskRunRow): TaskRunInfo {
  return { id, version, serialized_state: serialized_state === null ? null : JSON.parse(serialized_state) };
}

export function nameTaskRun(input: SetTaskRunNameInput, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  checkName("set_task_run_name", "name", input.name);
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    await readTaskRunsAndFlowRuns(ledger, [input.task_run_id]);
    const run = ledger.taskRuns.get(input.task_run_id);
    if (!run) throw unknownTaskRun(input.task_run_id);
    run.name = input.name;
    run.updated = ledger.now;
    ledger.changedTaskRuns.add(run);
    return { success: true, error: null };
  });
}

function unknownTaskRun(id: string): MillraceError {
  return new MillraceError("INPUT_INVALID", `There is no task run ${id}.`);
}

/** Clients since 0.15 send one heartbeat for the whole flow run. */
export async function updateTaskRunHeartbeat(
  input: UpdateTaskRunHeartbeatInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const now = toInstant(parts.clock.now());
  await parts.database.write((transaction) => touchTaskRun(transaction, caller.tenantId, input.task_run_id, now));
  return { success: true, error: null };
}
