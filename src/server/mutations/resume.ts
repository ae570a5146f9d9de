import type { ResumeTaskRunInput, StatePayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isTerminal, type StateType } from "../../core/state.js";
import { moveTaskRun, orThrow } from "../apply-state.js";
import { type Ledger, readFlowRuns, readTaskRuns, withLedger } from "../ledger.js";
import type { RequestContext } from "../parts.js";
import { noteTaskRunDue } from "../queue.js";

/**
 * Lets a Paused task run go on, with what whoever resumes it has to say. Of two that resume it one is told that it was too
 * late. The task itself checks the input: one that it cannot use pauses it again, with the reason.
 */
export function resumeTaskRun(input: ResumeTaskRunInput, { parts, caller }: RequestContext): Promise<StatePayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const { run, flowRun } = await readBoth(ledger, input.task_run_id);
    if (run.state !== "Paused") {
      throw new MillraceError(
        "STATE_REFUSED",
        `Task run ${run.id} cannot be resumed: it is ${run.state ?? "not begun"}, not Paused.`,
        { hint: "`millrace get task-runs <flow run> --state paused` lists what waits for someone." },
      );
    }
    if (flowRun.state !== null && isTerminal({ type: flowRun.state as StateType })) {
      throw new MillraceError(
        "STATE_REFUSED",
        `Task run ${run.id} cannot be resumed: its flow run has ended in ${flowRun.state}.`,
      );
    }
    const before = JSON.parse(run.serialized_state ?? "{}") as { context?: Record<string, unknown> };
    const state = {
      type: "Resume",
      message: "Resumed by hand.",
      start_time: ledger.now,
      // What the pause has to remember stays: the count of tries, the place in a loop.
      context: { ...before.context, ...(input.input === undefined ? {} : { input: input.input }) },
    };
    orThrow(moveTaskRun(ledger, flowRun, run, { state, at: ledger.now }));
    await noteTaskRunDue(ledger, flowRun, run);
    return { state: "Resume" };
  });
}

async function readBoth(ledger: Ledger, taskRunId: string) {
  await readTaskRuns(ledger, [taskRunId]);
  const run = ledger.taskRuns.get(taskRunId);
  if (!run) throw new MillraceError("INPUT_INVALID", `There is no task run ${taskRunId}.`);
  await readFlowRuns(ledger, [run.flow_run_id]);
  return { run, flowRun: ledger.flowRuns.get(run.flow_run_id)! };
}
