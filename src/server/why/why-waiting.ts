import type { WhyPayload, WhyReason, WhyWaitingInput } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { isScheduled, isTerminal, type StateType } from "../../core/state.js";
import { type WhyFlowRunRow, whyFlowRun } from "../../db/queries/why.js";
import type { RequestContext, ServerParts } from "../parts.js";
import { concerns } from "../services/heartbeats.js";
import { command, reason } from "./reason.js";
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
  const first = state === "Cancelling" ? cancellingReason(parts, run) : startingReason(parts, run);
  return [first, ...(await holderReasons(parts, tenantId, run))];
}

const isPython = (run: WhyFlowRunRow): boolean => run.engine === "prefect" && run.lease_agent_id === null;

function cancellingReason({ clock, silentAfterMs }: ServerParts, run: WhyFlowRunRow): WhyReason {
  const since = `It is being cancelled since ${run.state_timestamp}`;
  if (!isPython(run)) {
    return reason("CANCELLING", `${since}: its agent stops it within seconds, or loses it with its lease.`);
  }
  const what = `${since}: its process asks every 15 s whether it is to stop`;
  if (concerns(run.settings, "zombies"))
    return reason("CANCELLING", `${what}; one that is dead is noticed by its heartbeat.`);
  // A second cancel ends it from then on.
  const isOver = clock.now() - Date.parse(run.state_timestamp ?? "") >= silentAfterMs;
  const minutes = Math.ceil(silentAfterMs / 60_000);
  return reason(
    "CANCELLING",
    `${what}; heartbeats are off for its flow group, so nothing tells whether it is dead: cancelled again after ${minutes} min, it ends.`,
    isOver ? { fix: command("cancel", run.id) } : {},
  );
}

function startingReason({ clock, silentAfterMs }: ServerParts, run: WhyFlowRunRow): WhyReason {
  const since = `It is ${run.state} since ${run.state_timestamp}`;
  const isSlow = clock.now() - Date.parse(run.heartbeat ?? run.state_timestamp ?? "") >= silentAfterMs;
  if (!isPython(run) || !isSlow || concerns(run.settings, "lazarus")) {
    return reason("STARTING", `${since}: its agent is about to begin it.`);
  }
  const message = `${since}, and its process has not begun. It is left alone however long that takes, since Lazarus or heartbeats are off for its flow group.`;
  return reason("STARTING", message, { fix: command("cancel", run.id) });
}
