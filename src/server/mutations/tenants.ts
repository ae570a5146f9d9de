import type {
  ApiInfo,
  CreateTenantInput,
  DeleteTenantInput,
  IdPayload,
  SuccessPayload,
  UpdateTenantNameInput,
  UpdateTenantSettingsInput,
  UpdateTenantSlugInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { isUniqueViolation } from "../../db/database-error.js";
import {
  addMember,
  deleteTenant as deleteTenantRow,
  holdTenant,
  insertTenant,
  type TenantRow,
  writeTenant,
} from "../../db/queries/tenants.js";
import { tenantNotFound } from "../access/auth.js";
import { type RequestContext, toInstant } from "../parts.js";
import { version } from "../version.js";

/** A slug is part of addresses. */
const SLUG = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const MAX_NAME_LENGTH = 200;

/** Makes a tenant of which the caller's user is a member. */
export async function createTenant(input: CreateTenantInput, { parts, caller }: RequestContext): Promise<IdPayload> {
  const now = toInstant(parts.clock.now());
  const name = checkName(input.name);
  const tenant: TenantRow = {
    id: newId(),
    created: now,
    updated: now,
    name,
    slug: checkSlug(input.slug ?? slugOf(name)),
    info: null,
    settings: "{}",
  };
  await unique(
    tenant.slug,
    parts.database.write(async (transaction) => {
      await insertTenant(transaction, tenant);
      await addMember(transaction, caller.userId, tenant.id, now);
    }),
  );
  return { id: tenant.id };
}

/** The key that asks must go on to be valid: it is not its own tenant that it deletes. */
export async function deleteTenant(
  { tenant_id: tenantId, confirm }: DeleteTenantInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  if (!confirm) {
    throw new MillraceError("INPUT_INVALID", "delete_tenant: `confirm` must be true.", {
      hint: "A tenant is deleted with all its projects, flows and runs, and with the tokens made in it.",
    });
  }
  if (tenantId === caller.keyTenantId) {
    throw new MillraceError("INPUT_INVALID", `Tenant "${tenantId}" is the one that the token was made in.`, {
      hint: "Delete it with a token that was made in another of your tenants.",
    });
  }
  const payload = await parts.database.write(async (transaction) => {
    if (!(await holdTenant(transaction, caller.userId, tenantId))) {
      return { success: false, error: tenantNotFound(tenantId).message };
    }
    await deleteTenantRow(transaction, tenantId);
    return { success: true, error: null };
  });
  parts.keys.forgetTenant(tenantId);
  return payload;
}

export function updateTenantName(input: UpdateTenantNameInput, context: RequestContext): Promise<IdPayload> {
  const name = checkName(input.name);
  return change(context, input.tenant_id, (tenant) => ({ ...tenant, name }));
}

export async function updateTenantSlug(input: UpdateTenantSlugInput, context: RequestContext): Promise<IdPayload> {
  const slug = checkSlug(input.slug);
  return unique(
    slug,
    change(context, input.tenant_id, (tenant) => ({ ...tenant, slug })),
  );
}

export async function updateTenantSettings(
  input: UpdateTenantSettingsInput,
  context: RequestContext,
): Promise<IdPayload> {
  const given = input.settings ?? {};
  if (typeof given !== "object" || Array.isArray(given)) {
    throw new MillraceError("INPUT_INVALID", "update_tenant_settings: `settings` must be an object.");
  }
  return change(context, input.tenant_id, (tenant) => {
    const settings = { ...(JSON.parse(tenant.settings) as object), ...given };
    return { ...tenant, settings: JSON.stringify(settings) };
  });
}

function change(
  { parts, caller }: RequestContext,
  tenantId: string,
  to: (tenant: TenantRow) => TenantRow,
): Promise<IdPayload> {
  return parts.database.write(async (transaction) => {
    const tenant = await holdTenant(transaction, caller.userId, tenantId);
    if (!tenant) throw tenantNotFound(tenantId);
    await writeTenant(transaction, to(tenant), toInstant(parts.clock.now()));
    return { id: tenantId };
  });
}

function checkName(name: string): string {
  if (name.trim() !== "" && name.length <= MAX_NAME_LENGTH) return name;
  throw new MillraceError("INPUT_INVALID", `A tenant's name must have 1 to ${MAX_NAME_LENGTH} characters.`);
}

function checkSlug(slug: string): string {
  if (SLUG.test(slug) && slug.length <= MAX_NAME_LENGTH) return slug;
  throw new MillraceError(
    "INPUT_INVALID",
    `A tenant's slug must be of lower case letters, digits and single hyphens, and is ${JSON.stringify(slug.slice(0, 80))}.`,
  );
}

/** "Sales & Co." is `sales-co`. */
function slugOf(name: string): string {
  const plain = name.normalize("NFKD").replaceAll(/\p{Mark}/gu, "");
  return plain
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}

async function unique<T>(slug: string, written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new MillraceError("INPUT_INVALID", "Uniqueness violation.", {
      hint: `There is a tenant with the slug "${slug}" already.`,
      cause: error,
    });
  }
}

export async function hello(): Promise<string> {
  return "hello";
}

export async function api(): Promise<ApiInfo> {
  return { backend: "SERVER", mode: "normal", version, core_version: version, release_timestamp: null };
}
