import { toInstant } from "../parts.js";
import type { Ledger } from "../states/ledger.js";

/** A runner of Prefect's that was answered QUEUED asks again after 30 s; one that did not for twice as long is gone. */
export const ASKS_AGAIN_MS = 60_000;

/** So long after the ledger's moment, ISO 8601. */
export function later(ledger: Ledger, ms: number): string {
  return toInstant(Date.parse(ledger.now) + ms);
}
