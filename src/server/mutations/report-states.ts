import type {
  RefusedReport,
  ReportStatesInput,
  ReportStatesPayload,
  RunReportInput,
  StateReportInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isTerminal, type StateType } from "../../core/state.js";
import { cancellingOf } from "../../db/queries/claim.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { grantedTaskRuns } from "../../db/queries/limits.js";
import { findReportStream, writeReportStream } from "../../db/queries/report-streams.js";
import { settleLimits } from "../limits/settle-limits.js";
import { hasKnownLevel, logLine } from "../log-line.js";
import type { RequestContext } from "../parts.js";
import { moveFlowRun, moveTaskRun, type Refused } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, readTaskRuns, withLedger } from "../states/ledger.js";
import { findNewChildren, type NewChildren } from "../states/new-children.js";

/**
 * Takes a batch of states and log lines: one transaction, judged one by one in the order given. A refused state ends its
 * run's part of the batch and no other run's. A batch that was taken before is answered as it was then.
 */
export async function reportStates(input: ReportStatesInput, context: RequestContext): Promise<ReportStatesPayload> {
  try {
    return await takeBatch(input, context);
  } catch (error) {
    if (error !== BATCH_TAKEN) throw error;
    return answerAgain(input, context);
  }
}

/** Rolls a transaction back, and never leaves this file. Batches are nearly always new, so none is looked up beforehand. */
const BATCH_TAKEN = Symbol("batch taken");

function takeBatch(input: ReportStatesInput, { parts, caller }: RequestContext): Promise<ReportStatesPayload> {
  const { tenantId } = caller;
  return withLedger(parts, { tenantId, agentId: input.agent_id }, async (ledger) => {
    const refused = await takeReports(ledger, input);
    await settleLimits(ledger);
    const queued = [...ledger.queued.keys()];
    const answer: KeptAnswer = queued.length === 0 ? refused : { refused, queued };
    const taken = await writeReportStream(ledger.transaction, {
      id: input.stream_id,
      tenantId,
      batch: input.batch,
      answer: JSON.stringify(answer),
      now: ledger.now,
    });
    if (!taken) throw BATCH_TAKEN;
    const granted = takeGrants(ledger, input.agent_id);
    return { refused, queued, granted, cancelling: await cancelling(ledger, input.agent_id) };
  });
}

/** What was answered to a batch that came before; which runs are to stop is as of now. */
async function answerAgain(input: ReportStatesInput, { parts, caller }: RequestContext): Promise<ReportStatesPayload> {
  const known = await findReportStream(parts.database, caller.tenantId, input.stream_id);
  if (known?.batch !== input.batch) throw batchPassed(input, known?.batch);
  const kept = JSON.parse(known.answer) as KeptAnswer;
  const { refused, queued } = Array.isArray(kept) ? { refused: kept, queued: [] } : kept;
  const flowRunIds = input.runs.map((run) => run.flow_run_id);
  const granted = await grantedTaskRuns(parts.database, flowRunIds);
  return { refused, queued, granted, cancelling: await cancellingOf(parts.database, caller.tenantId, input.agent_id) };
}

/** What of an answer is kept with its batch. */
type KeptAnswer = RefusedReport[] | { refused: RefusedReport[]; queued: string[] };

/** Its own slots the agent is told in the answer, and needs no event for. */
function takeGrants(ledger: Ledger, agentId: string): string[] {
  const granted: string[] = [];
  for (let at = ledger.effects.length - 1; at >= 0; at -= 1) {
    const effect = ledger.effects[at]!;
    if (effect.kind !== "slot" || effect.agentId !== agentId) continue;
    granted.unshift(effect.taskRunId);
    ledger.effects.splice(at, 1);
  }
  return granted;
}

function batchPassed({ stream_id, batch }: ReportStatesInput, taken: number | undefined): MillraceError {
  const later = taken === undefined ? "a later one" : `batch ${taken}`;
  return new MillraceError(
    "INPUT_INVALID",
    `Batch ${batch} of stream ${stream_id} came after ${later} of it was taken.`,
    {
      hint: "Number a stream's batches upwards, and send one at a time.",
    },
  );
}

async function takeReports(ledger: Ledger, input: ReportStatesInput): Promise<RefusedReport[]> {
  await readFlowRuns(
    ledger,
    input.runs.map((report) => report.flow_run_id),
  );
  const taskRunIds = new Set<string>();
  for (const report of input.runs)
    for (const { task_run_id } of report.states) if (task_run_id) taskRunIds.add(task_run_id);
  await readTaskRuns(ledger, [...taskRunIds]);
  const children = await findNewChildren(ledger, input.runs);
  const refused = new Map<string, Refused>();
  for (const report of input.runs) {
    if (refused.has(report.flow_run_id)) continue;
    const refusal = await takeReport(ledger, report, input.agent_id, children);
    if (refusal) refused.set(report.flow_run_id, refusal);
  }
  return [...refused].map(([flow_run_id, { code, message }]) => ({ flow_run_id, code, message }));
}

async function takeReport(
  ledger: Ledger,
  report: RunReportInput,
  agentId: string,
  children: NewChildren,
): Promise<Refused | null> {
  const run = ledger.flowRuns.get(report.flow_run_id);
  if (!run) return { code: "FLOW_RUN_NOT_FOUND", message: `There is no flow run ${report.flow_run_id}.` };
  const lost = refuseHolder(run, report.fence, agentId);
  if (lost) return lost;
  // Lines stand apart from the order of states: they are kept even when a state is refused.
  for (const line of report.logs ?? []) if (hasKnownLevel(line)) ledger.logs.push(logLine(ledger, run.id, line));
  for (const entry of report.states) {
    // Again for each: the one before it may have given the run back.
    const lost = refuseHolder(run, report.fence, agentId);
    if (lost) return lost;
    const refused = entry.task_run_id
      ? takeTaskRunState(ledger, run, entry, entry.task_run_id, children)
      : await moveFlowRun(ledger, run, entry);
    if (refused) return whyRefused(refused, run, entry, ledger);
  }
  return null;
}

/** What happened to the run meanwhile is why a state is refused, whatever else may be the matter with it. */
function whyRefused(refused: Refused, run: FlowRunRow, entry: StateReportInput, ledger: Ledger): Refused {
  // Its agent is to end the run so.
  if (run.state === "Cancelling" || run.state === "Cancelled") return { ...refused, code: "RUN_CANCELLED" };
  // A pause that someone ended just before its time did: whoever takes the run up again finds what the task was resumed with.
  const taskRun = entry.task_run_id ? ledger.taskRuns.get(entry.task_run_id) : undefined;
  if (taskRun?.state === "Resume" && entry.version !== taskRun.version) {
    return { code: "RUN_STOPPED", message: `Task run ${taskRun.id} was resumed: the flow run goes on from there.` };
  }
  return refused;
}

/** An ended run has no lease; its last holder may still report what it has, and is then told state by state. */
function refuseHolder(run: FlowRunRow, fence: number, agentId: string): Refused | null {
  const ended = run.state !== null && isTerminal({ type: run.state as StateType });
  const holder = ended ? run.agent_id : run.lease_agent_id;
  if (run.fence === fence && holder === agentId) return null;
  const now = run.lease_agent_id === null ? "nobody holds it" : `agent ${run.lease_agent_id} holds it`;
  const message = `Agent ${agentId} has lost flow run ${run.id}: it reported under fence ${fence}, and the run is at fence ${run.fence}; ${now}.`;
  return { code: "RUN_LEASE_LOST", message };
}

function takeTaskRunState(
  ledger: Ledger,
  flowRun: FlowRunRow,
  entry: StateReportInput,
  taskRunId: string,
  children: NewChildren,
): Refused | null {
  const known = ledger.taskRuns.get(taskRunId);
  const run = known ?? children.add(flowRun, entry, taskRunId);
  if ("code" in run) return run;
  if (run.flow_run_id !== flowRun.id) {
    return {
      code: "STATE_REFUSED",
      message: `Task run ${taskRunId} belongs to flow run ${run.flow_run_id}, not to ${flowRun.id}.`,
    };
  }
  const refused = moveTaskRun(ledger, flowRun, run, entry);
  if (refused && !known) children.drop(run);
  if (!refused && entry.task_run_name) run.name = entry.task_run_name;
  return refused;
}

/** The runs that this agent is to stop, as this transaction leaves them. */
async function cancelling(ledger: Ledger, agentId: string): Promise<string[]> {
  const ids = await cancellingOf(ledger.transaction, ledger.tenantId, agentId);
  return ids.filter((id) => (ledger.flowRuns.get(id)?.state ?? "Cancelling") === "Cancelling");
}
