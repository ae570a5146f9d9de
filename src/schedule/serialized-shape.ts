import { MillraceError } from "../core/errors.js";

/** The version of Prefect whose serialization is spoken. */
export const SERIALIZATION_VERSION = "1.4.1";

export function recordOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw unreadable(what, value);
}

export function listOf(value: unknown, what: string): unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw unreadable(what, value);
}

export function unreadable(what: string, value: unknown): MillraceError {
  const shown = JSON.stringify(value)?.slice(0, 120) ?? String(value);
  return new MillraceError("SCHEDULE_INVALID", `A serialized schedule cannot be read: its \`${what}\` is ${shown}.`);
}
