import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import type { Database } from "../../db/database.js";
import { type ApiKeyRow, findApiKey, insertApiKey } from "../../db/queries/api-keys.js";
import { firstTenant, insertTenant } from "../../db/queries/projects.js";
import type { Caller, ServerParts } from "../parts.js";

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
    const tenant = {
      id: newId(),
      created: now,
      updated: now,
      name: "default",
      slug: "default",
      info: null,
      settings: "{}",
    };
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
  /** By the header as it came, so that a known one costs neither a hash nor a turn of the queue of promises. */
  readonly #cache = new Map<string, { key: ApiKeyRow; caller: Caller; until: number }>();

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  /** At once, when the key was seen a moment ago. @throws UNAUTHENTICATED, at once or later */
  authenticate(header: string | undefined): Caller | Promise<Caller> {
    if (header === undefined || header === "") throw unauthenticated("the request carries no token");
    const cached = this.#cache.get(header);
    if (cached && cached.until > performance.now()) return this.#use(cached);
    this.#cache.delete(header);
    return this.#find(header);
  }

  async #find(header: string): Promise<Caller> {
    const token = /^Bearer +([^\s]+)$/i.exec(header)?.[1];
    if (token === undefined) throw unauthenticated("Malformed Authorization header");
    const keyHash = hashToken(token);
    const key = await findApiKey(this.#parts.database, keyHash);
    if (!key || !timingSafeEqual(Buffer.from(key.key_hash), Buffer.from(keyHash)))
      throw unauthenticated("the token is not known");
    const { id: keyId, tenant_id: tenantId, user_id: userId, scope, name } = key;
    const found = { key, caller: { keyId, tenantId, userId, scope, name }, until: performance.now() + CACHE_MS };
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(header, found);
    return this.#use(found);
  }

  #use({ key, caller }: { key: ApiKeyRow; caller: Caller }): Caller {
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
