import type { IncomingMessage } from "node:http";
import { MillraceError } from "../../core/errors.js";

/** The limit of the protocol's own server. */
export const MAX_BODY_BYTES = 5 * 1024 * 1024;
/** A sender that goes on so far beyond the limit is cut off rather than listened to. */
export const MAX_DRAINED_BYTES = 20 * MAX_BODY_BYTES;

/** A request's body as text. @throws BODY_TOO_LARGE, after the body has been read to its end, so that the answer arrives */
export function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) chunks.push(chunk);
      else chunks.length = 0;
      if (length > MAX_DRAINED_BYTES) request.destroy(tooLarge(length));
    });
    request.once("end", () => {
      if (length > MAX_BODY_BYTES) reject(tooLarge(length));
      else resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString("utf8"));
    });
    request.once("error", reject);
    request.once("close", () => {
      if (!request.complete) reject(new Error("The connection closed before the body's end."));
    });
  });
}

/** Why a body was not taken. */
export function tooLarge(length: number): MillraceError {
  return new MillraceError("BODY_TOO_LARGE", `A request of ${length} bytes is larger than ${MAX_BODY_BYTES}.`, {
    hint: "Send it in parts.",
  });
}
