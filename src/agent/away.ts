import { type ErrorCode, isMillraceError } from "../core/errors.js";

const AWAY: readonly ErrorCode[] = ["CLOUD_UNREACHABLE", "CLOUD_BUSY", "UNAUTHENTICATED", "TOO_MANY_REQUESTS"];

/** The Cloud is away, or does not know the token for now: another try may meet it again, however long that takes. */
export function isAway(error: unknown): boolean {
  return AWAY.some((code) => isMillraceError(error, code));
}

/** The Cloud failed: it may be its trouble of the moment, or what it was asked. */
export function isTrouble(error: unknown): boolean {
  return isMillraceError(error, "INTERNAL") || isMillraceError(error, "DATABASE_FAILED");
}

/** The beginning of a log line about a Cloud that did not do what it was asked: a clause that says what is the matter. */
export function whatIsWrong(error: unknown): string {
  if (isMillraceError(error, "CLOUD_UNREACHABLE")) return "The Cloud is away";
  if (isMillraceError(error, "CLOUD_BUSY")) return "The Cloud is busy";
  if (isAway(error)) return "The Cloud does not know the agent's token";
  if (isTrouble(error)) return "The Cloud failed";
  return "The Cloud refused";
}
