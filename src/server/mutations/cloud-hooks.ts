import type {
  CreateCloudHookInput,
  CreateCloudHookPayload,
  DeleteCloudHookInput,
  SetCloudHookActiveInput,
  SetCloudHookInactiveInput,
  SuccessPayload,
  TestCloudHookInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { type StateType, stateTypes } from "../../core/state.js";
import {
  countHooks,
  deleteHookRow,
  findCloudHook,
  insertCloudHook,
  newestHookEventRow,
  setHookActive,
} from "../../db/queries/cloud-hooks.js";
import { insertMessage } from "../../db/queries/messages.js";
import { toMessage } from "../hooks/deliveries.js";
import {
  type HookConfig,
  type HookType,
  hookTypes,
  isHookType,
  maskHookConfig,
  readHookConfig,
} from "../hooks/hook-config.js";
import { type HookEvent, toHookEvent } from "../hooks/hook-event.js";
import { isPrivateHost } from "../hooks/private-address.js";
import { newSigningSecret } from "../hooks/signature.js";
import { type RequestContext, toInstant } from "../parts.js";
import { checkName, checkTenant, deleted, notFound } from "./settings-input.js";

/** Of a tenant. Each new state is compared with all of them. */
const MAX_HOOKS = 500;

/** Makes a hook, active from the next state on. Its config is kept sealed; what can be read of it is masked. */
export async function createCloudHook(
  input: CreateCloudHookInput,
  { parts, caller }: RequestContext,
): Promise<CreateCloudHookPayload> {
  checkTenant("create_cloud_hook", input.tenant_id, caller);
  const { type, name = null, version_group_id: versionGroupId = null } = input;
  if (!isHookType(type)) {
    throw new MillraceError("INPUT_INVALID", `create_cloud_hook: \`type\` is "${type.slice(0, 40)}".`, {
      hint: `It is one of ${hookTypes.join(", ")}.`,
    });
  }
  if (name !== null) checkName("create_cloud_hook", "name", name);
  if (versionGroupId !== null) checkName("create_cloud_hook", "version_group_id", versionGroupId);
  const states = readStates(input.states);
  const config = readHookConfig(type, input.config);
  if (config.url !== undefined && !parts.hooks.allowPrivate && isPrivateHost(new URL(config.url).hostname)) {
    throw new MillraceError("INPUT_INVALID", "create_cloud_hook: the host of `url` is at a private address.", {
      hint: "A server that may send there is started with --allow-private-hooks.",
    });
  }
  if (type === "WEBHOOK") config.signing_secret = newSigningSecret();
  const now = toInstant(parts.clock.now());
  const { tenantId } = caller;
  const id = newId();
  await parts.database.write(async (transaction) => {
    await transaction.lock(`cloud hooks of ${tenantId}`);
    if ((await countHooks(transaction, tenantId)) >= MAX_HOOKS) {
      throw new MillraceError("INPUT_INVALID", `create_cloud_hook: the tenant has ${MAX_HOOKS} hooks.`, {
        hint: "Delete some: one hook can be told of several states, and of every flow.",
      });
    }
    const of = { tenantId, kind: "cloud_hook", name: id } as const;
    await insertCloudHook(transaction, {
      id,
      created: now,
      updated: now,
      tenant_id: tenantId,
      name,
      version_group_id: versionGroupId,
      states: JSON.stringify(states),
      type,
      config: JSON.stringify(maskHookConfig(config)),
      sealed: await parts.vault.seal(transaction, of, JSON.stringify(config)),
      active: 1,
    });
  });
  parts.hooks.index.changed(tenantId);
  return { id, signing_secret: config.signing_secret ?? null };
}

export async function deleteCloudHook(
  { cloud_hook_id: id }: DeleteCloudHookInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const found = await parts.database.write((transaction) => deleteHookRow(transaction, caller.tenantId, id));
  parts.hooks.index.changed(caller.tenantId);
  return deleted(found, `Cloud hook ${id}`);
}

export function setCloudHookActive(input: SetCloudHookActiveInput, context: RequestContext): Promise<SuccessPayload> {
  return setActive(input.cloud_hook_id, true, context);
}

export function setCloudHookInactive(
  input: SetCloudHookInactiveInput,
  context: RequestContext,
): Promise<SuccessPayload> {
  return setActive(input.cloud_hook_id, false, context);
}

async function setActive(id: string, active: boolean, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  const hook = { tenantId: caller.tenantId, id, active, at: toInstant(parts.clock.now()) };
  const found = await parts.database.write((transaction) => setHookActive(transaction, hook));
  parts.hooks.index.changed(caller.tenantId);
  if (!found) throw notFound(`Cloud hook ${id}`);
  return { success: true, error: null };
}

/** Once, and at once: what went wrong is the answer. */
export async function testCloudHook(input: TestCloudHookInput, context: RequestContext): Promise<SuccessPayload> {
  const { parts, caller } = context;
  const { tenantId } = caller;
  const hook = await findCloudHook(parts.database, tenantId, input.cloud_hook_id);
  if (!hook) throw notFound(`Cloud hook ${input.cloud_hook_id}`);
  const event = await testEvent(input, context);
  if (hook.type === "PREFECT_MESSAGE") {
    const now = toInstant(parts.clock.now());
    await parts.database.write((transaction) => insertMessage(transaction, toMessage(event, now)));
    return { success: true, error: null };
  }
  const config = JSON.parse(
    parts.vault.open({ tenantId, kind: "cloud_hook", name: hook.id }, hook.sealed),
  ) as HookConfig;
  const why = await parts.hooks.trySending(hook.type as HookType, config, event);
  return { success: why === null, error: why };
}

/** Of the run that is named, otherwise of a made-up one. */
async function testEvent(input: TestCloudHookInput, { parts, caller }: RequestContext): Promise<HookEvent> {
  const { flow_run_id: flowRunId } = input;
  const { tenantId } = caller;
  const state = input.state_type === null || input.state_type === undefined ? "Success" : readState(input.state_type);
  const message = "A test of this hook.";
  const made = { state, message, serialized_state: JSON.stringify({ type: state, message }) };
  const timestamp = toInstant(parts.clock.now());
  if (flowRunId === null || flowRunId === undefined) {
    const [flow_id, flow_run_id] = [newId(), newId()];
    const names = { flow_name: "Cloud hook test", flow_run_name: "test-run", version_group_id: newId() };
    const row = {
      tenant_id: tenantId,
      tenant_slug: "test",
      flow_id,
      flow_run_id,
      version: 1,
      timestamp,
      ...names,
      ...made,
    };
    return toHookEvent(newId(), row, true);
  }
  const row = await newestHookEventRow(parts.database, tenantId, flowRunId);
  if (!row) throw notFound(`Flow run ${flowRunId}`);
  return toHookEvent(newId(), { ...row, ...made, timestamp }, true);
}

/** As the protocol keeps them: in upper case, each once. @throws INPUT_INVALID */
function readStates(given: readonly string[]): string[] {
  if (given.length === 0) {
    throw new MillraceError("INPUT_INVALID", "create_cloud_hook: `states` is empty: the hook would never be told.");
  }
  return [...new Set(given.map((name) => readState(name).toUpperCase()))].sort();
}

function readState(name: string): StateType {
  const state = stateTypes.find((each) => each.toUpperCase() === name.toUpperCase());
  if (state) return state;
  throw new MillraceError("INPUT_INVALID", `"${name.slice(0, 40)}" is no state.`, {
    hint: `The states are ${stateTypes.join(", ")}.`,
  });
}
