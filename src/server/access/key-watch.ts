import { livingKeys } from "../../db/queries/api-keys.js";
import { type ServerParts, toInstant } from "../parts.js";

/**
 * Ends the subscriptions of keys that have expired or that another server has deleted: a request asks for its key each time,
 * a subscription only when it begins. Part of the server's round of every five seconds.
 */
export async function endSubscriptionsOfLostKeys({ events, database, clock, keys }: ServerParts): Promise<void> {
  const listening = events.keyIds;
  if (listening.length === 0) return;
  const living = await livingKeys(database, listening, toInstant(clock.now()));
  for (const keyId of listening) {
    if (living.has(keyId)) continue;
    keys.forget(keyId);
    events.endKey(keyId);
  }
}
