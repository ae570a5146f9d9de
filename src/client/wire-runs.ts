import type { WireState } from "../codec/state-json.js";
import type { LogLine } from "../core/context.js";
import type * as ours from "./cloud.js";
import { toRunConfigOrNull } from "./serialize-run-config.js";
import type * as wire from "./wire.js";

/* Claims and reports between our names and the wire's. */

export function toWireClaim(claim: ours.Claim): wire.ClaimRunsInput {
  return {
    agent_id: claim.agentId,
    labels: [...claim.labels],
    ...(claim.flowGroupId === undefined ? {} : { flow_group_id: claim.flowGroupId }),
    ...(claim.flowRunId === undefined ? {} : { flow_run_id: claim.flowRunId }),
    limit: claim.limit,
    lease_ms: claim.leaseMs,
    ...(claim.claimId === undefined ? {} : { claim_id: claim.claimId }),
  };
}

export function toWireLease(lease: ours.Lease): wire.LeaseInput {
  return { flow_run_id: lease.flowRunId, fence: lease.fence };
}

export function toClaimAnswer(answer: wire.ClaimRunsPayload): ours.ClaimAnswer {
  return { runs: answer.runs.map(toClaimedRun), nextDueAt: answer.next_due_at };
}

function toClaimedRun(run: wire.ClaimedRun): ours.ClaimedRun {
  return {
    flowRunId: run.flow_run_id,
    fence: run.fence,
    leaseExpiresAt: run.lease_expires_at,
    flowId: run.flow_id,
    name: run.name,
    parameters: run.parameters as Record<string, unknown>,
    context: run.context as Record<string, unknown> | null,
    runConfig: toRunConfigOrNull(run.run_config),
    scheduledStartAt: run.scheduled_start_time,
    timesResurrected: run.times_resurrected,
    taskRuns: run.task_runs.map((each) => ({
      taskRunId: each.id,
      taskSlug: each.task_slug,
      mapIndex: each.map_index,
      version: each.version,
      state: each.serialized_state as WireState | null,
    })),
  };
}

export function toWireReport(batch: ours.ReportBatch): wire.ReportStatesInput {
  return {
    agent_id: batch.agentId,
    stream_id: batch.streamId,
    batch: batch.batch,
    runs: batch.runs.map((run) => ({
      flow_run_id: run.flowRunId,
      fence: run.fence,
      states: run.states.map(toWireStateReport),
      ...(run.logs.length === 0 ? {} : { logs: run.logs.map(toWireLogLine) }),
    })),
  };
}

function toWireStateReport({ taskRun, at, state }: ours.StateReport): wire.StateReportInput {
  if (!taskRun) return { at, state };
  const { taskRunId, taskSlug, mapIndex, version, name } = taskRun;
  const run = { task_run_id: taskRunId, task_slug: taskSlug, map_index: mapIndex, version, at, state };
  return name === undefined ? run : { ...run, task_run_name: name };
}

function toWireLogLine(line: LogLine): wire.LogInput {
  return {
    task_run_id: line.taskRunId,
    timestamp: line.at,
    name: line.name,
    level: line.level,
    message: line.message,
  };
}

export function toReportAnswer(
  answer: wire.ReportStatesPayload,
  claimed: wire.ClaimRunsPayload | undefined,
): ours.ReportAnswer {
  return {
    refused: answer.refused.map((each) => ({ flowRunId: each.flow_run_id, code: each.code, message: each.message })),
    cancelling: answer.cancelling,
    queued: answer.queued,
    granted: answer.granted,
    claimed: claimed && toClaimAnswer(claimed),
  };
}
