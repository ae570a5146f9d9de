import type {
  DeleteFlowGroupInput,
  DeleteFlowGroupScheduleInput,
  SetFlowGroupDefaultParametersInput,
  SetFlowGroupDescriptionInput,
  SetFlowGroupLabelsInput,
  SetFlowGroupRunConfigInput,
  SetFlowGroupScheduleInput,
  SuccessPayload,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { normalizeLabels } from "../../core/labels.js";
import {
  deleteFlowGroup as deleteFlowGroupRow,
  type FlowGroupChange,
  flowsOfGroup,
  holdFlowGroup,
  holdFlowGroupOf,
  writeFlowGroup,
} from "../../db/queries/flow-groups.js";
import type { FlowGroupRow } from "../../db/queries/flows.js";
import type { RequestContext } from "../parts.js";
import { checkSerializedSchedule, remakeRuns, scheduleNow } from "../registration/flow-schedule.js";
import { groupSchedule } from "../registration/group-schedule.js";
import { letGoOfRuns } from "../registration/held-runs.js";
import { type Ledger, withLedger } from "../states/ledger.js";
import { flowUnknown } from "./flows.js";

const DONE: SuccessPayload = { success: true, error: null };

export function setFlowGroupDescription(
  { flow_group_id: groupId, description }: SetFlowGroupDescriptionInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  return change(context, groupId, () => ({ description: description ?? null }));
}

export function setFlowGroupLabels(
  { flow_group_id: groupId, labels }: SetFlowGroupLabelsInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  const text = labels ? JSON.stringify(normalizeLabels(labels)) : null;
  return change(context, groupId, () => ({ labels: text }), "runs");
}

export function setFlowGroupRunConfig(
  { flow_group_id: groupId, run_config: config }: SetFlowGroupRunConfigInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  checkRunConfig(config ?? null);
  const text = config ? JSON.stringify(config) : null;
  return change(context, groupId, () => ({ run_config: text }), "runs");
}

export function setFlowGroupDefaultParameters(
  { flow_group_id: groupId, parameters }: SetFlowGroupDefaultParametersInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  if (!isObject(parameters)) throw invalid("set_flow_group_default_parameters", "parameters", "an object", parameters);
  const text = JSON.stringify(parameters);
  return change(context, groupId, () => ({ default_parameters: text }), "runs");
}

export function setFlowGroupSchedule(
  input: SetFlowGroupScheduleInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  const schedule = groupSchedule(input, context.parts.clock.now());
  checkSerializedSchedule(`group ${input.flow_group_id}`, schedule);
  const text = JSON.stringify(schedule);
  return change(context, input.flow_group_id, () => ({ schedule: text }), "schedule");
}

export function deleteFlowGroupSchedule(
  { flow_group_id: groupId }: DeleteFlowGroupScheduleInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  return change(context, groupId, () => ({ schedule: null }), "schedule");
}

/** With everything in it; agents that hold runs of its flows are told to stop them. */
export function deleteFlowGroup(
  { flow_group_id: groupId }: DeleteFlowGroupInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const group = await holdFlowGroup(ledger.transaction, ledger.tenantId, groupId);
    if (!group) return { success: false, error: groupUnknown(groupId).message };
    await letGoOfRuns(ledger, await flowsOfGroup(ledger.transaction, groupId));
    await deleteFlowGroupRow(ledger.transaction, groupId);
    return DONE;
  });
}

type Switch = (input: { flow_id: string }, context: RequestContext) => Promise<SuccessPayload>;

/** A mutation that sets some of the settings of a flow's group. */
function settingOf(settings: Readonly<Record<string, boolean>>): Switch {
  return ({ flow_id: flowId }, { parts, caller }) =>
    withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
      const group = await holdFlowGroupOf(ledger.transaction, ledger.tenantId, flowId);
      if (!group) throw flowUnknown(flowId);
      const text = JSON.stringify({ ...(JSON.parse(group.settings) as object), ...settings });
      await writeFlowGroup(ledger.transaction, group.id, { settings: text }, ledger.now);
      return DONE;
    });
}

// Clients of before Prefect 0.13 look for `disable_heartbeat`.
export const enableFlowHeartbeat = settingOf({ heartbeat_enabled: true, disable_heartbeat: false });
export const disableFlowHeartbeat = settingOf({ heartbeat_enabled: false, disable_heartbeat: true });
export const enableFlowLazarusProcess = settingOf({ lazarus_enabled: true });
export const disableFlowLazarusProcess = settingOf({ lazarus_enabled: false });
export const enableFlowVersionLock = settingOf({ version_locking_enabled: true });
export const disableFlowVersionLock = settingOf({ version_locking_enabled: false });

/** @param remake What of the scheduled runs is made anew; see `remakeRuns`. */
async function change(
  { parts, caller }: RequestContext,
  groupId: string,
  to: (group: FlowGroupRow) => FlowGroupChange,
  remake?: "schedule" | "runs",
): Promise<SuccessPayload> {
  const { tenantId } = caller;
  const changedMs = parts.clock.now();
  const flows = await withLedger(parts, { tenantId }, async (ledger) => {
    const group = await groupOf(ledger, groupId);
    const changes = to(group);
    await writeFlowGroup(ledger.transaction, groupId, changes, ledger.now);
    return remake ? remakeRuns(ledger, { ...group, ...changes }, remake) : [];
  });
  await scheduleNow(parts, { tenantId, changedMs }, flows);
  return DONE;
}

async function groupOf(ledger: Ledger, groupId: string): Promise<FlowGroupRow> {
  const group = await holdFlowGroup(ledger.transaction, ledger.tenantId, groupId);
  if (!group) throw groupUnknown(groupId);
  return group;
}

function groupUnknown(groupId: string): MillraceError {
  return new MillraceError("FLOW_GROUP_NOT_FOUND", `There is no flow group "${groupId}".`, {
    hint: "`{ flow { name flow_group_id } }` lists them.",
  });
}

/** What agents read of it, so that no run of the group stumbles over it. */
function checkRunConfig(config: unknown): void {
  const name = "set_flow_group_run_config";
  if (config === null) return;
  if (!isObject(config)) throw invalid(name, "run_config", "an object", config);
  const { type, labels, env } = config;
  if (typeof type !== "string" || type === "") throw invalid(name, "run_config.type", "the name of a run config", type);
  const areLabels = Array.isArray(labels) && labels.every((label) => typeof label === "string");
  if ((labels ?? null) !== null && !areLabels) throw invalid(name, "run_config.labels", "a list of words", labels);
  if ((env ?? null) !== null && !isObject(env)) throw invalid(name, "run_config.env", "an object", env);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function invalid(mutation: string, field: string, wanted: string, found: unknown): MillraceError {
  const text = JSON.stringify(found)?.slice(0, 80) ?? String(found);
  return new MillraceError("INPUT_INVALID", `${mutation}: \`${field}\` must be ${wanted}, and is ${text}.`);
}
