import type {
  ArchiveFlowInput,
  DeleteFlowInput,
  IdPayload,
  SetScheduleActiveInput,
  SetScheduleInactiveInput,
  SuccessPayload,
  UpdateFlowProjectInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import {
  deleteAutoRuns,
  deleteFlow as deleteFlowRow,
  type HeldFlow,
  holdFlow,
  holdFlowGroupOf,
  moveFlows,
  writeScheduleActive,
} from "../../db/queries/flow-groups.js";
import { holdProject } from "../../db/queries/projects.js";
import type { RequestContext } from "../parts.js";
import { archiveVersion } from "../registration/archive-flow.js";
import { checkCovered, checkSerializedSchedule, scheduleNow, scheduleOf } from "../registration/flow-schedule.js";
import { letGoOfRuns } from "../registration/held-runs.js";
import { type Ledger, withLedger } from "../states/ledger.js";
import { projectUnknown } from "./projects.js";

const DONE: SuccessPayload = { success: true, error: null };

/**
 * Prefect's client asks for it at the end of each registration, so a flow without a schedule is no error. One that is active
 * stays as it is.
 */
export async function setScheduleActive(
  { flow_id: flowId }: SetScheduleActiveInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const { tenantId } = caller;
  const changedMs = parts.clock.now();
  const payload = await withLedger(parts, { tenantId }, async (ledger) => {
    const group = await holdFlowGroupOf(ledger.transaction, ledger.tenantId, flowId);
    if (!group) throw flowUnknown(flowId);
    const flow = await flowOf(ledger, flowId);
    const schedule = scheduleOf(flow, group);
    if (schedule === null) return { success: false, error: `Neither flow ${flowId} nor its group has a schedule.` };
    if (flow.archived === 1) throw archived(flowId);
    checkSerializedSchedule(flow.name, schedule);
    checkCovered(flow, group);
    if (flow.is_schedule_active === 0) await writeScheduleActive(ledger.transaction, [flowId], true, ledger.now);
    return DONE;
  });
  if (payload.success) await scheduleNow(parts, { tenantId, changedMs }, [flowId]);
  return payload;
}

export function setScheduleInactive(
  { flow_id: flowId }: SetScheduleInactiveInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const flow = await flowOf(ledger, flowId);
    if (flow.is_schedule_active === 1) await writeScheduleActive(ledger.transaction, [flowId], false, ledger.now);
    await deleteAutoRuns(ledger.transaction, [flowId], "");
    return DONE;
  });
}

export function archiveFlow(
  { flow_id: flowId }: ArchiveFlowInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const flow = await flowOf(ledger, flowId);
    if (flow.archived === 0) await archiveVersion(ledger, flowId);
    return DONE;
  });
}

/** Agents that hold a run of it are told to stop it. */
export function deleteFlow(
  { flow_id: flowId }: DeleteFlowInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const flow = await holdFlow(ledger.transaction, ledger.tenantId, flowId);
    if (!flow) return { success: false, error: flowUnknown(flowId).message };
    await letGoOfRuns(ledger, [flowId]);
    await deleteFlowRow(ledger.transaction, flowId);
    return DONE;
  });
}

/** All versions go: or the next registration under the old project would archive the one that was moved. */
export function updateFlowProject(
  { flow_id: flowId, project_id: projectId }: UpdateFlowProjectInput,
  { parts, caller }: RequestContext,
): Promise<IdPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    // In the order in which a registration takes them.
    const project = await holdProject(ledger.transaction, ledger.tenantId, projectId);
    if (!project) throw projectUnknown(projectId);
    const flow = await flowOf(ledger, flowId);
    await moveFlows(ledger.transaction, flow.flow_group_id, project.id, ledger.now);
    return { id: flowId };
  });
}

async function flowOf(ledger: Ledger, flowId: string): Promise<HeldFlow> {
  const flow = await holdFlow(ledger.transaction, ledger.tenantId, flowId);
  if (!flow) throw flowUnknown(flowId);
  return flow;
}

export function flowUnknown(flowId: string): MillraceError {
  return new MillraceError("FLOW_NOT_FOUND", `Flow ${flowId} not found.`, {
    hint: "`millrace get flows` lists them.",
  });
}

function archived(flowId: string): MillraceError {
  return new MillraceError("FLOW_ARCHIVED", `Flow ${flowId} is archived.`, {
    hint: "A newer version was registered; make that one's schedule active.",
  });
}
