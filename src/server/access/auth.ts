import { timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { MillraceError } from "../../core/errors.js";
import { type ApiKeyRow, findApiKey } from "../../db/queries/api-keys.js";
import { isMember } from "../../db/queries/tenants.js";
import type { Caller, ServerParts } from "../parts.js";
import { hashToken } from "./first-key.js";
import type { KnownKey } from "./known-keys.js";

/** For which of the user's tenants a request is; without it, for the key's own. */
const TENANT_HEADER = "x-prefect-tenant-id";

/** Says who a request is from, by its Authorization header, and for which tenant it asks. */
export class Authenticator {
  readonly #parts: Pick<ServerParts, "database" | "clock" | "presence" | "keys">;

  constructor(parts: Pick<ServerParts, "database" | "clock" | "presence" | "keys">) {
    this.#parts = parts;
  }

  /** At once, when the key was seen a moment ago. @throws UNAUTHENTICATED, TENANT_NOT_FOUND, at once or later */
  authenticate({ authorization: header, [TENANT_HEADER]: tenant }: IncomingHttpHeaders): Caller | Promise<Caller> {
    if (header === undefined || header === "") throw unauthenticated("the request carries no token");
    // No header has a line break in it.
    const headers = tenant === undefined ? header : `${header}\n${tenant}`;
    const known = this.#parts.keys.find(headers);
    return known ? this.#use(known) : this.#find(headers, header, typeof tenant === "string" ? tenant.trim() : "");
  }

  async #find(headers: string, header: string, asked: string): Promise<Caller> {
    const token = /^Bearer +([^\s]+)$/i.exec(header)?.[1];
    if (token === undefined) throw unauthenticated("Malformed Authorization header");
    const { generation } = this.#parts.keys;
    const keyHash = hashToken(token);
    const key = await findApiKey(this.#parts.database, keyHash);
    if (!key || !timingSafeEqual(Buffer.from(key.key_hash), Buffer.from(keyHash)))
      throw unauthenticated("the token is not known");
    const { id: keyId, tenant_id: keyTenantId, user_id: userId, scope, name, expires_at: expiresAt } = key;
    const tenantId = asked === "" ? keyTenantId : asked.toLowerCase();
    if (tenantId !== keyTenantId) await this.#checkTenant(key, tenantId);
    const found = { key, caller: { keyId, keyTenantId, tenantId, userId, scope, name, expiresAt } };
    this.#parts.keys.keep(headers, found, generation);
    return this.#use(found);
  }

  /** A USER key acts for each tenant of its user, any other for its own alone. */
  async #checkTenant(key: ApiKeyRow, tenantId: string): Promise<void> {
    if (key.scope === "USER" && (await isMember(this.#parts.database, key.user_id, tenantId))) return;
    throw tenantNotFound(tenantId);
  }

  #use({ key, caller }: KnownKey): Caller {
    const now = this.#parts.clock.now();
    if (key.expires_at !== null && Date.parse(key.expires_at) <= now) {
      throw unauthenticated(`the token expired at ${key.expires_at}`);
    }
    this.#parts.presence.keyUsed(key.id, now);
    return caller;
  }
}

function unauthenticated(why: string): MillraceError {
  // Clients look for the code in the text.
  return new MillraceError("UNAUTHENTICATED", `UNAUTHENTICATED: ${why}.`, {
    hint: "Send `Authorization: Bearer <token>`; `millrace auth login` keeps one.",
  });
}

export function tenantNotFound(tenantId: string): MillraceError {
  return new MillraceError("TENANT_NOT_FOUND", `There is no tenant "${tenantId}", or the token may not act for it.`, {
    hint: "A token of scope USER acts for the tenants of its user, any other for its own; `tenant { id slug }` lists them.",
  });
}
