import type { SubflowPort } from "../../core/control/subflow.js";
import { MillraceError } from "../../core/errors.js";
import type { FlowDefinition } from "../../core/flow-definition.js";
import { newId } from "../../core/ids.js";
import type { State } from "../../core/state.js";
import type { EngineRun } from "../ports.js";

/** Runs a flow in this process, to its final state. Aborting `signal` cancels it. */
export type RunHere = (flow: FlowDefinition, run: EngineRun, signal: AbortSignal) => Promise<State>;

interface Child {
  readonly ended: Promise<State>;
  readonly stop: AbortController;
}

/** Subflows of a run that no Cloud knows of: flows that its code holds, run in the same process. */
export function localSubflows(runHere: RunHere): SubflowPort {
  const children = new Map<string, Child>();
  const byKey = new Map<string, string>();
  const childOf = (flowRunId: string): Child => {
    const child = children.get(flowRunId);
    if (child) return child;
    throw new MillraceError("FLOW_RUN_NOT_FOUND", `This run has made no flow run ${flowRunId}.`);
  };
  return {
    async create({ flowName, definition, parameters, runName, idempotencyKey }) {
      const known = byKey.get(idempotencyKey);
      if (known !== undefined) return known;
      if (!definition) {
        throw new MillraceError("FLOW_NOT_HERE", `Flow "${flowName}" was to be run by its name alone, with no Cloud.`, {
          hint: "Give runFlow() the flow itself, or deploy both flows and run this one under an agent.",
        });
      }
      const flowRunId = newId();
      const stop = new AbortController();
      const run: EngineRun = {
        flowRunId,
        flowRunName: runName ?? flowName,
        flowId: null,
        parameters: { ...parameters },
        scheduledStartAt: new Date().toISOString(),
        taskRuns: [],
      };
      const ended = runHere(definition, run, stop.signal);
      // Whoever asks for its end is told; nobody may ask.
      ended.catch(() => {});
      children.set(flowRunId, { ended, stop });
      byKey.set(idempotencyKey, flowRunId);
      return flowRunId;
    },
    end: (flowRunId, waitMs) => inTime(childOf(flowRunId).ended, waitMs),
    async cancel(flowRunId) {
      childOf(flowRunId).stop.abort(new MillraceError("RUN_CANCELLED", "The flow run was cancelled."));
    },
  };
}

function inTime<T>(promise: Promise<T>, waitMs: number): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, waitMs, null);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
