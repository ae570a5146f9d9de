import { newId } from "../../src/core/ids.js";
import { insertApiKey } from "../../src/db/queries/api-keys.js";
import { hashToken } from "../../src/server/access/first-key.js";
import type { TestCloud } from "./server.js";

const TOKEN = "other-token";

/** Adds another tenant to a Cloud and answers the headers that its user sends. @param at ISO 8601. */
export async function addSecondTenant(cloud: TestCloud, at: string): Promise<{ authorization: string }> {
  const tenantId = newId();
  const row = { created: at, updated: at };
  await cloud.server.database.write(async (transaction) => {
    await transaction.query
      .insertInto("tenant")
      .values({ ...row, id: tenantId, name: "second", slug: "second", info: null })
      .execute();
    await insertApiKey(transaction, {
      ...row,
      id: newId(),
      tenant_id: tenantId,
      user_id: newId(),
      name: "key",
      key_hash: hashToken(TOKEN),
      scope: "USER",
      expires_at: null,
      last_used: null,
    });
  });
  return { authorization: `Bearer ${TOKEN}` };
}
