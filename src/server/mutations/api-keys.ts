import type {
  AuthInfo,
  CreateApiKeyInput,
  CreateApiKeyPayload,
  DeleteApiKeyInput,
  SuccessPayload,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { deleteApiKey, findApiKeyById, insertApiKey, otherUserKeys } from "../../db/queries/api-keys.js";
import { hashToken, newToken } from "../access/first-key.js";
import { SCOPES } from "../access/permissions.js";
import { type Caller, type RequestContext, toInstant } from "../parts.js";

/** A key's name is shown in lists and messages. */
const MAX_NAME_LENGTH = 200;

export async function createApiKey(
  input: CreateApiKeyInput,
  { parts, caller }: RequestContext,
): Promise<CreateApiKeyPayload> {
  const scope = input.scope ?? "USER";
  if (!(SCOPES as readonly string[]).includes(scope)) {
    throw invalid(`\`scope\` must be one of ${SCOPES.join(", ")}, and is "${scope.slice(0, MAX_NAME_LENGTH)}"`);
  }
  if (input.name.trim() === "" || input.name.length > MAX_NAME_LENGTH) {
    throw invalid(`\`name\` must have 1 to ${MAX_NAME_LENGTH} characters, and has ${input.name.trim().length}`);
  }
  // With another user's id it would be a key to that user's tenants.
  if (typeof input.user_id === "string" && input.user_id !== caller.userId) {
    throw new MillraceError("FORBIDDEN", "A token can be made only for the user who asks for it.", {
      hint: "Leave `user_id` out.",
    });
  }
  const ms = parts.clock.now();
  const now = toInstant(ms);
  const key = newToken();
  const row = {
    id: newId(),
    created: now,
    updated: now,
    tenant_id: caller.tenantId,
    user_id: caller.userId,
    name: input.name,
    key_hash: hashToken(key),
    scope,
    expires_at: expiryOf(input.expires_at ?? null, caller, ms),
    last_used: null,
  };
  await parts.database.write((transaction) => insertApiKey(transaction, row));
  return { id: row.id, key };
}

/** A key that ends makes none that goes on after it: else an hour's token would be one for ever. */
function expiryOf(asked: string | null, caller: Caller, now: number): string | null {
  if (asked !== null && Date.parse(asked) <= now) throw invalid(`\`expires_at\` is ${asked}, which is over`);
  if (caller.expiresAt === null) return asked;
  if (asked === null) return caller.expiresAt;
  if (Date.parse(asked) <= Date.parse(caller.expiresAt)) return asked;
  throw new MillraceError(
    "FORBIDDEN",
    `The token asked for would last until ${asked}, and the one that asks ends at ${caller.expiresAt}.`,
    { hint: "Ask for an earlier end, or with a token that lasts longer." },
  );
}

export async function deleteApiKeyOfTenant(
  { key_id }: DeleteApiKeyInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  await parts.database.write(async (transaction) => {
    // Two that each delete the other's last key would leave none.
    await transaction.lock(`keys of ${caller.tenantId}`);
    const key = await findApiKeyById(transaction, caller.tenantId, key_id);
    if (!key) {
      throw new MillraceError("INPUT_INVALID", `There is no token "${key_id}".`, {
        hint: "`millrace auth list-tokens` shows the tokens and their ids.",
      });
    }
    const goOn = key.scope !== "USER" || (await otherUserKeys(transaction, caller.tenantId, key_id)) > 0;
    if (!goOn) {
      throw new MillraceError(
        "INPUT_INVALID",
        `The token "${key.name}" is the last one of scope USER that does not end by itself: without it nobody could make another.`,
        { hint: "Make its successor first: `millrace auth create-token --scope USER`." },
      );
    }
    await deleteApiKey(transaction, key_id);
  });
  parts.keys.forget(key_id);
  parts.events.endKey(key_id);
  return { success: true, error: null };
}

export async function authInfo(_input: unknown, { caller }: RequestContext): Promise<AuthInfo> {
  const { tenantId, userId, scope, name, keyId, expiresAt } = caller;
  return { tenant_id: tenantId, user_id: userId, scope, name, key_id: keyId, expires_at: expiresAt };
}

function invalid(what: string): MillraceError {
  return new MillraceError("INPUT_INVALID", `create_api_key: ${what}.`);
}
