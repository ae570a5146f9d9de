import type { CreateFlowFromCompressedStringInput, CreateFlowInput, CreateFlowPayload } from "../../client/wire.js";
import { newId } from "../../core/ids.js";
import { holdFlowGroupOfName, writeFlowGroup } from "../../db/queries/flow-groups.js";
import {
  type FlowGroupRow,
  insertEdges,
  insertFlow,
  insertFlowGroup,
  insertTasks,
  newestFlowOfName,
  versionsOf,
} from "../../db/queries/flows.js";
import { holdProject } from "../../db/queries/projects.js";
import type { RequestContext } from "../parts.js";
import { archiveVersion } from "../registration/archive-flow.js";
import { decompressFlow } from "../registration/compressed-flow.js";
import { toEdgeRows, toTaskRows } from "../registration/flow-rows.js";
import {
  checkSerializedSchedule,
  scheduleNow,
  scheduleOf,
  uncoveredParameters,
} from "../registration/flow-schedule.js";
import { checkSchemas } from "../registration/parameter-checks.js";
import { engineOf, readSerializedFlow, type SerializedFlow } from "../registration/serialized-flow.js";
import { type Ledger, withLedger } from "../states/ledger.js";
import { projectUnknown } from "./projects.js";

/** What a new flow group's settings are, until someone changes them. */
const GROUP_SETTINGS = { heartbeat_enabled: true, lazarus_enabled: true, version_locking_enabled: false };

/** Registers a flow version with its tasks and edges, and archives the versions before it (protocol notes, section 2.5). */
export async function createFlow(input: CreateFlowInput, context: RequestContext): Promise<CreateFlowPayload> {
  const { parts, caller } = context;
  const flow = readSerializedFlow(input.serialized_flow);
  checkSchemas(flow.parameters);
  checkSerializedSchedule(flow.name, flow.schedule);
  const { tenantId } = caller;
  const changedMs = parts.clock.now();
  const { payload, isScheduled, uncovered } = await withLedger(parts, { tenantId }, (ledger) =>
    register(ledger, flow, input),
  );
  if (isScheduled) await scheduleNow(parts, { tenantId, changedMs }, [payload.id]);
  if (uncovered.length > 0) {
    // As Prefect's server does: the flow is registered all the same.
    const message = `The schedule of flow "${flow.name}" was not made active: not every clock has a value for ${uncovered.join(", ")}.`;
    parts.log({ level: "error", message });
  }
  return payload;
}

/** As `create_flow`, of a flow as Prefect's client packs it. */
export async function createFlowFromCompressedString(
  input: CreateFlowFromCompressedStringInput,
  context: RequestContext,
): Promise<CreateFlowPayload> {
  return createFlow({ ...input, serialized_flow: await decompressFlow(input.serialized_flow) }, context);
}

interface Registered {
  payload: CreateFlowPayload;
  isScheduled: boolean;
  /** Required parameters that keep the schedule from being made active. */
  uncovered: readonly string[];
}

async function register(ledger: Ledger, flow: SerializedFlow, input: CreateFlowInput): Promise<Registered> {
  const { transaction, tenantId } = ledger;
  const project = await holdProject(transaction, tenantId, input.project_id);
  if (!project) throw projectUnknown(input.project_id);
  const groupName = input.version_group_id || (await groupNameOf(ledger, project.id, flow.name));
  const { group, versions, same } = await openGroup(ledger, groupName, input.idempotency_key ?? null);
  if (same) {
    const payload = { id: same.id, version: same.version, flow_group_id: group.id, created: false };
    return { payload, isScheduled: false, uncovered: [] };
  }
  const version = (versions[0]?.version ?? 0) + 1;
  const flowId = newId();
  const schedule = input.set_schedule_active === false ? null : scheduleFor(flow, group);
  const uncovered = schedule === null ? [] : uncoveredParameters(schedule);
  const isScheduled = schedule !== null && uncovered.length === 0;
  const described = { ...flow, description: input.description ?? flow.description };
  await insertVersion(ledger, {
    flow: described,
    flowId,
    version,
    projectId: project.id,
    group,
    active: isScheduled,
  });
  for (const older of versions) if (older.archived === 0) await archiveVersion(ledger, older.id);
  return { payload: { id: flowId, version, flow_group_id: group.id, created: true }, isScheduled, uncovered };
}

/** Two that register the first version of one flow at once must not make two groups. */
async function groupNameOf({ transaction }: Ledger, projectId: string, flowName: string): Promise<string> {
  await transaction.lock(`flow ${projectId} ${flowName}`);
  return (await newestFlowOfName(transaction, projectId, flowName))?.version_group_id ?? newId();
}

/** What the new version is to be run on: its group's schedule, or else its own. */
function scheduleFor(flow: SerializedFlow, group: FlowGroupRow) {
  const schedule = scheduleOf({ schedule: jsonOrNull(flow.schedule) }, group);
  if (schedule === null) return null;
  const groupDefaults = JSON.parse(group.default_parameters) as Record<string, unknown>;
  return { parameters: flow.parameters, groupDefaults, schedule };
}

interface OpenGroup {
  group: FlowGroupRow;
  /** Newest first. */
  versions: { id: string; version: number; archived: number }[];
  /** The version that this very key registered. */
  same: { id: string; version: number } | undefined;
}

async function openGroup(ledger: Ledger, name: string, key: string | null): Promise<OpenGroup> {
  const { transaction, tenantId, now } = ledger;
  await transaction.lock(`flow group ${tenantId} ${name}`);
  const found = await holdFlowGroupOfName(transaction, tenantId, name);
  if (!found) {
    const group: FlowGroupRow = {
      id: newId(),
      created: now,
      updated: now,
      tenant_id: tenantId,
      name,
      description: null,
      labels: null,
      schedule: null,
      settings: JSON.stringify({ ...GROUP_SETTINGS, idempotency_key: key }),
      default_parameters: "{}",
      run_config: null,
    };
    await insertFlowGroup(transaction, group);
    return { group, versions: [], same: undefined };
  }
  const versions = await versionsOf(transaction, found.id);
  const settings = JSON.parse(found.settings) as Record<string, unknown>;
  const current = versions.find((each) => each.archived === 0);
  if (key && settings.idempotency_key === key && current) return { group: found, versions, same: current };
  const changed = JSON.stringify({ ...settings, idempotency_key: key });
  await writeFlowGroup(transaction, found.id, { settings: changed }, now);
  return { group: found, versions, same: undefined };
}

interface NewVersion {
  flow: SerializedFlow;
  flowId: string;
  version: number;
  projectId: string;
  group: FlowGroupRow;
  active: boolean;
}

async function insertVersion(
  ledger: Ledger,
  { flow, flowId, version, projectId, group, active }: NewVersion,
): Promise<void> {
  const { transaction, tenantId, now } = ledger;
  await insertFlow(transaction, {
    id: flowId,
    created: now,
    updated: now,
    tenant_id: tenantId,
    project_id: projectId,
    flow_group_id: group.id,
    version_group_id: group.name,
    engine: engineOf(flow.raw),
    name: flow.name,
    version,
    archived: 0,
    description: flow.description,
    environment: jsonOrNull(flow.environment),
    run_config: jsonOrNull(flow.runConfig),
    parameters: JSON.stringify(flow.parameters),
    storage: jsonOrNull(flow.storage),
    schedule: jsonOrNull(flow.schedule),
    is_schedule_active: active ? 1 : 0,
    serialized_flow: JSON.stringify(flow.raw),
    core_version: flow.coreVersion,
    settings: "{}",
  });
  const tasks = toTaskRows(flow, { flowId, tenantId, now });
  await insertTasks(transaction, tasks);
  const taskIds = new Map(tasks.map((task) => [task.slug, task.id]));
  await insertEdges(transaction, toEdgeRows(flow.edges, taskIds, { flowId, tenantId, now }));
}

function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}
