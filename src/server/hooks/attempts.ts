import type { DeliveryOutcome, DeliveryRow } from "../../db/queries/cloud-hooks.js";
import { toInstant } from "../parts.js";
import { MAX_RECIPIENTS } from "./hook-config.js";
import type { NotTaken } from "./send-request.js";

/* What becomes of a delivery after an attempt. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** After the first attempt, and each further one: a restart, an outage, a night. The last attempt is half a day after the first. */
export const RETRY_PAUSES_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  4 * HOUR_MS,
  6 * HOUR_MS,
];
/** For what an attempt does besides waiting for answers. */
const CLAIM_SLACK_MS = 20 * SECOND_MS;

/**
 * How long a server that has claimed a delivery has it to itself: longer than any attempt takes. Then that server has died, and
 * another one sends it again. @param timeoutMs of one request
 */
export const claimMs = (timeoutMs: number): number => MAX_RECIPIENTS * timeoutMs + CLAIM_SLACK_MS;

/** Of several requests, some may have been taken: only the others are sent again. */
export class PartlySent extends Error {
  readonly sent: number;
  constructor(cause: NotTaken, sent: number) {
    super(cause.message, { cause });
    this.sent = sent;
  }
}

/** @param now milliseconds since 1970 */
export function delivered({ id, attempts }: DeliveryRow, sent: number, now: number): DeliveryOutcome {
  const at = toInstant(now);
  return { id, updated: at, attempts, sent, next_attempt_at: null, delivered_at: at, last_error: null };
}

/** Nothing more is sent. The reason can be read for a week. */
export function givenUp(row: DeliveryRow, why: string, now: number): DeliveryOutcome {
  return { ...row, updated: toInstant(now), next_attempt_at: null, last_error: why };
}

/** Due again after a pause that grows, until there is none left. @param isStopping the server broke it off itself */
export function failed(row: DeliveryRow, error: unknown, now: number, isStopping: boolean): DeliveryOutcome {
  const sent = error instanceof PartlySent ? error.sent : row.sent;
  const why = error instanceof Error ? error.message : String(error);
  const updated = toInstant(now);
  // That is no fault of the receiver's: the next server sends it at once.
  if (isStopping) return { ...row, updated, attempts: row.attempts - 1, sent, next_attempt_at: updated };
  const pauseMs = RETRY_PAUSES_MS[row.attempts - 1];
  if (pauseMs === undefined) return givenUp({ ...row, sent }, why, now);
  return { ...row, updated, sent, next_attempt_at: toInstant(now + pauseMs), last_error: why };
}
