import { timingSafeEqual } from "node:crypto";
import { MillraceError } from "../../core/errors.js";
import { findApiKey } from "../../db/queries/api-keys.js";
import type { Caller, ServerParts } from "../parts.js";
import { hashToken } from "./first-key.js";
import type { KnownKey } from "./known-keys.js";

/** Says who a request is from, by its Authorization header. */
export class Authenticator {
  readonly #parts: Pick<ServerParts, "database" | "clock" | "presence" | "keys">;

  constructor(parts: Pick<ServerParts, "database" | "clock" | "presence" | "keys">) {
    this.#parts = parts;
  }

  /** At once, when the key was seen a moment ago. @throws UNAUTHENTICATED, at once or later */
  authenticate(header: string | undefined): Caller | Promise<Caller> {
    if (header === undefined || header === "") throw unauthenticated("the request carries no token");
    const known = this.#parts.keys.find(header);
    return known ? this.#use(known) : this.#find(header);
  }

  async #find(header: string): Promise<Caller> {
    const token = /^Bearer +([^\s]+)$/i.exec(header)?.[1];
    if (token === undefined) throw unauthenticated("Malformed Authorization header");
    const { generation } = this.#parts.keys;
    const keyHash = hashToken(token);
    const key = await findApiKey(this.#parts.database, keyHash);
    if (!key || !timingSafeEqual(Buffer.from(key.key_hash), Buffer.from(keyHash)))
      throw unauthenticated("the token is not known");
    const { id: keyId, tenant_id: tenantId, user_id: userId, scope, name, expires_at: expiresAt } = key;
    const found = { key, caller: { keyId, tenantId, userId, scope, name, expiresAt } };
    this.#parts.keys.keep(header, found, generation);
    return this.#use(found);
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
