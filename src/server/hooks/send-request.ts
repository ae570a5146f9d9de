import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isPrivateHost, lookupPublic, PrivateAddressError } from "./private-address.js";

/** One POST to somebody else's server. */
export interface HookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SendOptions {
  /** For the whole of it, in milliseconds. */
  readonly timeoutMs: number;
  /** May it go to this machine and to private networks? */
  readonly allowPrivate: boolean;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

/** Nobody reads the answer: more of it than that is not waited for. */
const MAX_ANSWER_BYTES = 65_536;

/** Why a request was not taken. The message holds nothing of the address but what DNS said of its host. */
export class NotTaken extends Error {}

/** Sends it once; resolves when the other side has taken it: a status from 200 to 299. Redirects are not followed. @throws NotTaken */
export async function sendRequest(request: HookRequest, options: SendOptions): Promise<void> {
  const url = new URL(request.url);
  if (!options.allowPrivate && isPrivateHost(url.hostname)) throw new NotTaken(new PrivateAddressError().message);
  const timeout = AbortSignal.timeout(options.timeoutMs);
  try {
    const status = await post(url, request, options, AbortSignal.any([timeout, options.signal]));
    if (status >= 200 && status < 300) return;
    const redirects = status >= 300 && status < 400 ? ", a redirect, which is not followed" : "";
    throw new NotTaken(`the answer was HTTP status ${status}${redirects}`);
  } catch (error) {
    if (error instanceof NotTaken) throw error;
    if (options.signal.aborted) throw new NotTaken("the server was stopped", { cause: error });
    if (timeout.aborted) throw new NotTaken(`there was no answer within ${options.timeoutMs} ms`, { cause: error });
    throw new NotTaken(why(error), { cause: error });
  }
}

function post(url: URL, { headers, body }: HookRequest, options: SendOptions, signal: AbortSignal): Promise<number> {
  const settings: RequestOptions = {
    method: "POST",
    headers: { "content-length": Buffer.byteLength(body), ...headers },
    // A connection of its own: hooks are rare, and an idle one would be somebody else's to close.
    agent: false,
    signal,
    ...(options.allowPrivate ? {} : { lookup: lookupPublic }),
  };
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, settings, (response) => {
      let bytes = 0;
      const done = () => resolve(response.statusCode ?? 0);
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= MAX_ANSWER_BYTES) return;
        done();
        response.destroy();
      });
      response.once("end", done);
      response.on("error", reject);
      // Broken off in the middle: the status had come, but whether it was meant is not known.
      response.once("close", () => reject(new Error("the answer broke off")));
    });
    // More than once, when a connection breaks after it was ended here.
    sent.on("error", reject);
    sent.end(body);
  });
}

function why(error: unknown): string {
  if (error instanceof PrivateAddressError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return message === "the answer broke off" ? message : "the connection failed";
  return `the connection failed (${code})`;
}
