import type { WhyPayload, WhyReason, WhyWaitingInput } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isScheduled, isTerminal, type StateType } from "../../core/state.js";
import { type WhyFlowRunRow, whyFlowRun } from "../../db/queries/why.js";
import type { RequestContext, ServerParts } from "../parts.js";
import { reason } from "./reason.js";
import { holderReasons, runningReasons } from "./running-reasons.js";
import { scheduledReasons } from "./scheduled-reasons.js";

/** Why a flow run does not go on. @throws FLOW_RUN_NOT_FOUND */
export async function whyWaiting(input: WhyWaitingInput, { parts, caller }: RequestContext): Promise<WhyPayload> {
  const run = await whyFlowRun(parts.database, caller.tenantId, input.flow_run_id);
  if (!run) throw new MillraceError("FLOW_RUN_NOT_FOUND", `There is no flow run ${input.flow_run_id}.`);
  return { name: run.name, state: run.state, reasons: await reasonsOf(parts, caller.tenantId, run) };
}

async function reasonsOf(parts: ServerParts, tenantId: string, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const state = run.state as StateType | null;
  if (state === null) return [reason("NOT_DUE", "It has no state yet.")];
  if (isTerminal({ type: state })) {
    const said = run.state_message ? `: ${run.state_message}` : "";
    return [reason("ENDED", `It ended in ${state} at ${run.state_timestamp}${said}`, { details: { state } })];
  }
  if (isScheduled({ type: state })) return scheduledReasons(parts, tenantId, run);
  if (state === "Running") return runningReasons(parts, tenantId, run);
  const [code, what] =
    state === "Cancelling"
      ? ([
          "CANCELLING",
          `It is being cancelled since ${run.state_timestamp}: its agent stops it within seconds, or loses it with its lease.`,
        ] as const)
      : (["STARTING", `It is ${state} since ${run.state_timestamp}: its agent is about to begin it.`] as const);
  return [reason(code, what), ...(await holderReasons(parts, tenantId, run))];
}
