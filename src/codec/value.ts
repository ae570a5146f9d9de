import { hash as digest } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { MillraceError } from "../core/errors.js";
import { putErrorsBack, type Swapped, takeErrorsOut } from "./value-errors.js";
import { surveyValue } from "./value-survey.js";

/*
 * A task's result as bytes, numbers big-endian:
 *
 *   0  4  magic "MRV" and the format version
 *   4  32 SHA-256 of what follows
 *   36 4  kind: 0 plain; 1 with Errors, which v8 would strip of their name and code
 *   40 …  the payload as node:v8 writes it
 */
const MAGIC = Buffer.from("MRV\u0001", "latin1");
const HASH_AT = 4;
const HASHED_FROM = 36;
const HEADER_BYTES = 40;
const PLAIN = 0;
const WITH_ERRORS = 1;

/**
 * The value's bytes. Kept: everything that JSON has, and undefined, NaN, BigInt, Date, RegExp, Map, Set, typed arrays,
 * Buffer, circles, and Errors as `codec/failure` keeps them. Subclasses of Array, Map and Set become the class itself,
 * an object without a prototype a plain one; properties that are not enumerable are left out.
 * @throws VALUE_NOT_SERIALIZABLE, naming the path inside the value, for anything that would be lost: functions, symbols,
 * instances of classes, promises, URL, Headers …
 */
export function encodeValue(value: unknown): Uint8Array {
  const { hasErrors } = surveyValue(value);
  const payload = serializeSurveyed(hasErrors ? takeErrorsOut(value) : value);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32BE(hasErrors ? WITH_ERRORS : PLAIN, HASHED_FROM);
  payload.copy(bytes, HEADER_BYTES);
  digest("sha256", bytes.subarray(HASHED_FROM), "buffer").copy(bytes, HASH_AT);
  return bytes;
}

/** What {@link encodeValue} was given. @throws VALUE_CORRUPT when the bytes are not those that it returned */
export function decodeValue(bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER_BYTES || !buffer.subarray(0, 3).equals(MAGIC.subarray(0, 3)))
    throw corrupt("they do not begin as a value does");
  if (buffer[3] !== MAGIC[3])
    throw corrupt(`they have format version ${buffer[3]}, and this Millrace reads ${MAGIC[3]}`);
  if (!digest("sha256", buffer.subarray(HASHED_FROM), "buffer").equals(buffer.subarray(HASH_AT, HASHED_FROM))) {
    throw corrupt("their SHA-256 is another one");
  }
  try {
    const value: unknown = deserialize(buffer.subarray(HEADER_BYTES));
    return buffer.readUInt32BE(HASHED_FROM) === PLAIN ? value : putErrorsBack(value as Swapped);
  } catch (cause) {
    throw corrupt(`Node ${process.versions.node} cannot decode them`, cause);
  }
}

/** The survey has looked at everything that is known to fail; what v8 still refuses is told as it tells it. */
function serializeSurveyed(value: unknown): Buffer {
  try {
    return serialize(value);
  } catch (cause) {
    throw new MillraceError(
      "VALUE_NOT_SERIALIZABLE",
      `The value cannot be turned into bytes: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function corrupt(why: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "VALUE_CORRUPT",
    `The bytes are not a whole value: ${why}.`,
    cause === undefined ? {} : { cause },
  );
}
