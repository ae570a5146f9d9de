import type {
  ApiInfo,
  AuthInfo,
  CreateApiKeyInput,
  CreateApiKeyPayload,
  CreateProjectInput,
  IdPayload,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { isUniqueViolation } from "../../db/database-error.js";
import { insertApiKey } from "../../db/queries/api-keys.js";
import { insertProject } from "../../db/queries/projects.js";
import { hashToken, newToken } from "../access/auth.js";
import { SCOPES } from "../access/permissions.js";
import { type RequestContext, toInstant } from "../parts.js";
import { version } from "../version.js";

export async function createProject(input: CreateProjectInput, { parts, caller }: RequestContext): Promise<IdPayload> {
  if (input.name.trim() === "") throw new MillraceError("INPUT_INVALID", "A project's name must not be empty.");
  const now = toInstant(parts.clock.now());
  const project = {
    id: newId(),
    created: now,
    updated: now,
    tenant_id: caller.tenantId,
    name: input.name,
    description: input.description ?? null,
  };
  try {
    await parts.database.write((transaction) => insertProject(transaction, project));
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    // Prefect's client looks for exactly these words.
    throw new MillraceError("INPUT_INVALID", "Uniqueness violation.", {
      hint: `There is a project "${input.name}" already.`,
      cause: error,
    });
  }
  return { id: project.id };
}

export async function createApiKey(
  input: CreateApiKeyInput,
  { parts, caller }: RequestContext,
): Promise<CreateApiKeyPayload> {
  const scope = input.scope ?? "USER";
  if (!(SCOPES as readonly string[]).includes(scope)) {
    throw new MillraceError(
      "INPUT_INVALID",
      `create_api_key: \`scope\` must be one of ${SCOPES.join(", ")}, and is "${scope}".`,
    );
  }
  const key = newToken();
  const now = toInstant(parts.clock.now());
  const row = {
    id: newId(),
    created: now,
    updated: now,
    tenant_id: caller.tenantId,
    user_id: input.user_id ?? caller.userId,
    name: input.name,
    key_hash: hashToken(key),
    scope,
    expires_at: input.expires_at ?? null,
    last_used: null,
  };
  await parts.database.write((transaction) => insertApiKey(transaction, row));
  return { id: row.id, key };
}

export async function authInfo(_input: unknown, { caller }: RequestContext): Promise<AuthInfo> {
  return { tenant_id: caller.tenantId, user_id: caller.userId, scope: caller.scope, name: caller.name };
}

export async function hello(): Promise<string> {
  return "hello";
}

export async function api(): Promise<ApiInfo> {
  return { backend: "SERVER", mode: "normal", version, core_version: version };
}
