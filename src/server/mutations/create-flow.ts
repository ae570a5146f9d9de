import type { CreateFlowInput, CreateFlowPayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { deleteFlowRuns, waitingRunsOfFlow } from "../../db/queries/flow-runs.js";
import {
  archiveFlow,
  type FlowGroupRow,
  findFlowGroup,
  insertEdges,
  insertFlow,
  insertFlowGroup,
  insertTasks,
  newestFlowOfName,
  versionsOf,
  writeFlowGroupSettings,
} from "../../db/queries/flows.js";
import { findProject } from "../../db/queries/projects.js";
import type { RequestContext } from "../parts.js";
import { checkSchemas } from "../registration/parameter-checks.js";
import {
  engineOf,
  readSerializedFlow,
  type SerializedFlow,
  toEdgeRows,
  toTaskRows,
} from "../registration/serialized-flow.js";
import { moveFlowRun, orThrow } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";

/** What a new flow group's settings are, until someone changes them. */
const GROUP_SETTINGS = { heartbeat_enabled: true, lazarus_enabled: true, version_locking_enabled: false };

/** Registers a flow version with its tasks and edges, and archives the versions before it (protocol notes, section 2.5). */
export function createFlow(input: CreateFlowInput, { parts, caller }: RequestContext): Promise<CreateFlowPayload> {
  const flow = readSerializedFlow(input.serialized_flow);
  checkSchemas(flow.parameters);
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const { transaction, tenantId } = ledger;
    const project = await findProject(transaction, tenantId, input.project_id);
    if (!project) {
      throw new MillraceError("PROJECT_NOT_FOUND", `There is no project "${input.project_id}".`, {
        hint: "Create it first, with create_project or `millrace create project`.",
      });
    }
    const before =
      input.version_group_id ?? (await newestFlowOfName(transaction, project.id, flow.name))?.version_group_id;
    const { group, versions, same } = await openGroup(ledger, before ?? newId(), input.idempotency_key ?? null);
    if (same) return { id: same.id, version: same.version, flow_group_id: group.id, created: false };

    const version = (versions[0]?.version ?? 0) + 1;
    const flowId = newId();
    await insertVersion(ledger, {
      flow,
      flowId,
      version,
      projectId: project.id,
      group,
      active: input.set_schedule_active !== false,
    });
    for (const older of versions) if (older.archived === 0) await archive(ledger, older.id);
    return { id: flowId, version, flow_group_id: group.id, created: true };
  });
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
  const found = await findFlowGroup(transaction, tenantId, name);
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
  await writeFlowGroupSettings(transaction, found.id, JSON.stringify({ ...settings, idempotency_key: key }), now);
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
  const scheduled = flow.schedule !== null || group.schedule !== null;
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
    is_schedule_active: active && scheduled ? 1 : 0,
    serialized_flow: JSON.stringify(flow.raw),
    core_version: flow.coreVersion,
    settings: "{}",
  });
  const tasks = toTaskRows(flow, { flowId, tenantId, now });
  await insertTasks(transaction, tasks);
  await insertEdges(transaction, toEdgeRows(flow, tasks, { flowId, tenantId, now }));
}

/** Runs of an archived version that have not begun are not begun any more; those under way go on. */
async function archive(ledger: Ledger, flowId: string): Promise<void> {
  await archiveFlow(ledger.transaction, flowId, ledger.now);
  const waiting = await waitingRunsOfFlow(ledger.transaction, flowId);
  const asked = waiting.filter((run) => run.auto_scheduled === 0).map((run) => run.id);
  await deleteFlowRuns(
    ledger.transaction,
    waiting.filter((run) => run.auto_scheduled === 1).map((run) => run.id),
  );
  await readFlowRuns(ledger, asked);
  const state = { type: "Cancelled", message: `Flow ${flowId} was archived.` };
  for (const id of asked) {
    const run = ledger.flowRuns.get(id);
    if (run) orThrow(await moveFlowRun(ledger, run, { state, at: ledger.now }));
  }
}

function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}
