import type {
  CreateAgentConfigInput,
  DeleteAgentConfigInput,
  IdPayload,
  SuccessPayload,
  UpdateAgentConfigInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { deleteAgentConfigRow, insertAgentConfig, updateAgentConfigRow } from "../../db/queries/agent-configs.js";
import { type RequestContext, toInstant } from "../parts.js";
import { checkName, checkTenant, deleted, jsonText, notFound } from "./settings-input.js";

/** A job template fits in, several times. */
const MAX_SETTINGS_BYTES = 100_000;

export async function createAgentConfig(
  input: CreateAgentConfigInput,
  { parts, caller }: RequestContext,
): Promise<IdPayload> {
  checkTenant("create_agent_config", input.tenant_id, caller);
  const name = input.name ?? null;
  if (name !== null) checkName("create_agent_config", "name", name);
  const settings = toSettings("create_agent_config", input.settings ?? {});
  const now = toInstant(parts.clock.now());
  const row = { id: newId(), created: now, updated: now, tenant_id: caller.tenantId, name, settings };
  await parts.database.write((transaction) => insertAgentConfig(transaction, row));
  return { id: row.id };
}

export async function updateAgentConfig(
  input: UpdateAgentConfigInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const { agent_config_id: id, name, settings } = input;
  if (name !== null && name !== undefined) checkName("update_agent_config", "name", name);
  const change = {
    tenant_id: caller.tenantId,
    id,
    updated: toInstant(parts.clock.now()),
    ...(name === undefined || name === null ? {} : { name }),
    ...(settings === undefined || settings === null ? {} : { settings: toSettings("update_agent_config", settings) }),
  };
  if (!(await parts.database.write((transaction) => updateAgentConfigRow(transaction, change)))) {
    throw notFound(`Agent config ${id}`);
  }
  return { success: true, error: null };
}

export async function deleteAgentConfig(
  input: DeleteAgentConfigInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const id = input.agent_config_id ?? input.agent_id;
  if (!id) throw new MillraceError("INPUT_INVALID", "delete_agent_config: `agent_config_id` is missing.");
  return deleted(
    await parts.database.write((transaction) => deleteAgentConfigRow(transaction, caller.tenantId, id)),
    `Agent config ${id}`,
  );
}

function toSettings(mutation: string, settings: unknown): string {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw new MillraceError("INPUT_INVALID", `${mutation}: \`settings\` must be a JSON object.`);
  }
  return jsonText(mutation, "`settings`", settings, MAX_SETTINGS_BYTES);
}
