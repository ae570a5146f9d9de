import type { ResumeTaskRunInput, StatePayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isTerminal, type StateType } from "../../core/state.js";
import type { RequestContext } from "../parts.js";
import { moveTaskRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readTaskRunsAndFlowRuns, withLedger } from "../states/ledger.js";
import { noteTaskRunDue } from "../states/queue.js";

/**
 * Of what a task run is resumed with, which travels in its states: half of what a worker thread may put into one of them
 * (limits.ts of src/threads), so that there is room for the rest.
 */
const MAX_INPUT = { chars: 250_000, values: 10_000, depth: 16 };

/**
 * Lets a Paused task run go on, with what whoever resumes it has to say. Of two that resume it one is told that it was too
 * late. The task itself checks the input: one that it cannot use pauses it again, with the reason.
 */
export function resumeTaskRun(input: ResumeTaskRunInput, { parts, caller }: RequestContext): Promise<StatePayload> {
  checkInput(input.input);
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

/** @throws INPUT_INVALID */
function checkInput(input: unknown): void {
  const { chars, values, depth } = MAX_INPUT;
  let found = 0;
  const isTooMuch = (value: unknown, left: number): boolean => {
    found += 1;
    if (found > values) return true;
    if (typeof value !== "object" || value === null) return false;
    return left === 0 || Object.values(value).some((each) => isTooMuch(each, left - 1));
  };
  if (!isTooMuch(input, depth) && (JSON.stringify(input) ?? "").length <= chars) return;
  throw new MillraceError("INPUT_INVALID", "What the task is resumed with is larger than an input may be.", {
    hint: `At most ${chars} characters as JSON, ${values} values, and lists and objects ${depth} deep. Keep more in a file or a bucket, and say where.`,
  });
}

async function readBoth(ledger: Ledger, taskRunId: string) {
  await readTaskRunsAndFlowRuns(ledger, [taskRunId]);
  const run = ledger.taskRuns.get(taskRunId);
  if (!run) throw new MillraceError("INPUT_INVALID", `There is no task run ${taskRunId}.`);
  return { run, flowRun: ledger.flowRuns.get(run.flow_run_id)! };
}
