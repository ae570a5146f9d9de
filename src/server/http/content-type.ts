import type { IncomingHttpHeaders } from "node:http";
import { requestError, type WireError } from "../api/graphql-error.js";

/** A form or a plain text can be sent by any page without the browser asking first; these cannot. */
const TAKEN = /^application\/(?:json|graphql-response\+json)\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

/** Why a POST with these headers is not read: HTTP status 415. Undefined: it is. */
export function refuseContent(headers: IncomingHttpHeaders): WireError | undefined {
  const type = headers["content-type"];
  if (type !== "application/json" && !TAKEN.test(type ?? "")) {
    const sent = type === undefined ? "none" : `"${type.slice(0, 100)}"`;
    return requestError("INPUT_INVALID", `The content type must be application/json in UTF-8, and is ${sent}.`);
  }
  const encoding = headers["content-encoding"];
  // A few bytes may be gigabytes when they are unpacked; and the protocol's client never packs what it sends.
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    const message = `A body must come as it is, and this one's content encoding is "${encoding.slice(0, 100)}".`;
    return requestError("INPUT_INVALID", message);
  }
  return undefined;
}
