import { deserialize, serialize } from "node:v8";
import { isMillraceError, MillraceError } from "../core/errors.js";
import { putErrorsBack, type Swapped, takeErrorsOut } from "./value-errors.js";
import { surveyValue } from "./value-survey.js";

/**
 * A value on its way to another thread of this process, as `codec/value` writes it but without magic and hash: nobody
 * stores it, and hashing is a third of the cost. (Structured clone alone would make a Buffer a bare Uint8Array and strip
 * Errors of name and code.)
 */
export type Crossing =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly hasErrors: boolean }
  /** A primitive, or arguments that are all primitives: cheaper as they are. */
  | { readonly plain: unknown };

/**
 * @param subject What the value is, at the beginning of a sentence: `The arguments of task "add"`.
 * @throws VALUE_NOT_SERIALIZABLE naming the path inside the value
 */
export function packValue(value: unknown, subject: string): Crossing {
  if (isPrimitive(value)) return { plain: value };
  try {
    const { hasErrors } = surveyValue(value);
    const bytes = serialize(hasErrors ? takeErrorsOut(value) : value) as Uint8Array<ArrayBuffer>;
    return { bytes, hasErrors };
  } catch (cause) {
    const facts = isMillraceError(cause) ? cause : undefined;
    throw new MillraceError(
      "VALUE_NOT_SERIALIZABLE",
      `${subject} cannot cross between threads: ${(cause as Error).message}`,
      {
        hint: "Hand over plain data, or give the task `{ inline: true }`, which runs it on the flow run's own thread.",
        cause,
        details: facts?.details,
      },
    );
  }
}

/** A call's arguments. @throws VALUE_NOT_SERIALIZABLE */
export function packArguments(args: readonly unknown[], taskName: string): Crossing {
  return args.every(isPrimitive) ? { plain: args } : packValue(args, `The arguments of task "${taskName}"`);
}

export function unpackValue(crossing: Crossing): unknown {
  if ("plain" in crossing) return crossing.plain;
  const value: unknown = deserialize(crossing.bytes);
  return crossing.hasErrors ? putErrorsBack(value as Swapped) : value;
}

export function isCrossing(sent: object): sent is Crossing {
  return "plain" in sent || "bytes" in sent;
}

function isPrimitive(value: unknown): boolean {
  return value === null || !["object", "function", "symbol"].includes(typeof value);
}

/** From this size on the bytes are handed over in place of being copied, which for less costs more than it saves. */
const TRANSFER_BYTES = 65_536;

/** What of crossings is to be transferred. */
export function transferOf(crossings: readonly (Crossing | null)[]): ArrayBuffer[] {
  return crossings.flatMap((each) =>
    each &&
    "bytes" in each &&
    each.bytes.byteLength >= TRANSFER_BYTES &&
    each.bytes.byteLength === each.bytes.buffer.byteLength
      ? [each.bytes.buffer]
      : [],
  );
}
