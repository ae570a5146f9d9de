import { fromFailure, toFailure } from "../codec/failure.js";
import { fromWireState } from "../codec/state-json.js";
import { MillraceError } from "../core/errors.js";
import { runFlowToState } from "../engine/flow-runner.js";
import { systemClock } from "../engine/local/local-ports.js";
import type { EngineRun } from "../engine/ports.js";
import { resultStore } from "../storage/results.js";
import type { RunHost, RunReply, RunRequest } from "../threads/messages.js";
import { checkTaskIds } from "./check-task-ids.js";
import { hostCaches, hostSecrets, hostSlots, hostSubflows } from "./host-answers.js";
import { type LoadedFlow, loadedCode, loadSavedFlow } from "./load-saved-flow.js";
import { openExecutor } from "./open-executor.js";
import { StateStream } from "./state-stream.js";

/**
 * A run that has nothing to do for longer goes back to the Cloud, and its thread to other runs: to come back costs some
 * 10 ms and the results of finished tasks, which are read anew.
 */
export const HAND_BACK_AFTER_MS = 10_000;

/**
 * One flow run from its saved flow to its last state: load, compare the three lists of tasks, run, report. The same in a
 * worker thread and inline. Never throws.
 * @param onLoaded Called when the flow's module stands, before anything of the run happens.
 */
export async function executeFlowRun(
  request: RunRequest,
  host: RunHost,
  onLoaded: () => void = () => {},
): Promise<RunReply> {
  try {
    const loaded = await loadSavedFlow(request.savedFlowFile, request.savedFlowHash);
    onLoaded();
    return refuseOtherTasks(request, loaded) ?? (await runToItsEnd(request, loaded, host));
  } catch (error) {
    return { outcome: "not started", failure: toFailure(error), lists: null };
  }
}

function refuseOtherTasks(request: RunRequest, { manifest, spec, specHash }: LoadedFlow): RunReply | undefined {
  const mismatch = checkTaskIds({ registeredSpecHash: request.specHash, manifest, builtSpecHash: specHash });
  if (!mismatch) return undefined;
  const side = mismatch.built
    ? "its code builds other tasks than were saved"
    : "the Cloud has other tasks than were saved";
  const failure = toFailure(
    new MillraceError("TASK_IDS_CHANGED", `Flow "${request.flowName}" is not what was deployed: ${side}.`),
  );
  return {
    outcome: "not started",
    failure,
    lists: { manifest: { spec: manifest.spec, specHash: manifest.specHash }, built: { spec, specHash } },
  };
}

async function runToItsEnd(request: RunRequest, { flow }: LoadedFlow, host: RunHost): Promise<RunReply> {
  const stop = new AbortController();
  void host.stopped().then((failure) => stop.abort(fromFailure(failure)));
  const stream = new StateStream(host, (error) => stop.abort(error));
  const run = toEngineRun(request);
  const executor = await openExecutor(flow, undefined, async () => loadedCode(flow)!);
  try {
    const end = await runFlowToState(flow, run, {
      reporter: stream,
      results: resultStore(),
      clock: systemClock,
      executor,
      caches: hostCaches(host),
      secrets: hostSecrets(host),
      subflows: hostSubflows(host),
      slots: hostSlots(host),
      maxWaitMs: HAND_BACK_AFTER_MS,
      signal: stop.signal,
    });
    await stream.flushed();
    if (stream.broken) return { outcome: "broken off", failure: toFailure(stream.broken) };
    if (end.kind === "waiting") return { outcome: "waiting", dueAt: end.dueAt };
    return { outcome: "done", state: end.state.type };
  } catch (error) {
    await stream.flushed();
    return { outcome: "broken off", failure: toFailure(stream.broken ?? error) };
  } finally {
    await executor.close();
  }
}

function toEngineRun(request: RunRequest): EngineRun {
  const { flowRunId, flowRunName, flowId, projectName, parameters, scheduledStartAt, date } = request;
  const taskRuns = request.taskRuns.map(({ state, ...ids }) => ({
    ...ids,
    state: state === null ? null : fromWireState(state, scheduledStartAt),
  }));
  return { flowRunId, flowRunName, flowId, projectName, parameters, scheduledStartAt, date, taskRuns };
}
