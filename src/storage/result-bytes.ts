import { createHash } from "node:crypto";
import { fromJsonText, toJsonText } from "../codec/json-value.js";
import { decodeValue, encodeValue } from "../codec/value.js";
import { MillraceError } from "../core/errors.js";
import type { SerializerName } from "../core/options/result-options.js";
import type { ResultRecord } from "../core/state.js";

/** One kind of place for results: bytes under locations, which are paths with `/` between their parts. */
export interface ResultBytes {
  /** For messages: a folder, or `s3://bucket/prefix`. */
  readonly address: string;
  /** What a state keeps of it; all that reading needs, and never a credential. */
  record(location: string): ResultRecord;
  /** All or nothing. @throws STORAGE_FAILED and its fellows */
  put(location: string, bytes: Uint8Array): Promise<void>;
  /** Is there something? @throws as put */
  has(location: string): Promise<boolean>;
}

/** A result as bytes, with what tells them from others. */
export interface Encoded {
  readonly bytes: Uint8Array;
  /** Sixteen hexadecimal digits of a SHA-256: enough to tell what one task returns from what it returned before. */
  readonly contentHash: string;
}

const HASH_CHARS = 16;
/** Where `codec/value` keeps its SHA-256. */
const HASH_AT = 4;

/** @throws VALUE_NOT_SERIALIZABLE naming the path inside the value */
export function encodeResult(value: unknown, serializer: SerializerName): Encoded {
  const bytes = serializer === "json" ? Buffer.from(toJsonText(value)) : encodeValue(value);
  return { bytes, contentHash: contentHash(bytes, serializer) };
}

/**
 * @throws VALUE_CORRUPT, and RESULT_NOT_FOUND when the record says what was written and something else lies there by now
 */
export function decodeResult(bytes: Uint8Array, record: ResultRecord, address: string): unknown {
  const serializer: SerializerName = record.serializer === "json" ? "json" : "v8";
  // Bytes that are no value at all are told as such, before whose value they are.
  const value = serializer === "v8" ? decodeValue(bytes) : fromJsonText(Buffer.from(bytes).toString("utf8"));
  checkSame(bytes, serializer, record, address);
  return value;
}

function checkSame(bytes: Uint8Array, serializer: SerializerName, { hash }: ResultRecord, address: string): void {
  if (typeof hash !== "string" || contentHash(bytes, serializer) === hash) return;
  throw new MillraceError(
    "RESULT_NOT_FOUND",
    `The result of a finished task is not to be had: "${address}" was written over by something else since.`,
    {
      hint: "Name the run in the result's `location`, for instance `{flowRunId}`, and the `{mapIndex}` of a mapped task.",
    },
  );
}

function contentHash(bytes: Uint8Array, serializer: SerializerName): string {
  if (serializer === "v8") return Buffer.from(bytes.subarray(HASH_AT, HASH_AT + HASH_CHARS / 2)).toString("hex");
  return createHash("sha256").update(bytes).digest("hex").slice(0, HASH_CHARS);
}

export function resultNotFound(why: string, facts: { hint?: string; cause?: unknown } = {}): MillraceError {
  const { hint = "Start a new run, or run the task again.", cause } = facts;
  return new MillraceError("RESULT_NOT_FOUND", `The result of a finished task is not to be had: ${why}.`, {
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
