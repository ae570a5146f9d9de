import type { SuccessPayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import type { Caller } from "../parts.js";

/* What the mutations of a tenant's own settings have in common. */

/** Long enough for a path or an address as a name. */
const MAX_NAME_CHARS = 255;

/** @throws INPUT_INVALID for a name that is empty or longer than 255 characters */
export function checkName(mutation: string, field: string, name: string): void {
  if (name.trim() !== "" && name.length <= MAX_NAME_CHARS && !name.includes("\0")) return;
  const found = name.trim() === "" ? "is empty" : `has ${name.length} characters`;
  throw new MillraceError(
    "INPUT_INVALID",
    `${mutation}: \`${field}\` has 1 to ${MAX_NAME_CHARS} characters, and ${found}.`,
  );
}

/** The value as JSON text. @param what it is, without its value: it may be secret. @throws INPUT_INVALID when it is too large */
export function jsonText(mutation: string, what: string, value: unknown, maxBytes: number): string {
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  throw new MillraceError(
    "INPUT_INVALID",
    `${mutation}: ${what} is ${bytes} bytes of JSON, and may have at most ${maxBytes}.`,
  );
}

/** A tenant that is named must be the caller's. @throws FORBIDDEN */
export function checkTenant(mutation: string, tenantId: string | null | undefined, caller: Caller): void {
  if (tenantId === null || tenantId === undefined || tenantId === caller.tenantId) return;
  throw new MillraceError("FORBIDDEN", `${mutation}: the token is not one of tenant ${tenantId}.`, {
    hint: "Leave `tenant_id` out, or use a token of that tenant.",
  });
}

/** Deleting, or changing, what is not there is no error, since a request may be sent twice; the answer says so. */
export function deleted(found: boolean, what: string): SuccessPayload {
  return found ? { success: true, error: null } : { success: false, error: `${what} was not found.` };
}

/** @throws INPUT_INVALID saying that it was not found: clients look for these words */
export function notFound(what: string): MillraceError {
  return new MillraceError("INPUT_INVALID", `${what} was not found.`, {
    hint: "It may be another tenant's, or was deleted.",
  });
}
