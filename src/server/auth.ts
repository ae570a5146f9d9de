import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { MillraceError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { type ApiKeyRow, findApiKey, insertApiKey } from "../db/api-keys.js";
import type { Database } from "../db/database.js";
import { firstTenant, insertTenant } from "../db/projects.js";
import { type Caller, type ServerParts, toInstant } from "./parts.js";

/** What a key may do. RUNNER: all but make further keys. */
export const SCOPES: readonly string[] = ["USER", "RUNNER"];

/** 256 random bits: too many to guess, so that a plain hash is enough to keep them by. */
const TOKEN_BYTES = 32;
/** How long a key that was found is believed to be there still; another process may have removed it. */
const CACHE_MS = 5_000;
const MAX_CACHED = 1_000;

export const newToken = (): string => randomBytes(TOKEN_BYTES).toString("base64url");
export const hashToken = (token: string): string => hash("sha256", token);

/** Makes the tenant and its first key where the database has none, and returns that key, which is kept nowhere. */
export async function makeFirstKey(database: Database, now: string): Promise<string | undefined> {
  const token = newToken();
  return database.write(async (transaction) => {
    if (await firstTenant(transaction)) return undefined;
    const tenant = { id: newId(), created: now, updated: now, name: "default", slug: "default" };
    await insertTenant(transaction, tenant);
    await insertApiKey(transaction, {
      id: newId(),
      created: now,
      updated: now,
      tenant_id: tenant.id,
      user_id: newId(),
      name: "first key",
      key_hash: hashToken(token),
      scope: "USER",
      expires_at: null,
      last_used: null,
    });
    return token;
  });
}

/** Says who a request is from, by its Authorization header. */
export class Authenticator {
  readonly #parts: ServerParts;
  readonly #cache = new Map<string, { key: ApiKeyRow; until: number }>();

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  /** @throws UNAUTHENTICATED */
  async authenticate(header: string | undefined): Promise<Caller> {
    if (header === undefined || header === "") throw unauthenticated("the request carries no token");
    const token = /^Bearer +([^\s]+)$/i.exec(header)?.[1];
    if (token === undefined) throw unauthenticated("Malformed Authorization header");
    const key = await this.#find(hashToken(token));
    const now = this.#parts.clock.now();
    if (!key) throw unauthenticated("the token is not known");
    if (key.expires_at !== null && Date.parse(key.expires_at) <= now) {
      throw unauthenticated(`the token expired at ${key.expires_at}`);
    }
    this.#parts.presence.keyUsed(key.id, toInstant(now));
    return { keyId: key.id, tenantId: key.tenant_id, userId: key.user_id, scope: key.scope, name: key.name };
  }

  async #find(keyHash: string): Promise<ApiKeyRow | undefined> {
    const now = performance.now();
    const cached = this.#cache.get(keyHash);
    if (cached && cached.until > now) return cached.key;
    this.#cache.delete(keyHash);
    const key = await findApiKey(this.#parts.database, keyHash);
    if (!key || !timingSafeEqual(Buffer.from(key.key_hash), Buffer.from(keyHash))) return undefined;
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(keyHash, { key, until: now + CACHE_MS });
    return key;
  }
}

function unauthenticated(why: string): MillraceError {
  // Clients look for the code in the text.
  return new MillraceError("UNAUTHENTICATED", `UNAUTHENTICATED: ${why}.`, {
    hint: "Send `Authorization: Bearer <token>`; `millrace auth login` keeps one.",
  });
}
