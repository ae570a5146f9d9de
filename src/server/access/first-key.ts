import { hash, randomBytes } from "node:crypto";
import { newId } from "../../core/ids.js";
import type { Database } from "../../db/database.js";
import { insertApiKey } from "../../db/queries/api-keys.js";
import { firstTenant, insertTenant } from "../../db/queries/tenants.js";

/** 256 random bits: too many to guess, so that a plain hash is enough to keep them by. */
const TOKEN_BYTES = 32;

export const newToken = (): string => randomBytes(TOKEN_BYTES).toString("base64url");
export const hashToken = (token: string): string => hash("sha256", token);

/** Makes the tenant and its first key where the database has none, and returns that key, which is kept nowhere. */
export async function makeFirstKey(database: Database, now: string): Promise<string | undefined> {
  const token = newToken();
  return database.write(async (transaction) => {
    // Two servers that start on one database make one key.
    await transaction.lock("first key");
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
