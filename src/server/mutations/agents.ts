import type {
  DeleteAgentInput,
  GetRunsInQueueInput,
  IdPayload,
  RegisterAgentInput,
  RunsInQueuePayload,
  SuccessPayload,
  WriteRunLogsInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { normalizeLabels } from "../../core/labels.js";
import { keepAgentConfig } from "../../db/queries/agent-configs.js";
import {
  type AgentRow,
  countHeldBy,
  deleteAgent,
  findSameAgent,
  holdAgent,
  insertAgent,
  touchAgents,
} from "../../db/queries/agents.js";
import { knownFlowRunIds } from "../../db/queries/flow-runs.js";
import { insertLogs } from "../../db/queries/logs.js";
import { hasKnownLevel, logLine } from "../log-line.js";
import { type RequestContext, toInstant } from "../parts.js";
import { readQueue } from "../states/queue.js";
import { notFound } from "./settings-input.js";

/** The queue answers as many at once, as Prefect's does. */
const QUEUE_LIMIT = 25;

export async function registerAgent(input: RegisterAgentInput, context: RequestContext): Promise<IdPayload> {
  const { parts, caller, coreVersion } = context;
  const now = toInstant(parts.clock.now());
  const agent: AgentRow = {
    id: newId(),
    created: now,
    updated: now,
    tenant_id: caller.tenantId,
    agent_config_id: input.agent_config_id ?? null,
    name: input.name ?? "agent",
    type: input.type,
    core_version: coreVersion,
    labels: JSON.stringify(normalizeLabels(input.labels ?? [])),
    last_queried: now,
  };
  return parts.database.write(async (transaction) => {
    await transaction.lock(`agent ${caller.tenantId} ${agent.name}`);
    const { agent_config_id: configId } = agent;
    if (configId !== null && !(await keepAgentConfig(transaction, caller.tenantId, configId))) {
      throw notFound(`register_agent: the agent config ${configId}`);
    }
    const same = await findSameAgent(transaction, agent);
    if (same) await touchAgents(transaction, [{ tenantId: caller.tenantId, agentId: same.id, at: now }]);
    else await insertAgent(transaction, agent);
    return { id: same?.id ?? agent.id };
  });
}

/** Runs that it had keep its id. One that is gone already is an answer to a request that came twice. */
export async function deleteAgentOfTenant(
  { agent_id }: DeleteAgentInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return parts.database.write(async (transaction) => {
    await holdAgent(transaction, caller.tenantId, agent_id);
    const held = await countHeldBy(transaction, caller.tenantId, agent_id);
    if (held > 0) {
      throw new MillraceError("INPUT_INVALID", `Agent ${agent_id} cannot be deleted: it holds ${held} flow runs.`, {
        hint: "Stop it first; when its leases have ended, its runs are for others.",
      });
    }
    const found = await deleteAgent(transaction, caller.tenantId, agent_id);
    return found > 0 ? { success: true, error: null } : { success: false, error: `Agent ${agent_id} not found.` };
  });
}

/**
 * Prefect's queue: it shows what is due and gives nothing away. Prefect's agents, which say their version, are shown the
 * flows that they can load, and not ours; whoever else asks is shown both.
 */
export async function getRunsInQueue(input: GetRunsInQueueInput, context: RequestContext): Promise<RunsInQueuePayload> {
  const { parts, caller, agentId, coreVersion } = context;
  const now = toInstant(parts.clock.now());
  if (agentId !== null) parts.presence.agentSeen(caller.tenantId, agentId, now);
  const { ids } = await readQueue(parts.database, {
    tenantId: caller.tenantId,
    engine: coreVersion === null ? null : "prefect",
    labels: normalizeLabels(input.labels ?? []),
    flowGroupId: null,
    before: input.before ?? now,
    limit: QUEUE_LIMIT,
  });
  return { flow_run_ids: ids };
}

/** Lines that cannot be kept, for an unknown run or level, are left out without a word, as the protocol has it. */
export async function writeRunLogs(
  input: WriteRunLogsInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const now = toInstant(parts.clock.now());
  await parts.database.write(async (transaction) => {
    const named = new Set(input.logs.flatMap((line) => line.flow_run_id ?? []));
    const known = await knownFlowRunIds(transaction, caller.tenantId, [...named]);
    const rows = input.logs.flatMap((line) => {
      const flowRunId = line.flow_run_id;
      const kept = flowRunId && known.has(flowRunId) && hasKnownLevel(line);
      return kept ? [logLine({ now, tenantId: caller.tenantId }, flowRunId, line)] : [];
    });
    await insertLogs(transaction, rows);
  });
  return { success: true, error: null };
}
