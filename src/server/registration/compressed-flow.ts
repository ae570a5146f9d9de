import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { MillraceError } from "../../core/errors.js";

/**
 * The longest flow that is unpacked, in bytes of JSON: a flow of 50,000 tasks. A request of the greatest size could unpack to a
 * thousand times its own.
 */
export const MAX_FLOW_BYTES = 32 * 1024 * 1024;

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const unzip = promisify(gunzip);

/**
 * A flow as Prefect's client packs it: base64 of gzipped JSON in UTF-8. Unpacked outside the main thread, and no further than
 * to `maxBytes`.
 * @throws INPUT_INVALID in the words of the protocol's own server; BODY_TOO_LARGE
 */
export async function decompressFlow(text: string, maxBytes = MAX_FLOW_BYTES): Promise<unknown> {
  const packed = text.replaceAll(/\s/g, "");
  if (!BASE64.test(packed)) throw undecompressed("it is no base64");
  try {
    const bytes = await unzip(Buffer.from(packed, "base64"), { maxOutputLength: maxBytes });
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw undecompressed(error instanceof Error ? error.message : String(error), error);
  }
}

function undecompressed(why: string, cause?: unknown): MillraceError {
  return new MillraceError("INPUT_INVALID", "TypeError: Unable to decompress serialized flow", {
    hint: `\`serialized_flow\` must be base64 of gzipped JSON: ${why}.`,
    ...(cause === undefined ? {} : { cause }),
  });
}

function tooLarge(maxBytes: number): MillraceError {
  return new MillraceError(
    "BODY_TOO_LARGE",
    `A compressed flow is larger than ${maxBytes} bytes when it is unpacked.`,
    {
      hint: "Register its tasks and edges in calls of their own, or make several flows of it.",
    },
  );
}
